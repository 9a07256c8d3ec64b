# SPDX-License-Identifier: BSD-2-Clause
"""CTranslate2's translators of models of transformers, where the package is installed."""

import importlib.util
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

PRECISIONS = {"fp32": "float32", "int8": "int8_float32"}


def translators(model: Any, directory: Path, *, threads: int = 2) -> dict[str, Any]:
    """One per precision, of the same weights; none where the package is not installed.

    The words are the numbers of their rows, since the weights are random.
    """
    if importlib.util.find_spec("ctranslate2") is None:
        return {}
    import ctranslate2
    from ctranslate2.converters.transformers import BartLoader, MarianMTLoader

    model.config.normalize_before = False
    marian = model.config.model_type == "marian"
    loader = MarianMTLoader() if marian else BartLoader()
    spec = loader.get_model_spec(model)
    words = [
        str(row) for row in range(model.config.vocab_size - marian)
    ]  # Marian's last row, the padding, is taken out
    special = [f"<{name}>" for name in ("s", "pad", "/s", "unk")]
    words[:4] = special
    loader.set_vocabulary(spec, words)
    spec.config.eos_token, spec.config.unk_token, spec.config.decoder_start_token = "</s>", "<unk>", "</s>"
    spec.validate()
    with tempfile.TemporaryDirectory(dir=directory) as folder:
        spec.optimize(quantization=None)
        spec.save(folder)
        return {
            name: ctranslate2.Translator(folder, compute_type=kind, intra_threads=threads, inter_threads=1)
            for name, kind in PRECISIONS.items()
        }


def run_of(translator: Any, ids: np.ndarray, *, beams: int, target: int) -> Callable[[], object]:
    """Writes texts of a fixed length."""
    texts = [[str(token) for token in row] for row in ids]
    options = {"beam_size": beams, "max_decoding_length": target, "min_decoding_length": target}

    def run() -> Any:
        found = translator.translate_batch(texts, **options)
        assert all(len(text.hypotheses[0]) == target for text in found)
        return found

    return run

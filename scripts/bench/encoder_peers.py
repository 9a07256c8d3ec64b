# SPDX-License-Identifier: BSD-2-Clause
"""Other libraries' runs of an encoder: PyTorch, ONNX Runtime on a plain export of it, CTranslate2 where installed."""

import copy
import importlib.util
import signal
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
import transformers

Batches = Sequence[tuple[np.ndarray, np.ndarray]]
"""``(ids int[rows, time], lengths int[rows])`` of each call."""
Runner = Callable[[Batches], object]
COMPILATION = 60
"""Seconds that ``torch.compile`` may take."""


def torch_model(sizes: dict[str, int]) -> torch.nn.Module:
    """Returns a BERT of random weights."""
    torch.manual_seed(0)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    config = transformers.BertConfig(**sizes, attn_implementation="sdpa")
    return transformers.BertModel(config, add_pooling_layer=False).eval()


def peer_runners(model: torch.nn.Module, folder: Path, *, compiled: bool) -> Iterator[tuple[str, Runner]]:
    """Yields each peer by name; ``compiled`` adds ``torch.compile``."""
    yield "PyTorch fp32", _by_torch(model)
    yield "PyTorch bf16", _by_torch(copy.deepcopy(model).bfloat16())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantized = torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8)
    yield "PyTorch int8", _by_torch(quantized)
    if compiled:
        yield "PyTorch compiled fp32", _within_limit(_by_torch(torch.compile(model, dynamic=False)))
    plain = folder / "plain.onnx"
    _export(model, plain)
    yield "ONNX Runtime fp32", _by_onnxruntime(plain)
    yield "ONNX Runtime int8", _by_onnxruntime(_quantized(plain))
    if importlib.util.find_spec("ctranslate2"):
        for name, kind in (("fp32", "float32"), ("int8", "int8_float32")):
            yield f"CTranslate2 {name}", _by_ctranslate2(model, folder, kind)


def _by_torch(model: torch.nn.Module) -> Runner:
    def run(batches: Batches) -> Any:
        found = []
        with torch.inference_mode():
            for ids, lengths in batches:
                mask = None
                if lengths.min() < ids.shape[1]:
                    mask = torch.from_numpy(np.arange(ids.shape[1]) < lengths[:, None]).long()
                found.append(model(input_ids=torch.from_numpy(ids), attention_mask=mask).last_hidden_state)
        return found

    return run


def _within_limit(run: Runner) -> Runner:
    """Gives up a compilation that takes longer than a minute."""
    seen: set[tuple[int, ...]] = set()

    def limited(batches: Batches) -> Any:
        shapes = {ids.shape for ids, _ in batches}
        if shapes <= seen:
            return run(batches)
        with _alarm(COMPILATION):
            found = run(batches)
        seen.update(shapes)
        return found

    return limited


@contextmanager
def _alarm(seconds: int) -> Iterator[None]:
    def ring(*_: Any) -> None:
        raise TimeoutError(f"took longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


class _States(torch.nn.Module):
    def __init__(self, model: torch.nn.Module):
        super().__init__()
        self.model = model

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return self.model(input_ids=ids, attention_mask=mask).last_hidden_state


def _export(model: torch.nn.Module, path: Path) -> None:
    ids = torch.randint(5, 1000, (2, 16))
    axes = {0: "batch", 1: "time"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _States(model), (ids, torch.ones_like(ids)), str(path), dynamo=False, opset_version=17,
            input_names=["ids", "mask"], output_names=["states"], dynamic_axes={"ids": axes, "mask": axes},
        )  # fmt: skip


def _quantized(plain: Path) -> Path:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    path = plain.with_name("int8.onnx")
    quantize_dynamic(plain, path, per_channel=True, weight_type=QuantType.QInt8)
    return path


def _by_onnxruntime(path: Path) -> Runner:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    # As PyTorch's threads and XLA's: waiting threads must not spin through the turns of the others.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(batches: Batches) -> Any:
        return [
            session.run(None, {"ids": ids, "mask": (np.arange(ids.shape[1]) < lengths[:, None]).astype(np.int64)})[0]
            for ids, lengths in batches
        ]

    return run


def _by_ctranslate2(model: torch.nn.Module, folder: Path, kind: str) -> Runner:
    import ctranslate2

    target = folder / f"ctranslate2-{kind}"
    with tempfile.TemporaryDirectory() as source:
        model.config.position_embedding_type = "absolute"  # which the converter asks for, and transformers 5 has not
        model.save_pretrained(source)
        words = [f"word{number}" for number in range(model.config.vocab_size - 5)]
        vocabulary = "\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words])
        (Path(source) / "vocab.txt").write_text(vocabulary + "\n", encoding="utf-8")
        transformers.BertTokenizer(f"{source}/vocab.txt").save_pretrained(source)
        ctranslate2.converters.TransformersConverter(source).convert(str(target), quantization=kind)
    encoder = ctranslate2.Encoder(str(target), compute_type=kind, inter_threads=1, intra_threads=2)

    def run(batches: Batches) -> Any:
        return [
            np.asarray(
                encoder.forward_batch(
                    [row[:length].tolist() for row, length in zip(ids, lengths.tolist(), strict=True)]
                ).last_hidden_state
            )
            for ids, lengths in batches
        ]

    return run

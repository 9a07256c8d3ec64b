# SPDX-License-Identifier: BSD-2-Clause
"""Flair's taggers: SequenceTagger, and TokenClassifier, which has neither a recurrence nor a CRF."""

from typing import Any

import numpy as np

from spago_jax.errors import InputError
from spago_jax.interop.flair.file import TAGGER, FlairFile, items_of
from spago_jax.interop.flair.imported import Imported, indexers_of, most_words, stacked_arrays
from spago_jax.interop.flair.parts import parts_of
from spago_jax.interop.flair.recurrent import recurrent_arrays, shape_of_recurrence
from spago_jax.tasks.token_classification.processor import TokenProcessor
from spago_jax.tasks.token_classification.tag_set import TagSet
from spago_jax.text.tags import OUTSIDE
from spago_jax.text.tokenizers.tokenizer import tokenizer_from
from spago_jax.train.schema import Experiment

START, STOP = "<START>", "<STOP>"
MAX_LENGTH = 512  # tokens
SPAN_PREFIXES = ("B-", "S-", "I-")


def tagger_of(file: FlairFile, *, tokenizer: str = "spago") -> Imported:
    """Returns the tagger of a file.

    ``transitions`` [to, from] become those of our CRF, without START and STOP: ``M[0, j + 1] = T[j, START]``,
    ``M[i + 1, 0] = T[STOP, i]``, ``M[i + 1, j + 1] = T[j, i]``, and ``M[0, 0] = T[STOP, START]``.

    Args:
        file: the file.
        tokenizer: how a plain text is cut into tokens.

    Raises:
        InputError: for what is not read, or a damaged file.
    """
    arrays: dict[str, np.ndarray] = {}
    model: dict[str, Any] = {"distributions": True, "ban_impossible": False, "tokenizer": tokenizer}
    parts = parts_of(file.value.get("embeddings"), "embeddings.", file)
    is_tagger = file.kind == TAGGER
    key = "tag_dictionary" if is_tagger else "label_dictionary"
    names = items_of(file.value.get(key), f"the {key}", file.path)
    crf = is_tagger and bool(file.get("use_crf", True))
    if is_tagger:
        if file.has("embedding2nn.weight"):
            arrays |= {f"projection.{part}": file.array(f"embedding2nn.{part}") for part in ("weight", "bias")}
            model["projection"] = len(arrays["projection.bias"])
        model["encoder"] = None
        if file.get("use_rnn", True):
            model["encoder"], found = _encoder(file)
            arrays |= found
    output = "linear" if is_tagger else "decoder"
    weight, bias = file.array(f"{output}.weight"), file.array(f"{output}.bias")
    if weight.shape[0] != len(names) or bias.shape != (len(names),):
        raise InputError(f"{len(names)} tags, and {output}.weight of shape {weight.shape}", path=file.path)
    kept = [number for number, name in enumerate(names) if name not in (START, STOP)]
    kept.sort(key=lambda number: (names[number] != OUTSIDE, number))  # O is first, as in every tagger of ours
    arrays |= {"scorer.weight": weight[kept], "scorer.bias": bias[kept]}
    if crf:
        start, stop = (_place(names, name, file) for name in (START, STOP))
        arrays["crf.transitions"] = _transitions(file, kept, start, stop, len(names))
        arrays |= {"stop.weight": weight[[stop]], "stop.bias": bias[[stop]]}
        model["score_stop"] = True
    locked, plain = float(file.number("use_locked_dropout", 0.5)), float(file.number("use_dropout", 0.0))
    spans = any(name.startswith(SPAN_PREFIXES) for name in names)
    scheme = _scheme(file, names) if spans else "plain"
    model |= {
        "embeddings": [dict(part.config) for part in parts],
        "output": "crf" if crf else "softmax",
        "dropout": (locked or plain) if is_tagger else 0.0,
        "variational": locked > 0 or not is_tagger,
        "word_dropout": float(file.number("use_word_dropout", 0.05)) if is_tagger else 0.0,
        "scheme": "same" if not spans else scheme,
    }
    settings = {
        "task": "token-classification",
        "data": {"format": "conll", "scheme": scheme},
        "model": model,
    }
    tags = TagSet(tuple(names[number] for number in kept), scheme, scheme, _span_rules(file) if spans else "scheme")

    def processor(experiment: Experiment) -> TokenProcessor:
        cut = tokenizer_from({"kind": tokenizer})
        most = most_words(parts, MAX_LENGTH)
        return TokenProcessor(cut, indexers_of(parts, experiment), tags, most, distributions=True)

    facts = {
        "embeddings": [part.about for part in parts],
        "encoder": model.get("encoder"),
        "output": model["output"],
        "tags": list(tags.names),
    }
    return Imported.of(file, settings, processor, {**stacked_arrays(parts), **arrays}, facts)


def _encoder(file: FlairFile) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The config and the arrays of the recurrence."""
    shape = shape_of_recurrence(file.array, file.has, "rnn.", file.path)
    found = {f"encoder.rnn.{path}": array for path, array in recurrent_arrays(file.array, "rnn.", shape).items()}
    config = {"kind": "birnn", **shape}
    if shape["cell"] == "gru":
        config["reset_after"] = True
    # 0.11 and later still make these, and never use them.
    if file.get("train_initial_hidden_state") and file.has("lstm_init_h") and _is_old(file) and shape["cell"] == "lstm":
        config["initial"] = True
        found["encoder.initial_hidden"] = file.array("lstm_init_h")
        found["encoder.initial_cell"] = file.array("lstm_init_c")
    return config, found


def _is_old(file: FlairFile) -> bool:
    """Whether a tagger is of 0.10 or before, which keep the CRF in no part of its own and say less of themselves."""
    if file.get("use_crf", True):
        return not file.has("crf.transitions")
    return "__cls__" not in file.value and ("beta" in file.value or "rnn_type" not in file.value)


def _span_rules(file: FlairFile) -> str:
    return "flair-0.10" if file.kind == TAGGER and _is_old(file) else "flair"


def _place(names: list[str], name: str, file: FlairFile) -> int:
    if name not in names:
        raise InputError(f"a CRF whose tags lack {name}: {', '.join(names[:12])}", path=file.path)
    return names.index(name)


def _transitions(file: FlairFile, kept: list[int], start: int, stop: int, tags: int) -> np.ndarray:
    given = file.array("crf.transitions" if file.has("crf.transitions") else "transitions")
    if given.shape != (tags, tags):
        raise InputError(f"{tags} tags, and transitions of shape {given.shape}", path=file.path)
    rows, columns = [stop, *kept], [start, *kept]  # what a tag goes to, and what it comes from
    moved = given[np.ix_(rows, columns)].T
    # moved[i, j] goes from columns[i] to rows[j]: row 0 is START -> tag, column 0 tag -> STOP, which is our layout.
    return np.ascontiguousarray(moved)


def _scheme(file: FlairFile, names: list[str]) -> str:
    given = file.get("tag_format")
    if given is None or str(given).upper() == "BIOES":
        closed = any(name.startswith(("S-", "E-")) for name in names)
        return "BIOES" if closed or given is not None else "IOB2"
    return "IOB2"

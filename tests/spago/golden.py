"""Golden cases: numbers that spaGO computed, read from JSON files of the schema ``spago-golden/1``."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from spago_jax.errors import InputError

SCHEMA = "spago-golden/1"
STATUSES = ("ok", "forward_only", "spago_quirk", "spago_bug")


@dataclasses.dataclass(frozen=True)
class Case:
    """One computation of spaGO, float64; vectors are columns [n, 1].

    Attributes:
        file: the file's name without ``.json``: ``nn.lstm``, ``op.Add``.
        version: of spaGO: ``main``, ``v1.0.1``, ``v0.7.0``.
        id: inside the file.
        status: ``ok``, ``forward_only``, ``spago_quirk`` or ``spago_bug``.
        config: hyper-parameters.
        params: trained parameters by spaGO's name; the vector of a BERT's word by ``word`` and itself.
        buffers: other tensors of the model by name.
        inputs: ``(name, array)`` in call order.
        outputs: in return order.
        output_grads: of a loss that is ``sum(output * output_grad)``.
        input_grads: by the input's name; zeros where no gradient arrived; an input that is missing requires none.
        param_grads: by name; a parameter that is missing got none.
        extra: whatever else was noted.
        notes: of the case and of its file.
    """

    file: str
    version: str
    id: str
    status: str
    config: dict[str, Any]
    params: dict[str, np.ndarray]
    buffers: dict[str, np.ndarray]
    inputs: tuple[tuple[str, np.ndarray], ...]
    outputs: tuple[np.ndarray, ...]
    output_grads: tuple[np.ndarray, ...]
    input_grads: dict[str, np.ndarray]
    param_grads: dict[str, np.ndarray]
    extra: dict[str, Any]
    notes: str = ""

    def __str__(self) -> str:
        return f"{self.version}/{self.file} {self.id}"


def array(entry: dict[str, Any]) -> np.ndarray:
    """An ``Arr`` of the schema as float64; non-finite numbers are strings there.

    >>> array({"shape": [2, 1], "data": [1.5, "-Infinity"]})
    array([[ 1.5],
           [-inf]])
    """
    return np.array([float(number) for number in entry["data"]], np.float64).reshape(entry["shape"])


def read_cases(path: str | Path) -> Iterator[Case]:
    """The cases of one file.

    Raises:
        InputError: for a file that is not a golden file, or a case that cannot be read, naming what is wrong with it.
    """
    for case in read_each(path):
        if isinstance(case, InputError):
            raise case
        yield case


def read_each(path: str | Path) -> Iterator[Case | InputError]:
    """The cases of one file; in the place of a case that cannot be read, the error that says why.

    Raises:
        InputError: for a file that is not a golden file.
    """
    path = Path(path)
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"not a golden file: {error}", path=path) from None
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise InputError(f"not a golden file: its schema is not {SCHEMA!r}", path=path)
    if not isinstance(document.get("cases"), list):
        raise InputError("not a golden file: its cases are not a list", path=path)
    version = (str(document.get("spago_version", "?")).split() or ["?"])[0]
    for number, entry in enumerate(document["cases"]):
        try:
            yield _case(path.name.removesuffix(".json"), version, document, entry)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            name = entry.get("id", number) if isinstance(entry, dict) else number
            yield InputError(f"case {name!r}: {type(error).__name__}: {error}", path=path)


def _case(file: str, version: str, document: dict[str, Any], entry: dict[str, Any]) -> Case:
    def named(key: str) -> dict[str, np.ndarray]:
        return {e["name"]: array(e) for e in entry.get(key) or ()}

    if entry["status"] not in STATUSES:
        raise ValueError(f"status {entry['status']!r} is none of {STATUSES}")
    # An operand may be absent (spaGO's nil): the others keep their names, which say what they are.
    operands = [
        None if _absent(e) else (str(e.get("name", f"x{i}")), array(e)) for i, e in enumerate(entry.get("inputs") or ())
    ]
    inputs = tuple(operand for operand in operands if operand is not None)
    grads = entry.get("input_grads") or ()
    input_grads: dict[str, np.ndarray]
    if len(grads) in (len(operands), len(inputs)):
        aligned = operands if len(grads) == len(operands) else inputs
        input_grads = {
            operand[0]: np.zeros_like(operand[1]) if _absent(grad) else array(grad)
            for operand, grad in zip(aligned, grads, strict=True)
            if operand is not None
        }
    else:
        input_grads = {grad["name"]: array(grad) for grad in grads if not _absent(grad)}
    outputs = tuple(array(e) for e in entry.get("outputs") or ())
    output_grads = tuple(
        np.zeros_like(outputs[i]) if _absent(e) else array(e) for i, e in enumerate(entry.get("output_grads") or ())
    )
    extra = entry.get("extra") or {}
    params, param_grads = named("params"), named("param_grads")
    for key, held in (("words", params), ("word_grads", param_grads)):  # BERT keeps its words' vectors elsewhere
        if file.startswith("nlp.bert"):
            held |= {f"word {word}": np.array(numbers, np.float64)[:, None] for word, numbers in extra[key].items()}
    return Case(
        file=file,
        version=version,
        id=str(entry["id"]),
        status=entry["status"],
        config=entry.get("config") or {},
        params=params,
        buffers=named("buffers"),
        inputs=inputs,
        outputs=outputs,
        output_grads=output_grads,
        input_grads=input_grads,
        param_grads=param_grads,
        extra=extra,
        notes=" ".join(filter(None, (document.get("notes"), entry.get("notes")))),
    )


def _absent(entry: dict[str, Any] | None) -> bool:
    return entry is None or entry.get("data") is None

# SPDX-License-Identifier: BSD-2-Clause
"""The pipeline that a folder of sentence-transformers describes: from the states of a text to its vector."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from spago_jax.core import Array, Module, static
from spago_jax.errors import InputError, did_you_mean
from spago_jax.interop.checkpoints import open_checkpoint
from spago_jax.interop.huggingface.json_files import read_json, read_object
from spago_jax.interop.huggingface.layout import MODULES
from spago_jax.ops import activations
from spago_jax.ops.linear import linear
from spago_jax.ops.pooling_modes import POOLING_MODES

SIMILARITIES = ("cosine", "dot", "euclidean", "manhattan")
# The switches of older folders, in the order in which several modes are joined.
_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
# By the last part of the name of PyTorch's class.
_ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "Identity": lambda x: x,
    "Tanh": jnp.tanh,
    "ReLU": jax.nn.relu,
    "GELU": activations.gelu,
    "SiLU": jax.nn.silu,
    "Sigmoid": jax.nn.sigmoid,
    "Mish": jax.nn.mish,
}


class Pooling(Module):
    """``[pool_1(x), pool_2(x), ...]``, joined along the features: [..., time, features] -> [..., modes * features].

    >>> Pooling(modes=("cls", "mean"))(jnp.array([[1.0], [3.0]]), jnp.array([1, 1]))
    Array([1., 2.], dtype=float32)
    """

    modes: tuple[str, ...] = static(default=("mean",))

    def __call__(self, states: Array, mask: Array) -> Array:
        """Returns one vector per text."""
        return jnp.concatenate([POOLING_MODES[mode](states, mask) for mode in self.modes], axis=-1)


class Dense(Module):
    """``y = f(W x + b)``: [..., in] -> [..., out].

    >>> Dense(weight=jnp.ones((1, 2)), bias=None, activation="ReLU")(jnp.array([1.0, 2.0]))
    Array([3.], dtype=float32)
    """

    weight: Array
    bias: Array | None
    activation: str = static(default="Identity")

    def __call__(self, x: Array) -> Array:
        """Returns the mapped vectors."""
        return _ACTIVATIONS[self.activation](linear(x, self.weight.astype(x.dtype), self.bias))


class Normalize(Module):
    """``y = x / max(|x|, 1e-12)``: [..., features] -> [..., features].

    >>> Normalize()(jnp.array([3.0, 4.0]))
    Array([0.6, 0.8], dtype=float32)
    """

    def __call__(self, x: Array) -> Array:
        """Returns vectors of length one."""
        return x / jnp.maximum(jnp.linalg.norm(x, axis=-1, keepdims=True), 1e-12)


class SentencePipeline(Module):
    """What turns the states of a text into its vector, and what has to be done to a text before.

    Attributes:
        pooling: from states to a vector.
        layers: ``Dense`` and ``Normalize``, in their order.
        max_length: tokens that are read of a text, special ones included; None: as many as the model takes.
        lowercase: whether texts are lower-cased before the tokenizer.
        include_prompt: whether the tokens of a prompt count in the pooling.
        prompts: ``(name, text)`` that can be put before a text.
        default_prompt: the name of the one that is put before every text; None: none.
        similarity: how vectors are compared: ``cosine``, ``dot``, ``euclidean`` or ``manhattan``.
        truncate: how many of the first features are kept; None: all.

    >>> pipeline = SentencePipeline(layers=(Normalize(),))
    >>> pipeline.pool(jnp.array([[3.0, 4.0], [9.0, 9.0]]), jnp.array([1, 0]))
    Array([0.6, 0.8], dtype=float32)
    """

    pooling: Pooling = Pooling()
    layers: tuple[Dense | Normalize, ...] = ()
    max_length: int | None = static(default=None)
    lowercase: bool = static(default=False)
    include_prompt: bool = static(default=True)
    prompts: tuple[tuple[str, str], ...] = static(default=())
    default_prompt: str | None = static(default=None)
    similarity: str = static(default="cosine")
    truncate: int | None = static(default=None)

    def pool(self, states: Array, mask: Array, prompt: Array | int = 0) -> Array:
        """Returns one vector per text: [..., time, features] -> [..., out].

        Args:
            states: of the last layer.
            mask: [..., time] of the real tokens, special ones included.
            prompt: how many real tokens at the beginning belong to a prompt: [...]. They are left out unless the
                pipeline includes them.
        """
        if not self.include_prompt:
            real = jnp.asarray(mask) != 0
            mask = real & (jnp.cumsum(real, axis=-1) > jnp.asarray(prompt)[..., None])
        x = self.pooling(states, mask)
        for layer in self.layers:
            x = layer(x)
        return x if self.truncate is None else x[..., : self.truncate]


def read_pipeline(folder: Path) -> SentencePipeline | None:
    """Returns the pipeline of a folder of sentence-transformers; None where ``modules.json`` is absent.

    Raises:
        InputError: for a file that is damaged, and for a part or a setting that is not known, naming it.
    """
    if not os.path.isfile(folder / MODULES):
        return None
    pooling: Pooling | None = None
    layers: list[Dense | Normalize] = []
    settings: dict[str, Any] = {}
    for kind, part in _parts(folder):
        if kind == "Transformer":
            settings |= _transformer(part if os.path.isfile(part / _TRANSFORMER) else folder)
        elif kind == "Pooling" and pooling is None:
            pooling, settings["include_prompt"] = _pooling(part / "config.json")
        elif pooling is None and kind in ("Dense", "Normalize"):
            raise InputError(f"{kind} comes before the pooling, which is not supported", path=folder / MODULES)
        elif kind == "Dense":
            layers.append(_dense(part))
        elif kind == "Normalize":
            layers.append(Normalize())
        elif kind != "Dropout":  # which does nothing after training
            known = ("Transformer", "Pooling", "Dense", "Normalize", "Dropout")
            raise InputError(
                f"a part of the kind {kind!r} is not supported; {did_you_mean(kind, known)}", path=folder / MODULES
            )
    return SentencePipeline(pooling=pooling or Pooling(), layers=tuple(layers), **settings, **_prompts(folder))


_TRANSFORMER = "sentence_bert_config.json"


def write_pipeline(pipeline: SentencePipeline, folder: Path, features: int) -> None:
    """Writes the files from which ``read_pipeline``, and sentence-transformers, make a pipeline without own weights.

    Args:
        pipeline: of a pooling and ``Normalize``.
        folder: of the model.
        features: the size of a state.

    Raises:
        InputError: for a layer with weights.
    """
    kinds = ["Transformer", "Pooling"]
    for layer in pipeline.layers:
        if not isinstance(layer, Normalize):
            raise InputError(f"a {type(layer).__name__} layer is not written", path=folder)
        kinds.append("Normalize")
    parts = [
        {"idx": n, "name": str(n), "path": f"{n}_{kind}" if n else "", "type": f"sentence_transformers.models.{kind}"}
        for n, kind in enumerate(kinds)
    ]
    flags = {flag: mode in pipeline.pooling.modes for flag, mode in _FLAGS.items()}
    pooling = {"word_embedding_dimension": features, **flags, "include_prompt": pipeline.include_prompt}
    reading = {"max_seq_length": pipeline.max_length, "do_lower_case": pipeline.lowercase}
    about = {
        "prompts": dict(pipeline.prompts),
        "default_prompt_name": pipeline.default_prompt,
        "similarity_fn_name": pipeline.similarity,
        **({} if pipeline.truncate is None else {"truncate_dim": pipeline.truncate}),
    }
    files = {
        MODULES: parts,
        "1_Pooling/config.json": pooling,
        _TRANSFORMER: reading,
        "config_sentence_transformers.json": about,
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    for part in parts[2:]:
        (folder / str(part["path"])).mkdir()


def _parts(folder: Path) -> list[tuple[str, Path]]:
    path = folder / MODULES
    parts = read_json(path)
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise InputError("expected a list of the parts of the pipeline", path=path)
    found = []
    for part in parts:
        kind, place = part.get("type"), part.get("path", "")
        if not isinstance(kind, str) or not isinstance(place, str) or ".." in place or place.startswith("/"):
            raise InputError(f"part {part!r} has no type and path within the folder", path=path)
        found.append((kind.rpartition(".")[2], folder / place))
    if not found or found[0][0] != "Transformer":
        raise InputError(
            f"the pipeline begins with {found[0][0] if found else 'nothing'}, not a Transformer", path=path
        )
    return found


def _transformer(folder: Path) -> dict[str, Any]:
    path = folder / _TRANSFORMER
    facts = read_object(path) if path.is_file() else {}
    return {
        "max_length": _get(facts, "max_seq_length", int, path, None),
        "lowercase": bool(_get(facts, "do_lower_case", bool, path, False)),
    }


def _pooling(path: Path) -> tuple[Pooling, bool]:
    facts = read_object(path)
    modes = facts.get("pooling_mode")
    if modes is None:
        for flag, value in facts.items():
            if flag.startswith("pooling_mode_") and value and flag not in _FLAGS:
                raise InputError(f"{flag} is not known: {did_you_mean(flag, _FLAGS)}", path=path)
        modes = [mode for flag, mode in _FLAGS.items() if facts.get(flag)] or ["mean"]
    modes = [modes] if isinstance(modes, str) else modes
    if not isinstance(modes, list) or not modes:
        raise InputError(f"pooling_mode is {modes!r}, expected a name or a list of names", path=path)
    for mode in modes:
        if not isinstance(mode, str) or mode not in POOLING_MODES:
            raise InputError(f"pooling_mode {mode!r} is not known: {did_you_mean(str(mode), POOLING_MODES)}", path=path)
    return Pooling(modes=tuple(modes)), _get(facts, "include_prompt", bool, path, True)


def _dense(folder: Path) -> Dense:
    path = folder / "config.json"
    facts = read_object(path)
    name = _get(facts, "activation_function", str, path, "torch.nn.modules.activation.Tanh").rpartition(".")[2]
    if name not in _ACTIVATIONS:
        raise InputError(f"activation_function {name!r} is not known: {did_you_mean(name, _ACTIVATIONS)}", path=path)
    for key in ("module_input_name", "module_output_name"):
        if facts.get(key) not in (None, "sentence_embedding"):
            raise InputError(f"{key} is {facts[key]!r}, expected 'sentence_embedding'", path=path)
    with open_checkpoint(folder) as tensors:
        weight = jnp.asarray(tensors.copy("linear.weight"))
        bias = jnp.asarray(tensors.copy("linear.bias")) if "linear.bias" in tensors else None
    if weight.ndim != 2 or (bias is not None and bias.shape != weight.shape[:1]):
        raise InputError(f"linear.weight has shape {weight.shape}, expected [out, in] and a bias [out]", path=folder)
    return Dense(weight=weight, bias=bias, activation=name)


def _prompts(folder: Path) -> dict[str, Any]:
    path = folder / "config_sentence_transformers.json"
    facts = read_object(path) if path.is_file() else {}
    prompts = _get(facts, "prompts", dict, path, {}) or {}
    if not all(isinstance(text, str) for text in prompts.values()):
        raise InputError("prompts are not text by name", path=path)
    default = _get(facts, "default_prompt_name", str, path, None)
    if default is not None and default not in prompts:
        raise InputError(f"default_prompt_name {default!r} is not among the prompts: {sorted(prompts)}", path=path)
    similarity = _get(facts, "similarity_fn_name", str, path, None) or "cosine"
    if similarity not in SIMILARITIES:
        raise InputError(
            f"similarity_fn_name {similarity!r} is not known: {did_you_mean(similarity, SIMILARITIES)}", path=path
        )
    return {
        "prompts": tuple(prompts.items()),
        "default_prompt": default,
        "similarity": similarity,
        "truncate": _get(facts, "truncate_dim", int, path, None),
    }


def _get(facts: dict[str, Any], key: str, kind: type, path: Path, default: object) -> Any:
    value = facts.get(key)
    if value is None:
        return default
    if not isinstance(value, kind) or (kind is int and (isinstance(value, bool) or value < 1)):
        raise InputError(f"{key} is {value!r}, expected {kind.__name__}", path=path)
    return value

# SPDX-License-Identifier: BSD-2-Clause
"""Opens the tensors of a file or of a folder, by what is there."""

import json
import mmap
import os
from collections.abc import Callable
from pathlib import Path

from spago_jax.errors import InputError
from spago_jax.interop.checkpoints.flax_files import flax_table, torch_name
from spago_jax.interop.checkpoints.safetensors import safetensors_table
from spago_jax.interop.checkpoints.sharded import ShardedFile
from spago_jax.interop.checkpoints.tensor_file import MappedFile, Stored, TensorFile, mapped
from spago_jax.interop.checkpoints.torch_files import legacy_table, zip_table

INDEX = ".index.json"
# In the order in which they are preferred; each may also be an index of shards.
CHECKPOINTS = ("model.safetensors", "pytorch_model.bin", "flax_model.msgpack")
# What other libraries write, and the way out.
_FOREIGN = {
    "tf_model.h5": "TensorFlow",
    "model.ckpt.index": "TensorFlow",
    "bert_model.ckpt.index": "TensorFlow",
    "rust_model.ot": "rust-bert",
    "spago_model.bin": "spaGO",
}
_GOBS = ("model.bin", "spago_model.bin")
_SPAGO_KEYS = {"model_filename", "word_embeddings", "contextual_string_embeddings"}
_Table = Callable[[mmap.mmap, Path], dict[str, Stored]]
_LEGACY = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"  # a pickle of PyTorch's magic number


def find_checkpoint(folder: str | Path) -> Path | None:
    """Returns the file of a model's tensors in a folder, or the index of its shards; None where there is neither."""
    for name in CHECKPOINTS:
        for path in (Path(folder) / name, Path(folder) / f"{name}{INDEX}"):
            if os.path.isfile(path):
                return path
    return None


def other_files(folder: Path) -> str:
    """Returns the end of a message about a folder without a checkpoint: the files of other libraries that it has."""
    found = [f"{name} ({of})" for name, of in _FOREIGN.items() if os.path.exists(folder / name)]
    return f"; there is {', '.join(found)}, which is not read: convert it with transformers" if found else ""


def refuse_spago(path: Path) -> None:
    """Refuses a model that spaGO has written: its numbers are in an encoding of Go's (gob), and not in PyTorch's.

    Args:
        path: its file, or its folder.

    Raises:
        InputError: saying what to import instead.
    """
    folder, names = (path, _GOBS) if os.path.isdir(path) else (path.parent, (path.name,))
    gobs = [name for name in names if name in _GOBS and os.path.isfile(folder / name)]
    if not gobs:
        return
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        config = {}
    if "spago_model.bin" in gobs or (isinstance(config, dict) and config.keys() & _SPAGO_KEYS):
        raise InputError(
            f"a model that spaGO has written: {gobs[0]} is in Go's own encoding (gob), which is not read; import what "
            "it was converted from instead, Flair's .pt or a folder in Hugging Face's layout",
            path=path,
        )


def open_checkpoint(path: str | Path) -> TensorFile:
    """Opens a file of tensors, an index of shards, or the first of ``CHECKPOINTS`` in a folder.

    The format is that of the content. Nothing is read but the table of the tensors, and it is checked whole.

    Raises:
        InputError: where there is none, or it is damaged.

    >>> import tempfile
    >>> from spago_jax.compiler.ship.safetensors import write_safetensors
    >>> path = Path(tempfile.mkdtemp()) / "model.safetensors"
    >>> write_safetensors(path, {"bias": np.float32([1.0, 2.0])})
    >>> with open_checkpoint(path) as tensors:
    ...     print(tensors.names(), tensors.shape("bias"), tensors.read("bias"))
    ('bias',) (2,) [1. 2.]
    """
    path = Path(path)
    if os.path.isdir(path):
        found = find_checkpoint(path)
        if found is None:
            raise InputError(f"no {', '.join(CHECKPOINTS)}, or an index of one{other_files(path)}", path=path)
        path = found
    if path.name.endswith(INDEX):
        return ShardedFile(path, _open_file, torch_name if ".msgpack" in path.name else str)
    return _open_file(path)


def _open_file(path: Path) -> TensorFile:
    with mapped(path) as data:
        return MappedFile(path, data, _format(data, path)(data, path))


def _format(data: mmap.mmap, path: Path) -> _Table:
    begin = data[:64]
    if (
        begin[8:9] == b"{"
    ):  # before the others: the length of the header, in the bytes before it, can look like anything
        return safetensors_table
    if begin.startswith(b"PK"):
        return zip_table
    if begin.startswith(_LEGACY):
        return legacy_table
    if begin.startswith(b"version https://git-lfs"):
        raise InputError("a pointer of Git LFS, not the file itself: run `git lfs pull` where it came from", path=path)
    if begin.lstrip()[:1] == b"<":
        raise InputError("a web page, not a model: the download has failed; download it again", path=path)
    if path.suffix == ".safetensors":
        return safetensors_table
    if path.suffix == ".msgpack":
        return flax_table
    if begin[:1] == b"\x80":
        return legacy_table
    raise InputError(
        "not a file of tensors that is known: its content is neither safetensors nor PyTorch's, and its name does not "
        "end in .msgpack; it is damaged, or of another kind",
        path=path,
    )

# SPDX-License-Identifier: BSD-2-Clause
"""The tokenizer of a transformer embedding of Flair's: a zip archive of its files, inside the pickle."""

import io
import json
import zipfile
import zlib
from pathlib import Path
from tempfile import TemporaryDirectory

from spago_jax.errors import InputError
from spago_jax.interop.checkpoints.inert_objects import Record
from spago_jax.interop.flair.file import FlairFile
from spago_jax.interop.flair.tree import Node
from spago_jax.interop.huggingface.layout import TOKENIZER
from spago_jax.text.tokenizers.load import load_tokenizer
from spago_jax.text.tokenizers.subword import SubwordTokenizer

MOST_FILES = 64
MOST_BYTES = 128 << 20  # of all files together; the largest multilingual vocabularies have some 35 MB


def packed_tokenizer(node: Node, file: FlairFile) -> SubwordTokenizer:
    """Returns the tokenizer, which reads every word with a space before it, as Flair does.

    Raises:
        InputError: where there is none, or it is damaged, too large, or not read.
    """
    name = node.name or node.kind
    data = node.settings.get("tokenizer_data")
    if isinstance(data, Record) and data.kind == "BytesIO":
        data = data.state[0] if isinstance(data.state, tuple) and data.state else None
    if not isinstance(data, bytes):
        raise InputError(
            f"{name}: has no tokenizer_data, which Flair before 0.7 leaves out: open it there and save it with a later "
            "release",
            path=file.path,
        )
    try:
        files = _unpacked(data)
        with TemporaryDirectory() as folder:
            for each, content in _spaced(files).items():
                (Path(folder) / each).write_bytes(content)
            try:
                return load_tokenizer(folder)
            except InputError as error:
                raise ValueError(str(error).replace(f"{folder}/", "").replace(f"{folder}: ", "")) from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError) as error:
        raise InputError(f"{name}: its tokenizer_data cannot be read: {error}", path=file.path) from None


def _unpacked(data: bytes) -> dict[str, bytes]:
    """The files of a tokenizer by their names; others, and such as have a path, are left alone."""
    found: dict[str, bytes] = {}
    room = MOST_BYTES
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        if len(entries) > MOST_FILES:
            raise ValueError(f"{len(entries):,} files, at most {MOST_FILES}")
        for entry in entries:
            if entry.filename not in TOKENIZER:
                continue
            if entry.file_size > room:
                raise ValueError(f"{entry.filename} says that it has {entry.file_size:,} bytes, at most {MOST_BYTES:,}")
            with archive.open(entry) as stream:
                found[entry.filename] = stream.read(entry.file_size)
            room -= len(found[entry.filename])
    return found


def _spaced(files: dict[str, bytes]) -> dict[str, bytes]:
    """The files with ``add_prefix_space``, which Flair opens them with."""
    changed = dict(files)
    if "tokenizer.json" in files:
        engine = json.loads(files["tokenizer.json"])
        cutter = engine.get("pre_tokenizer") if isinstance(engine, dict) else None
        if isinstance(cutter, dict) and cutter.get("add_prefix_space") is False:
            cutter["add_prefix_space"] = True
            changed["tokenizer.json"] = json.dumps(engine, ensure_ascii=False).encode()
    elif "vocab.json" in files:
        settings = json.loads(files.get("tokenizer_config.json", b"{}"))
        changed["tokenizer_config.json"] = json.dumps({**settings, "add_prefix_space": True}).encode()
    return changed

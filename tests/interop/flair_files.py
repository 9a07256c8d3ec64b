"""Files like Flair's, made by hand: a model of a fixture with other settings, or anything at all."""

import pickle
import struct
import sys
import types
import zipfile
from pathlib import Path


def with_settings(source: Path, target: Path, **settings) -> Path:
    """Copies a zip archive with more settings at the end of its dict, where they take the place of older ones.

    Of settings that are bytes, these are the instructions of the pickle.
    """
    with zipfile.ZipFile(source) as given, zipfile.ZipFile(target, "w") as made:
        for entry in given.infolist():
            content = given.read(entry)
            if entry.filename.endswith("/data.pkl"):
                for name, value in settings.items():
                    code = value if isinstance(value, bytes) else pickle.dumps(value, 2)[2:-1]
                    key = b"X" + struct.pack("<I", len(name)) + name.encode()
                    content = content[:-1] + key + code + b"s."
            made.writestr(entry.filename, content)
    return target


def archive(path: Path, value, **options) -> Path:
    """Writes a zip archive whose pickle is that of a value, or the given bytes."""
    code = value if isinstance(value, bytes) else pickle.dumps(value, 4)
    with zipfile.ZipFile(path, "w", **options) as file:
        file.writestr("archive/data.pkl", code)
    return path


def dictionary_class(monkeypatch) -> type:
    """A ``flair.data.Dictionary``, for files that are written here."""
    module = types.ModuleType("flair.data")

    class Dictionary:
        def __init__(self, items):
            self.idx2item = [item.encode() for item in items]
            self.item2idx = {item: number for number, item in enumerate(self.idx2item)}

    Dictionary.__module__, Dictionary.__qualname__ = "flair.data", "Dictionary"
    module.Dictionary = Dictionary
    monkeypatch.setitem(sys.modules, "flair", types.ModuleType("flair"))
    monkeypatch.setitem(sys.modules, "flair.data", module)
    return Dictionary

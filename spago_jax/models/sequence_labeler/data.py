# SPDX-License-Identifier: BSD-2-Clause
"""The corpora of a sequence labeler, encoded once: spans in the model's own scheme, long sentences in pieces."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from spago_jax.data.cache import cached
from spago_jax.data.encoded import EncodedSentences, encode_sentences
from spago_jax.data.examples import Tokens
from spago_jax.data.formats.conll import read_conll
from spago_jax.data.formats.conllu import read_conllu
from spago_jax.data.python.sources import ModuleSplit, python_sources, read_sources, split_modules
from spago_jax.errors import InputError
from spago_jax.models.sequence_labeler.config import ConllData, ConlluData, PythonData
from spago_jax.text.tags import convert, detect_scheme

Data = ConllData | ConlluData | PythonData
_LOOKED_AT = 5000  # sentences that the scheme is read off


def schemes(data: Data, wanted: str) -> tuple[str, str]:
    """How the training file writes spans, and how the model shall.

    Raises:
        InputError: as the reader.
    """
    if not isinstance(data, ConllData):
        return "plain", "plain"
    scheme = data.scheme
    if scheme == "auto":
        read = itertools.chain.from_iterable(_read(data, file) for file in files_of(data, "train"))
        sentences = itertools.islice(read, _LOOKED_AT)
        scheme = detect_scheme(sentence.tags or [] for sentence in sentences)
    if scheme == "plain":
        return scheme, scheme
    return scheme, scheme if wanted == "same" else wanted


def load(data: Data, split: str, path: str | None, written: str, wanted: str, max_length: int) -> EncodedSentences:
    """One part of the data; ``path`` overrides the config's own file.

    Args:
        data: the `data` section.
        split: train, dev, test, or any name together with a path.
        path: a file, or None for that of the section.
        written: the scheme of the file.
        wanted: the scheme of the model.
        max_length: longer sentences are cut into pieces.
    """
    if isinstance(data, PythonData):
        files = [Path(path)] if path else list(getattr(_modules(data), split))
        if not files:
            raise InputError(f"too few Python modules: none falls to the {split} part", path=data.folder)
        limit = None if path else data.train_tokens if split == "train" else data.eval_tokens
        window = min(data.window, max_length)
        settings = {"window": window, "limit": limit}
        return _encode(
            "python",
            files,
            settings,
            lambda: (
                Tokens(list(unit.tokens), list(unit.tags or ()), unit.line)
                for unit in read_sources(files, max_tokens=window, total_tokens=limit)
            ),
        )
    sources = [path] if path else files_of(data, split)
    section = {k: v for k, v in data.model_dump().items() if k not in ("train", "dev", "test", "scheme")}
    settings = {**section, "written": written, "wanted": wanted, "max_length": max_length}

    def sentences() -> Iterator[Tokens]:
        for file, sentence in ((source, read) for source in sources for read in _read(data, source)):
            if sentence.tags is not None and written != wanted:
                try:
                    tags = convert(sentence.tags, wanted, scheme=written)
                except InputError as error:
                    raise InputError(f"in the sentence from here: {error}", path=file, line=sentence.line) from None
                sentence = Tokens(sentence.tokens, tags, sentence.line)
            yield from _pieces(sentence, max_length, wanted)

    return _encode("tagged", [Path(file) for file in sources], settings, sentences)


def splits(data: Data) -> list[str]:
    """The parts that the section names."""
    if isinstance(data, PythonData):
        return ["train", "dev", "test"]
    return [name for name in ("train", "dev", "test") if getattr(data, name)]


def _modules(data: PythonData) -> ModuleSplit:
    root = None if data.folder is None else Path(data.folder)
    if root is not None and not root.is_dir():
        raise InputError("data.folder is no folder", path=root)
    return split_modules(python_sources(root), root=root)


def files_of(data: ConllData | ConlluData, split: str) -> list[str]:
    """The files of one part of the data.

    Raises:
        InputError: where the section names none.
    """
    named = getattr(data, split)
    if not named:
        consequence = "there is nothing to train on" if split == "train" else "there is nothing to read"
        raise InputError(f"data.{split} is missing: {consequence}")
    return [named] if isinstance(named, str) else list(named)


def _read(data: ConllData | ConlluData, path: str) -> Iterator[Tokens]:
    if isinstance(data, ConlluData):
        return read_conllu(path, column=data.column)
    return read_conll(path, token_column=data.token_column, tag_column=data.tag_column)


def _encode(
    kind: str, files: list[Path], settings: dict, sentences: Callable[[], Iterable[Tokens]]
) -> EncodedSentences:
    return EncodedSentences.open(
        cached(kind, files, settings, lambda folder: encode_sentences(sentences(), folder))  # type: ignore[arg-type]
    )


def _pieces(sentence: Tokens, size: int, scheme: str) -> Iterator[Tokens]:
    if len(sentence.tokens) <= size:
        yield sentence
        return
    for at in range(0, len(sentence.tokens), size):
        tags = None if sentence.tags is None else sentence.tags[at : at + size]
        if tags is not None and scheme != "plain":
            tags = convert(tags, scheme, scheme=scheme)  # a span that is cut becomes two whole ones
        yield Tokens(sentence.tokens[at : at + size], tags, sentence.line)

# SPDX-License-Identifier: BSD-2-Clause
"""Builds engines of the `tokenizers` package from vocabularies that come without a ``tokenizer.json``."""

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from spago_jax.errors import InputError, InputWarning, did_you_mean
from spago_jax.text.tokenizers.forms import FORMS, Form
from spago_jax.text.tokenizers.huggingface import tokenizers_package
from spago_jax.text.tokenizers.model_files import ModelFiles
from spago_jax.text.tokenizers.sentencepiece_file import read_sentencepieces

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["build_engine", "ids_of_vocab_json"]


def build_engine(files: ModelFiles, name: str, model: str, language: str | None) -> Any:
    """Returns the engine of a bare vocabulary.

    Args:
        files: the files of the model.
        name: its form.
        model: the name of its SentencePiece model, if the form has one.
        language: the language that its texts are in, if the form has languages.

    Raises:
        InputError: the files are damaged, or contradict each other.
    """
    form = FORMS[name]
    names = {**form.names, **files.names}
    if form.vocabulary == "vocab.txt":
        engine = _wordpiece(files, names)
    elif form.vocabulary == "merges.txt":
        engine = _byte_level(files)
    else:
        engine = _unigram(files, form, model, keep_case=name != "albert")
    _add_tokens(engine, files, form, names)
    language = str(language or files.config.get("src_lang") or "en_XX")
    if form.languages and language not in form.languages:
        raise InputError(f"unknown language {language!r}: {did_you_mean(language, form.languages)}", path=files.path)
    engine.post_processor = _post_processor(engine, files, form, {**names, "language": language})
    return engine


def _wordpiece(files: ModelFiles, names: dict[str, str]) -> Any:
    library, path = tokenizers_package(), files.folder / "vocab.txt"
    if files.flag("do_basic_tokenize", True) is False:
        raise InputError(
            "do_basic_tokenize: false is not supported: words are always cut at spaces and marks",
            path=files.folder / "tokenizer_config.json",
        )
    # Not splitlines: tokens may be characters that it takes for line ends.
    lines = files.text("vocab.txt").replace("\r\n", "\n").removesuffix("\n").split("\n")
    vocabulary: dict[str, int] = {}
    for number, token in enumerate(lines):
        if token in vocabulary:
            warnings.warn(
                InputWarning(f"{path}:{number + 1}: token {token!r} is in line {vocabulary[token] + 1} as well"),
                stacklevel=2,
            )
        vocabulary[token] = number
    if names["unknown"] not in vocabulary:
        raise InputError(f"there is no {names['unknown']!r} (unknown), expected one token per line", path=path)
    engine = library.Tokenizer(library.models.WordPiece(vocabulary, unk_token=names["unknown"]))
    engine.normalizer = library.normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=files.flag("tokenize_chinese_chars", True),
        strip_accents=files.flag("strip_accents", None),
        lowercase=files.flag("do_lower_case", True),
    )
    engine.pre_tokenizer = library.pre_tokenizers.BertPreTokenizer()
    engine.decoder = library.decoders.WordPiece(prefix="##")
    return engine


def ids_of_vocab_json(files: ModelFiles, name: str = "vocab.json") -> dict[str, int]:
    """Returns the ids in a ``vocab.json``.

    Raises:
        InputError: it is missing, or is not an object of tokens with an id of their own each.
    """
    if not (files.folder / name).is_file():
        raise InputError(f"no {name} beside it", path=files.path)
    found = files.json(name)
    owners: dict[int, str] = {}
    for token, id in found.items():
        if not isinstance(id, int) or isinstance(id, bool) or id < 0:
            raise InputError(f"token {token!r}: id {id!r}, expected a number from 0", path=files.folder / name)
        if id in owners:
            raise InputError(f"tokens {owners[id]!r} and {token!r} both have the id {id}", path=files.folder / name)
        owners[id] = token
    if not found:
        raise InputError("empty, expected tokens with their ids", path=files.folder / name)
    return found


def _byte_level(files: ModelFiles) -> Any:
    library, path = tokenizers_package(), files.folder / "merges.txt"
    vocabulary = ids_of_vocab_json(files)
    if not path.is_file():
        raise InputError("no merges.txt beside it", path=files.path)
    merges: list[tuple[str, str]] = []
    for number, line in enumerate(files.text("merges.txt").replace("\r\n", "\n").split("\n"), 1):
        if not line or (number == 1 and line.startswith("#version")):
            continue
        parts = line.split(" ")
        if len(parts) != 2:
            raise InputError(f"{line!r}: expected two tokens with a space between them", path=path, line=number)
        for token in (*parts, "".join(parts)):
            if token not in vocabulary:
                raise InputError(f"token {token!r} is not in vocab.json", path=path, line=number)
        merges.append((parts[0], parts[1]))
    engine = library.Tokenizer(
        library.models.BPE(vocabulary, merges, continuing_subword_prefix="", end_of_word_suffix="", fuse_unk=False)
    )
    space = files.flag("add_prefix_space", False)
    engine.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=space)
    engine.decoder = library.decoders.ByteLevel()
    return engine


def _unigram(files: ModelFiles, form: Form, model: str, *, keep_case: bool) -> Any:
    library, path = tokenizers_package(), files.folder / model
    read = read_sentencepieces(files.content(model), path)
    if read.kind != "unigram":
        raise InputError(
            f"a SentencePiece model of kind {read.kind!r}, expected 'unigram'; form 'sentencepiece' reads it as it is",
            path=path,
        )
    pieces = form.arranged(read.pieces)
    if form.unknown >= len(pieces):
        raise InputError(f"{len(read.pieces)} pieces, too few for a model of this form", path=path)
    engine = library.Tokenizer(library.models.Unigram(pieces, unk_id=form.unknown, byte_fallback=False))
    rules = library.normalizers
    steps: list[Any] = []
    if not keep_case:
        steps += [rules.Replace("``", '"'), rules.Replace("''", '"')]
        if not files.flag("keep_accents", False):
            steps += [rules.NFKD(), rules.StripAccents()]
        if files.flag("do_lower_case", True):
            steps.append(rules.Lowercase())
    if read.normalizer:
        steps.append(rules.Precompiled(read.normalizer))
    elif not form.words_first:
        steps.append(rules.Replace("\n", " "))
    words = library.pre_tokenizers
    space = words.Metaspace(replacement="▁", prepend_scheme="always")
    if form.words_first:
        engine.pre_tokenizer = words.Sequence([words.WhitespaceSplit(), space])
    else:
        steps += [rules.Strip(left=False, right=True), rules.Replace(library.Regex(" {2,}"), " ")]
        engine.pre_tokenizer = space
    if steps:
        engine.normalizer = rules.Sequence(steps)
    engine.decoder = library.decoders.Metaspace(replacement="▁", prepend_scheme="always")
    return engine


def _add_tokens(engine: "Tokenizer", files: ModelFiles, form: Form, names: dict[str, str]) -> None:
    """Makes the special tokens known as such, and adds the tokens of ``added_tokens.json`` under their ids."""
    added = tokenizers_package().AddedToken

    def token(content: str, about: Mapping[str, Any]) -> Any:
        wide = form.wide_mask and content == names.get("mask")
        flags = {flag: bool(about.get(flag, False)) for flag in ("rstrip", "single_word", "normalized")}
        return added(content, lstrip=bool(about.get("lstrip", wide)), **flags)

    special = [*names.values(), *form.languages, *form.extra, *files.further]
    special += [content for content, about in files.added.items() if about.get("special") and content not in special]
    known = [content for content in special if engine.token_to_id(content) is not None]
    engine.add_special_tokens([token(content, files.added.get(content, {})) for content in known])
    for content, about in sorted(files.added.items(), key=lambda item: item[1]["id"]):
        if content not in known:
            add = engine.add_special_tokens if content in special else engine.add_tokens
            add([token(content, {"normalized": True, **about})])
        if engine.token_to_id(content) != about["id"]:
            raise InputError(
                f"the added token {content!r} is said to have the id {about['id']}, and would have"
                f" {engine.token_to_id(content)}: the vocabulary is another one",
                path=files.path,
            )
    for content in files.further:
        if engine.token_to_id(content) is None:
            raise InputError(
                f"the special token {content!r} (additional_special_tokens) is neither in the vocabulary nor in"
                " added_tokens.json",
                path=files.path,
            )


def _post_processor(engine: "Tokenizer", files: ModelFiles, form: Form, names: dict[str, str]) -> Any:
    processors = tokenizers_package().processors
    layouts = [layout.split() for layout in (form.single, form.pair)]
    used = {part.partition(":")[0] for layout in layouts for part in layout} - {"A", "B"}
    ids = {}
    for role in used:
        ids[role] = engine.token_to_id(names[role])
        if ids[role] is None:
            raise InputError(
                f"the vocabulary has no {names[role]!r}, the {role} token of such a model", path=files.path
            )
    if form.vocabulary == "merges.txt":
        if not used:
            return None
        trim, space = files.flag("trim_offsets", True), files.flag("add_prefix_space", False)
        return processors.RobertaProcessing(
            (names["sep"], ids["sep"]), (names["cls"], ids["cls"]), trim_offsets=trim, add_prefix_space=space
        )
    if not used:
        return None

    def written(part: str) -> str:
        role, _, type_id = part.partition(":")
        return f"{'$' + role if role in ('A', 'B') else names[role]}:{type_id or 0}"

    return processors.TemplateProcessing(
        single=[written(part) for part in layouts[0]],
        pair=[written(part) for part in layouts[1]],
        special_tokens=[(names[role], ids[role]) for role in sorted(used)],
    )

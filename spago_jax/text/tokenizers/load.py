# SPDX-License-Identifier: BSD-2-Clause
"""Makes a sub-word tokenizer from the files that came with a model."""

from pathlib import Path
from typing import Any

from spago_jax.errors import InputError
from spago_jax.text.tokenizers.build import build_engine, ids_of_vocab_json
from spago_jax.text.tokenizers.forms import FORMS, find_form
from spago_jax.text.tokenizers.huggingface import HuggingFaceTokenizer, explained, read_engine
from spago_jax.text.tokenizers.model_files import ModelFiles, usual_names
from spago_jax.text.tokenizers.sentence_pieces import SentencePieceTokenizer, sentencepiece_engine
from spago_jax.text.tokenizers.subword import SubwordTokenizer

__all__ = ["load_tokenizer", "restore_tokenizer"]


def load_tokenizer(
    path: str | Path, *, form: str | None = None, language: str | None = None, target: bool = False
) -> SubwordTokenizer:
    """Reads the tokenizer of a model.

    ``tokenizer.json`` is the truth where there is one; the padding and the truncation in it are switched off. Otherwise
    it is made from the vocabulary: ``source.spm`` with ``target.spm`` and ``vocab.json`` (Marian), ``vocab.txt``
    (WordPiece), ``vocab.json`` with ``merges.txt`` (byte-level BPE), or a SentencePiece ``.model``.

    Args:
        path: the folder of a model or of a tokenizer, or a file in it.
        form: how a vocabulary without a ``tokenizer.json`` is used, where its files do not say: ``bert``, ``roberta``,
            ``xlm-roberta``, ... ; ``sentencepiece`` reads a ``.model`` as it is.
        language: the language of the texts, for models that are told it, such as ``de_DE`` for mBART.
        target: read texts of the target language, for models with two vocabularies.

    Raises:
        InputError: there is no tokenizer, or its files are damaged, contradict each other, or are of another kind.
    """
    files = ModelFiles(path)
    given = {"form": form, "language": language, "target": target or None}
    options = {key: value for key, value in given.items() if value is not None}
    if files.has("tokenizer.json"):
        return _from_json(files, options)
    vocabulary, model = _vocabulary(files)
    name = find_form(files, vocabulary, form)
    if language is not None and not FORMS[name].languages:
        raise InputError(f"language {language!r}: tokenizers of form {name!r} are not told the language", path=path)
    if target and name != "marian":
        raise InputError(f"target: tokenizers of form {name!r} have one vocabulary for both languages", path=path)
    if name == "marian":
        return _marian(files, options, target=target)
    if name == "sentencepiece":
        return _sentencepiece(files, options, model)
    with explained(files.path, "its files make no tokenizer"):
        engine = build_engine(files, name, model, language)
        ids = files.special_ids(engine.token_to_id, FORMS[name].names)
        return HuggingFaceTokenizer(engine, files.files(), ids, files.max_length, options)


def restore_tokenizer(
    path: str | Path,
    digest: str | None = None,
    form: str | None = None,
    language: str | None = None,
    target: bool = False,
) -> SubwordTokenizer:
    """Reads a tokenizer that was saved among the assets of a run, from its ``settings``.

    Raises:
        InputError: it cannot be read, or is another one than was saved.
    """
    found = load_tokenizer(path, form=form, language=language, target=target)
    if digest is not None and found.settings()["digest"] != digest:
        raise InputError(
            "these are not the files that the tokenizer was saved with: restore the folder of the run", path=path
        )
    return found


def _vocabulary(files: ModelFiles) -> tuple[str, str]:
    """The kind of the vocabulary, and the SentencePiece model if it is one."""
    if files.has("source.spm") or files.has("target.spm"):
        return "source.spm", ""
    found = []
    if files.has("vocab.txt"):
        found.append(("vocab.txt", ""))
    if files.has("merges.txt") or (files.has("vocab.json") and not files.named((".model",))):
        found.append(("merges.txt", ""))
    models = files.named((".model", ".spm"))
    if len(models) > 1:
        raise InputError(f"several SentencePiece models ({', '.join(models)}): name one of them", path=files.path)
    if models:
        found.append((".model", models[0]))
    if not found:
        raise InputError(
            "no tokenizer: expected tokenizer.json, vocab.txt, vocab.json with merges.txt, a SentencePiece .model, or"
            " source.spm with target.spm and vocab.json",
            path=files.path,
        )
    if len(found) > 1:
        names = ", ".join(model or kind for kind, model in found)
        raise InputError(f"several vocabularies ({names}): name the file that is to be read", path=files.path)
    return found[0]


def _from_json(files: ModelFiles, options: dict[str, Any]) -> SubwordTokenizer:
    path = files.folder / "tokenizer.json"
    for key in options:
        raise InputError(f"{key}: a tokenizer.json says how texts are cut; remove the option", path=path)
    engine = read_engine(files.content("tokenizer.json"), path)
    special = [token.content for token in engine.get_added_tokens_decoder().values() if token.special]
    ids = files.special_ids(engine.token_to_id, usual_names(special))
    length = files.max_length
    with explained(path, "a tokenizer.json that cannot be used"):
        return HuggingFaceTokenizer(engine, files.files(), ids, length)


def _marian(files: ModelFiles, options: dict[str, Any], *, target: bool) -> SubwordTokenizer:
    spm = "target.spm" if target else "source.spm"
    for needed in ("source.spm", "target.spm"):
        if not (files.folder / needed).is_file():
            raise InputError(f"no {needed} beside it", path=files.path)
        files.content(needed)
    separate = files.flag("separate_vocabs", False)
    vocabulary = ids_of_vocab_json(files)
    if separate:
        theirs = ids_of_vocab_json(files, "target_vocab.json")
        vocabulary = theirs if target else vocabulary
    engine = sentencepiece_engine(files.content(spm), files.folder / spm)
    ids = files.special_ids(vocabulary.get, FORMS["marian"].names)
    for role in ("end", "unknown"):
        if role not in ids:
            raise InputError(f"no {FORMS['marian'].names[role]!r}, the {role} token", path=files.folder / "vocab.json")
    return SentencePieceTokenizer(engine, vocabulary, files.files(), ids, files.max_length, options)


def _sentencepiece(files: ModelFiles, options: dict[str, Any], model: str) -> SubwordTokenizer:
    engine = sentencepiece_engine(files.content(model), files.folder / model)
    roles = {"unknown": engine.unk_id(), "begin": engine.bos_id(), "end": engine.eos_id(), "pad": engine.pad_id()}
    ids = {role: id for role, id in roles.items() if id >= 0}
    return SentencePieceTokenizer(engine, None, files.files(), ids, files.max_length, options)

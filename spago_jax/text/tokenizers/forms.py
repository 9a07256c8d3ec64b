# SPDX-License-Identifier: BSD-2-Clause
"""The forms of tokenizers whose vocabulary comes without a ``tokenizer.json``: what each model family does with it."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from spago_jax.errors import InputError, did_you_mean
from spago_jax.text.tokenizers.model_files import ModelFiles

__all__ = ["FORMS", "Form", "find_form"]

_BERT = {"unknown": "[UNK]", "pad": "[PAD]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
_ROBERTA = {
    "begin": "<s>", "end": "</s>", "sep": "</s>", "cls": "<s>", "unknown": "<unk>", "pad": "<pad>", "mask": "<mask>",
}  # fmt: skip
_T5 = {"end": "</s>", "unknown": "<unk>", "pad": "<pad>"}
_TWO_ENDS = ("cls A sep", "cls A sep sep B sep")

_LANGUAGES = [
    "ar_AR", "cs_CZ", "de_DE", "en_XX", "es_XX", "et_EE", "fi_FI", "fr_XX", "gu_IN", "hi_IN", "it_IT", "ja_XX",
    "kk_KZ", "ko_KR", "lt_LT", "lv_LV", "my_MM", "ne_NP", "nl_XX", "ro_RO", "ru_RU", "si_LK", "tr_TR", "vi_VN",
    "zh_CN",
]  # fmt: skip
_LANGUAGES_50 = [
    *_LANGUAGES,
    "af_ZA", "az_AZ", "bn_IN", "fa_IR", "he_IL", "hr_HR", "id_ID", "ka_GE", "km_KH", "mk_MK", "ml_IN", "mn_MN",
    "mr_IN", "pl_PL", "ps_AF", "pt_XX", "sv_SE", "sw_KE", "ta_IN", "te_IN", "th_TH", "tl_XX", "uk_UA", "ur_PK",
    "xh_ZA", "gl_ES", "sl_SI",
]  # fmt: skip

Piece = tuple[str, float]


@dataclasses.dataclass(frozen=True)
class Form:
    """What a model family does with its vocabulary.

    Attributes:
        vocabulary: the kind of vocabulary: ``vocab.txt``, ``merges.txt`` (with ``vocab.json``), ``.model``, or
            ``source.spm`` (with ``target.spm`` and ``vocab.json``).
        names: the special tokens by role, where no file names others.
        single: the layout of one text: roles and ``A``, with ``:1`` after those of segment 1.
        pair: the layout of two texts.
        wide_mask: whether the mask takes the space before it, as a word does.
        arranged: the vocabulary made of SentencePiece's pieces.
        unknown: the id of the unknown token in it.
        languages: the codes of languages that it has, one of which stands in the layout as ``language``.
        extra: further special tokens.
        words_first: whether the text is cut at white space before pieces are looked for.
    """

    vocabulary: str
    names: Mapping[str, str]
    single: str = "A"
    pair: str = "A B"
    wide_mask: bool = False
    arranged: Callable[[Sequence[Piece]], list[Piece]] = list
    unknown: int = 0
    languages: Sequence[str] = ()
    extra: Sequence[str] = ()
    words_first: bool = True


def _xlm_roberta(pieces: Sequence[Piece], languages: Sequence[str] = ()) -> list[Piece]:
    return [*_zero("<s>", "<pad>", "</s>", "<unk>"), *pieces[3:], *_zero(*languages, "<mask>")]


def _camembert(pieces: Sequence[Piece]) -> list[Piece]:
    # The unknown token of the pieces comes a second time under another name, so far down that it is never chosen.
    head = _zero("<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>")
    return [*head, ("<unk>NOTUSED", -100.0), *pieces[1:], ("<mask>", 0.0)]


def _albert(pieces: Sequence[Piece]) -> list[Piece]:
    # "9," is read as "9" and ",".
    def joined(piece: str) -> bool:
        return len(piece) > 1 and piece[-1] == "," and piece[-2].isdigit()

    return [(piece, score - 100 if joined(piece) else score) for piece, score in pieces]


_SENTINELS = [f"<extra_id_{number}>" for number in reversed(range(100))]
_UNUSED = [f"<unk_{number}>" for number in range(2, 103)]


def _t5(pieces: Sequence[Piece]) -> list[Piece]:
    return [*pieces, *_zero(*_SENTINELS)]


def _pegasus(pieces: Sequence[Piece]) -> list[Piece]:
    head = _zero("<pad>", "</s>", "<mask_1>", "<mask_2>")
    return [*head, *((token, -100.0) for token in _UNUSED), *pieces[2:]]


def _zero(*tokens: str) -> list[Piece]:
    return [(token, 0.0) for token in tokens]


FORMS: dict[str, Form] = {
    "bert": Form("vocab.txt", _BERT, "cls A sep", "cls A sep B:1 sep:1"),
    "mpnet": Form("vocab.txt", {**_ROBERTA, "unknown": "[UNK]"}, *_TWO_ENDS, wide_mask=True),
    "roberta": Form("merges.txt", _ROBERTA, *_TWO_ENDS, wide_mask=True),
    "gpt2": Form("merges.txt", dict.fromkeys(("begin", "end", "unknown"), "<|endoftext|>")),
    "xlm-roberta": Form(".model", _ROBERTA, *_TWO_ENDS, wide_mask=True, arranged=_xlm_roberta, unknown=3),
    "camembert": Form(
        ".model", _ROBERTA, *_TWO_ENDS, wide_mask=True, arranged=_camembert, unknown=3,
        extra=("<s>NOTUSED", "</s>NOTUSED", "<unk>NOTUSED"),
    ),
    "albert": Form(
        ".model",
        {"begin": "[CLS]", "end": "[SEP]", "cls": "[CLS]", "sep": "[SEP]", "unknown": "<unk>", "pad": "<pad>",
         "mask": "[MASK]"},
        "cls A sep", "cls A sep B:1 sep:1", wide_mask=True, arranged=_albert, unknown=1,
    ),
    "t5": Form(".model", _T5, "A end", "A end B end", arranged=_t5, unknown=2, extra=_SENTINELS),
    "pegasus": Form(
        ".model", {**_T5, "mask": "<mask_2>"}, "A end", "A B end", arranged=_pegasus, unknown=105,
        extra=("<mask_1>", *_UNUSED), words_first=False,
    ),
    "mbart": Form(
        ".model", _ROBERTA, "A end language", "A B end language", wide_mask=True, unknown=3, languages=_LANGUAGES,
        arranged=lambda pieces: _xlm_roberta(pieces, _LANGUAGES),
    ),
    "mbart50": Form(
        ".model", _ROBERTA, "language A end", "language A B end", wide_mask=True, unknown=3, languages=_LANGUAGES_50,
        arranged=lambda pieces: _xlm_roberta(pieces, _LANGUAGES_50), words_first=False,
    ),
    "marian": Form("source.spm", {"end": "</s>", "unknown": "<unk>", "pad": "<pad>"}, "A end", "A B end"),
    "sentencepiece": Form(".model", {}),
}  # fmt: skip
"""The forms by name."""

_CLASSES = {
    "Albert": "albert", "Bart": "roberta", "Bert": "bert", "Camembert": "camembert", "DistilBert": "bert",
    "Electra": "bert", "GPT2": "gpt2", "Longformer": "roberta", "MBart": "mbart", "MBart50": "mbart50",
    "MPNet": "mpnet", "MT5": "t5", "Marian": "marian", "MobileBert": "bert", "Pegasus": "pegasus",
    "Roberta": "roberta", "T5": "t5",
    "XLMRoberta": "xlm-roberta",
}  # fmt: skip
_MODEL_TYPES = {
    **{name: name for name in FORMS if name != "sentencepiece"},
    **{name: "bert" for name in ("distilbert", "electra", "mobilebert")},
    **{name: "roberta" for name in ("bart", "longformer")},
    "mt5": "t5",
}
_ANY_CLASS = ("PreTrainedTokenizerFast", "PreTrainedTokenizer", "TokenizersBackend")  # they say nothing


def find_form(files: ModelFiles, vocabulary: str, name: str | None) -> str:
    """Returns the name of the form of a bare vocabulary.

    The class that ``tokenizer_config.json`` names decides, then the ``model_type`` in ``config.json``, then the
    vocabulary itself.

    Args:
        files: the files of the model.
        vocabulary: the kind of its vocabulary.
        name: the form that the user chose.

    Raises:
        InputError: the form is unknown, or does not have such a vocabulary, or is not known to anybody.
    """
    if name is not None:
        if name not in FORMS:
            raise InputError(f"unknown form of a tokenizer {name!r}: {did_you_mean(name, FORMS)}")
        return _of_this_vocabulary(files, vocabulary, name, f"form {name!r}", "")
    path = files.folder / "tokenizer_config.json"
    named = files.config.get("tokenizer_class")
    if named is not None and named not in _ANY_CLASS:
        known = str(named).removesuffix("Fast").removesuffix("Tokenizer")
        if known not in _CLASSES:
            classes = [f"{known}Tokenizer" for known in _CLASSES]
            hint = did_you_mean(str(named), classes)
            raise InputError(f"tokenizer_class {named!r} is not supported without a tokenizer.json: {hint}", path=path)
        return _of_this_vocabulary(files, vocabulary, _CLASSES[known], f"tokenizer_class {named!r}", path.name)
    if vocabulary == "source.spm":
        return "marian"
    model_type = files.json("config.json").get("model_type")
    form = _MODEL_TYPES.get(str(model_type))
    if form is not None and FORMS[form].vocabulary == vocabulary:
        return form
    if model_type is None and vocabulary == ".model":
        return "sentencepiece"
    tokens = set(files.text("vocab.txt").split("\n")) if vocabulary == "vocab.txt" else ()
    if vocabulary == "merges.txt":
        tokens = files.json("vocab.json")
    for form, signs in (("bert", {"[CLS]", "[SEP]"}), ("roberta", {"<s>", "</s>"}), ("gpt2", {"<|endoftext|>"})):
        if signs <= set(tokens):
            return "mpnet" if form == "roberta" and vocabulary == "vocab.txt" else form
    if files.has("sentencepiece.bpe.model"):
        return "xlm-roberta"
    raise InputError(
        f"no file says how the vocabulary is used: model_type is {model_type!r}, and there is no tokenizer_class; name"
        f" the form ({', '.join(name for name, form in FORMS.items() if form.vocabulary == vocabulary)})",
        path=files.path,
    )


def _of_this_vocabulary(files: ModelFiles, vocabulary: str, form: str, who: str, file: str) -> str:
    expected = FORMS[form].vocabulary
    if expected != vocabulary:
        raise InputError(
            f"{who} has a vocabulary in {expected}, and there is one in {vocabulary}: the files are of two models",
            path=files.folder / file if file else files.path,
        )
    return form

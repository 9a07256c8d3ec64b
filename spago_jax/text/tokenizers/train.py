# SPDX-License-Identifier: BSD-2-Clause
"""Learns the vocabulary of a sub-word tokenizer from texts."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from spago_jax.errors import InputError, did_you_mean
from spago_jax.text.tokenizers.huggingface import HuggingFaceTokenizer, tokenizers_package
from spago_jax.text.unicode import refuse_surrogates

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["KINDS", "train_tokenizer"]

KINDS = ("wordpiece", "bpe", "unigram", "characters", "words")
Marks = Literal["both", "end"]
_BERT = {"unk": "[UNK]", "pad": "[PAD]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
_ROBERTA = {
    "bos": "<s>", "eos": "</s>", "unk": "<unk>", "pad": "<pad>", "cls": "<s>", "sep": "</s>", "mask": "<mask>",
}  # fmt: skip
_ORDER = {"wordpiece": ("pad", "unk", "cls", "sep", "mask"), "bpe": ("bos", "pad", "eos", "unk", "mask")}
_ORDER |= dict.fromkeys(("unigram", "characters", "words"), _ORDER["bpe"])
_ROLES = {"bos": "begin", "eos": "end", "unk": "unknown"}
_AT_ONCE = 1000  # words in one text
_STEP = 1.5e-4  # more than the distance of letters that come back, see below
_LETTERS = 1000  # those that a WordPiece vocabulary has at most; rarer ones are unknown


def train_tokenizer(
    texts: Iterable[str],
    *,
    kind: str,
    size: int,
    lowercase: bool = False,
    min_count: int = 2,
    max_length: int | None = None,
    marks: Marks = "both",
) -> HuggingFaceTokenizer:
    """Learns a vocabulary.

    ``wordpiece`` cuts as BERT does, with pieces that continue a word marked ``##``; ``bpe`` cuts bytes as RoBERTa does,
    so that no text is unknown; ``unigram`` cuts as XLM-R does, into the most likely pieces; ``characters`` and
    ``words`` (apart by blanks) are the most frequent ones, with XLM-R's special tokens. The special tokens, and their
    places beside a text, are those of these models. ``save`` writes ``tokenizer.json`` and
    ``tokenizer_config.json``, which transformers reads as well.

    Args:
        texts: texts, such as the lines of a file; they are read once.
        kind: wordpiece, bpe, unigram, characters or words.
        size: the most tokens that the vocabulary may have, special ones included.
        lowercase: lower-case texts first; for WordPiece accents are removed too, as BERT's do.
        min_count: how often two pieces must stand beside each other to be joined (wordpiece and bpe), or a character
            or a word must occur to be known.
        max_length: the most ids that a model reads, noted in the config.
        marks: the special tokens beside a text: at ``both`` sides, or at its ``end`` alone, as encoder-decoders such as
            Marian and T5 read and write it.

    Raises:
        InputError: for an unknown kind, a size that has no room for letters, or texts without any.

    >>> tokenizer = train_tokenizer(["the cat sat", "the mats"] * 9, kind="wordpiece", size=30)
    >>> tokenizer.encode("the cats").tokens
    ['[CLS]', 'the', 'cat', '##s', '[SEP]']
    """
    if kind not in KINDS:
        raise InputError(f"unknown kind of vocabulary {kind!r}: {did_you_mean(kind, KINDS)}")
    for name, value, least in (("min_count", min_count, 1), ("max_length", max_length, 1)):
        if value is not None and value < least:
            raise InputError(f"{name}: {value}, expected {least} or more")
    names = _BERT if kind == "wordpiece" else _ROBERTA
    special = [names[role] for role in _ORDER[kind]]
    least = len(special) + (256 if kind == "bpe" else 1)
    if size < least:
        what = "the special tokens and all bytes" if kind == "bpe" else "the special tokens and a letter"
        raise InputError(f"size: {size}, expected {least} or more, which {what} take")
    library = tokenizers_package()
    engine = _untrained(library, kind, lowercase)
    checked = _Checked(texts)
    learn = {"wordpiece": _learn_wordpiece, "bpe": _learn_bpe, "unigram": _learn_unigram}.get(kind, _learn_whole)
    try:
        learn(library, engine, checked, size, min_count, special)
    except InputError:
        raise
    except Exception as error:  # the package raises nothing more special
        raise checked.error or InputError(f"no vocabulary can be learned from these texts: {error}") from None
    if checked.error is not None:
        raise checked.error
    if not checked.letters:
        raise InputError("no text to learn from: the files have no letters")
    found = engine.get_vocab_size(with_added_tokens=True)
    if found > size:
        raise InputError(f"size: {size}, expected {found} or more, which the letters of these texts take")
    _finish(library, engine, kind, names, marks)
    config: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast"}  # which reads tokenizer.json as it is
    config |= {f"{role}_token": token for role, token in names.items()}
    if max_length is not None:
        config["model_max_length"] = max_length
    files = {
        "tokenizer.json": engine.to_str(pretty=True).encode("utf-8"),
        "tokenizer_config.json": (json.dumps(config, indent=2, ensure_ascii=False) + "\n").encode("utf-8"),
    }
    ids = {_ROLES.get(role, role): engine.token_to_id(token) for role, token in names.items()}
    ids.setdefault("begin", ids["cls"])
    ids.setdefault("end", ids["sep"])
    return HuggingFaceTokenizer(engine, files, ids, max_length)


class _Checked:
    """Passes texts on and notes whether there was any; keeps the error of a bad one, which the package would hide."""

    def __init__(self, texts: Iterable[str]):
        self._texts = texts
        self.letters = False
        self.error: InputError | None = None

    def __iter__(self) -> Iterator[str]:
        try:
            for number, text in enumerate(self._texts, 1):
                self.letters = self.letters or bool(text and not text.isspace())
                yield refuse_surrogates(text, f"text {number}: ")
        except InputError as error:
            self.error = error


def _untrained(library: ModuleType, kind: str, lowercase: bool) -> "Tokenizer":
    """The engine without a vocabulary."""
    rules, words = library.normalizers, library.pre_tokenizers
    if kind == "wordpiece":
        engine = library.Tokenizer(library.models.WordPiece(unk_token="[UNK]"))
        engine.normalizer = rules.BertNormalizer(lowercase=lowercase)
        engine.pre_tokenizer = words.BertPreTokenizer()
        engine.decoder = library.decoders.WordPiece(prefix="##")
    elif kind == "bpe":
        engine = library.Tokenizer(library.models.BPE())
        if lowercase:
            engine.normalizer = rules.Lowercase()
        engine.pre_tokenizer = words.ByteLevel(add_prefix_space=False)
        engine.decoder = library.decoders.ByteLevel()
    elif kind in ("characters", "words"):
        engine = library.Tokenizer(library.models.WordLevel({}, unk_token="<unk>"))
        if lowercase:
            engine.normalizer = rules.Lowercase()
        if kind == "characters":
            engine.pre_tokenizer = words.Split(library.Regex(r"[\s\S]"), "isolated")
            engine.decoder = library.decoders.Fuse()
        else:
            engine.pre_tokenizer = words.WhitespaceSplit()  # and blanks stand between words again without a decoder
    else:
        engine = library.Tokenizer(library.models.Unigram())
        steps = [rules.NFKC(), *([rules.Lowercase()] if lowercase else [])]
        engine.normalizer = rules.Sequence([*steps, rules.Replace(library.Regex(r"\s+"), " "), rules.Strip()])
        engine.pre_tokenizer = words.Metaspace(replacement="▁", prepend_scheme="always")
        engine.decoder = library.decoders.Metaspace(replacement="▁", prepend_scheme="always")
    return engine


# The package goes through words in an order of its own, another one at each run, and numbers what it meets on the way.
# The same texts have to give the same vocabulary: so WordPiece is told the letters beforehand, and Unigram's pieces are
# put in order afterwards.


def _learn_wordpiece(
    library: ModuleType, engine: "Tokenizer", texts: Iterable[str], size: int, min_count: int, special: list[str]
) -> None:
    words: Counter[str] = Counter()
    for text in texts:
        cut = engine.pre_tokenizer.pre_tokenize_str(engine.normalizer.normalize_str(text))
        words.update(word for word, _ in cut)
    letters: Counter[str] = Counter()
    for word, count in words.items():
        for letter in word:
            letters[letter] += count
    most = min(_LETTERS, (size - len(special)) // 2)
    kept = sorted(sorted(letters, key=lambda letter: (-letters[letter], letter))[:most])
    inner = sorted({letter for word in words for letter in word[1:]}.intersection(kept))
    trainer = library.trainers.WordPieceTrainer(
        vocab_size=size,
        min_frequency=min_count,
        show_progress=False,
        special_tokens=[*special, *(f"##{letter}" for letter in inner)],
        initial_alphabet=kept,
        limit_alphabet=len(kept),
    )
    scratch = library.Tokenizer(library.models.WordPiece(unk_token="[UNK]"))
    scratch.pre_tokenizer = engine.pre_tokenizer
    scratch.train_from_iterator(_repeated(words), trainer)  # which takes the letters within words for special tokens
    engine.model = library.models.WordPiece(scratch.get_vocab(with_added_tokens=False), unk_token="[UNK]")
    engine.add_special_tokens(special)


def _repeated(words: Counter[str]) -> Iterator[str]:
    for word in sorted(words):
        for begin in range(0, words[word], _AT_ONCE):
            yield " ".join([word] * min(_AT_ONCE, words[word] - begin))


def _learn_bpe(
    library: ModuleType, engine: "Tokenizer", texts: Iterable[str], size: int, min_count: int, special: list[str]
) -> None:
    trainer = library.trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=min_count,
        show_progress=False,
        special_tokens=special,
        initial_alphabet=library.pre_tokenizers.ByteLevel.alphabet(),
    )
    engine.train_from_iterator(iter(texts), trainer)


def _learn_unigram(
    library: ModuleType, engine: "Tokenizer", texts: Iterable[str], size: int, min_count: int, special: list[str]
) -> None:
    trainer = library.trainers.UnigramTrainer(
        vocab_size=size, show_progress=False, special_tokens=special, unk_token="<unk>"
    )
    engine.train_from_iterator(iter(texts), trainer)
    learned: dict[str, float] = dict(json.loads(engine.to_str())["model"]["vocab"])
    pieces = {piece: score for piece, score in learned.items() if piece not in special}
    # Letters that the training threw out come back at its end, one after the other a little above the lowest score.
    by_score = sorted((piece for piece in pieces if len(piece) == 1), key=lambda piece: pieces[piece])
    back = by_score[:1]
    for piece in by_score[1:]:
        if pieces[piece] - pieces[back[-1]] > _STEP:
            break
        back.append(piece)
    scores = [pieces[piece] for piece in back]
    pieces.update(zip(sorted(back), scores, strict=True))
    rounded = [(piece, round(score, 6)) for piece, score in pieces.items()]
    ordered = sorted(rounded, key=lambda item: (-item[1], item[0]))
    head = [(token, 0.0) for token in special]
    engine.model = library.models.Unigram([*head, *ordered], unk_id=special.index("<unk>"), byte_fallback=False)


def _learn_whole(
    library: ModuleType, engine: "Tokenizer", texts: Iterable[str], size: int, min_count: int, special: list[str]
) -> None:
    counts: Counter[str] = Counter()
    for text in texts:
        if engine.normalizer is not None:
            text = engine.normalizer.normalize_str(text)
        counts.update(piece for piece, _ in engine.pre_tokenizer.pre_tokenize_str(text))
    often = [piece for piece, count in counts.items() if count >= min_count and piece not in special]
    kept = sorted(often, key=lambda piece: (-counts[piece], piece))[: size - len(special)]
    if not kept and any(piece.strip() for piece in counts):
        raise InputError(f"min_count: {min_count}, and nothing in these texts occurs as often")
    vocabulary = {piece: number for number, piece in enumerate([*special, *kept])}
    engine.model = library.models.WordLevel(vocabulary, unk_token="<unk>")
    engine.add_special_tokens(special)


def _finish(library: ModuleType, engine: "Tokenizer", kind: str, names: dict[str, str], marks: Marks) -> None:
    """Sets the layout of special tokens, and the space that a mask takes the place of."""
    cls, sep = ((names[role], engine.token_to_id(names[role])) for role in ("cls", "sep"))
    if marks == "end":
        end = names["sep"]
        engine.post_processor = library.processors.TemplateProcessing(
            single=f"$A {end}", pair=f"$A {end} $B {end}", special_tokens=[sep]
        )
    elif kind == "bpe":
        engine.post_processor = library.processors.RobertaProcessing(sep, cls, add_prefix_space=False)
    else:
        pair = "[CLS] $A [SEP] $B:1 [SEP]:1" if kind == "wordpiece" else "<s> $A </s> </s> $B </s>"
        single = "[CLS] $A [SEP]" if kind == "wordpiece" else "<s> $A </s>"
        engine.post_processor = library.processors.TemplateProcessing(
            single=single, pair=pair, special_tokens=[cls, sep]
        )
    if kind != "wordpiece":
        engine.add_special_tokens([library.AddedToken(names["mask"], lstrip=True, normalized=False)])

"""Question answering and replaced-token detection, against brute force in NumPy from PyTorch's logits."""

import unicodedata

import numpy as np
import pytest
from helpers import refuses
from hypothesis import given, settings
from hypothesis import strategies as st
from pipeline_models import LONG, NUMBERS, TAGS, TEXTS, write_model

import spago_jax as sj
from spago_jax.tasks.question_answering.processor import QuestionProcessor
from spago_jax.tasks.question_answering.spans import Window, best_spans
from spago_jax.text.tokenizers.load import load_tokenizer

QUESTION = "Where did she write it?"
oracle = [pytest.mark.oracle, pytest.mark.shared_data]


@pytest.fixture(scope="module")
def folders(tmp_path_factory, shared_data):
    root, tokenizer = tmp_path_factory.mktemp("pretrained"), shared_data / "tok-bert-uncased"
    made = {
        "spans": write_model(root / "spans", "BertForQuestionAnswering", tokenizer),
        "fakes": write_model(root / "fakes", "ElectraForPreTraining", tokenizer, embedding_size=8),
        "tags": write_model(root / "tags", "BertForTokenClassification", tokenizer, TAGS),
    }
    balance(made["fakes"])
    return made


def balance(folder):
    """Moves the logits of a discriminator so that about half of the words are judged to be replaced."""
    import torch
    import transformers

    model = transformers.ElectraForPreTraining.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    batch = tokenizer(LONG, truncation=True, max_length=128, return_tensors="pt")
    with torch.no_grad():
        middle = model(**batch).logits.median() - 0.03  # not that of any word, which would then be zero
        model.discriminator_predictions.dense_prediction.bias -= middle
    model.save_pretrained(folder)


@pytest.fixture(scope="module")
def reader(folders):
    return sj.load_task("question-answering", folders["spans"])


@pytest.fixture(scope="module")
def theirs(folders):
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(folders["spans"])
    models = {
        "spans": transformers.BertForQuestionAnswering.from_pretrained(folders["spans"]).eval(),
        "fakes": transformers.ElectraForPreTraining.from_pretrained(folders["fakes"]).eval(),
    }
    return tokenizer, models


def windows_of(tokenizer, model, texts, cut, stride, most=128):
    """Their windows: for each the numbers of the text's pieces that it holds, and the model's outputs there."""
    import torch

    text = texts[-1]
    whole = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    number = {tuple(offset): n for n, offset in enumerate(whole["offset_mapping"])}
    marks = 2 if len(texts) == 1 else 3
    room = most - marks - sum(len(tokenizer(t, add_special_tokens=False)["input_ids"]) for t in texts[:-1])
    found = tokenizer(
        *texts, truncation=cut, max_length=most, stride=min(stride, room // 2), return_overflowing_tokens=True,
        return_offsets_mapping=True, padding=True, return_tensors="pt",
    )  # fmt: skip
    offsets = found.pop("offset_mapping")
    found.pop("overflow_to_sample_mapping")
    with torch.no_grad():
        outputs = model(**found)
    windows = []
    for row in range(len(offsets)):
        held = [i for i, part in enumerate(found.sequence_ids(row)) if part == len(texts) - 1]
        windows.append((held, [number[tuple(offsets[row][i].tolist())] for i in held]))
    return whole, windows, outputs


def owners(windows):
    """The window in which each piece stands farthest from a cut; the first of equals."""
    best = {}
    for w, (held, pieces) in enumerate(windows):
        for k, piece in enumerate(pieces):
            context = min(k, len(held) - 1 - k)
            if piece not in best or context > best[piece][0]:
                best[piece] = (context, w)
    return {piece: w for piece, (_, w) in best.items()}


def written_without_blanks(text):
    return any(unicodedata.name(char, "").startswith(("HIRAGANA", "KATAKANA", "CJK UNIFIED")) for char in text)


def brute(theirs, question, passage, *, top_k=3, longest=20, no_answer=False, min_score=0.0):
    """Every span of every window, in plain Python."""
    tokenizer, models = theirs
    whole, windows, outputs = windows_of(tokenizer, models["spans"], (question, passage), "only_second", 128)
    starts, ends = (array.double().numpy() for array in (outputs.start_logits, outputs.end_logits))
    owner, spans = owners(windows), []
    for w, (held, pieces) in enumerate(windows):
        for a, i in zip(held, pieces, strict=True):
            for b, j in zip(held, pieces, strict=True):
                if owner[i] == w and i <= j < i + longest:
                    spans.append((starts[w, a] + ends[w, b], i, j))
    if no_answer:
        spans.append((min(starts[w, 0] + ends[w, 0] for w in range(len(windows))), -1, -1))
    weights = np.exp(np.array([span[0] for span in spans]) - max(span[0] for span in spans))
    scores, words = weights / weights.sum(), whole.word_ids(0)
    answers = {}
    for place in np.argsort(-scores, kind="stable"):
        _, i, j = spans[place]
        if scores[place] < min_score or len(answers) == top_k:
            break
        begin = end = 0
        if i >= 0:
            places = whole["offset_mapping"]
            begin, end = places[i][0], places[j][1]
            if not written_without_blanks(passage[begin:end]):
                begin = min(place[0] for place, word in zip(places, words, strict=True) if word == words[i])
                end = max(place[1] for place, word in zip(places, words, strict=True) if word == words[j])
        answers.setdefault(passage[begin:end].casefold(), (begin, end, scores[place]))
    return list(answers.values())


def same(answers, expected, passage):
    assert [(a.start, a.end) for a in answers] == [(begin, end) for begin, end, _ in expected], passage
    np.testing.assert_allclose([a.score for a in answers], [score for *_, score in expected], rtol=1e-3)
    assert all(a.text == passage[a.start : a.end] for a in answers)


class TestQuestionAnswering:
    pytestmark = oracle

    def test_answers_are_those_of_enumeration(self, reader, theirs):
        """Emoji, combining marks, CJK, right-to-left and all: spans are ``passage[start:end]``."""
        passages = [passage for passage in TEXTS if passage.strip()]
        for passage, answers in zip(passages, reader([QUESTION] * len(passages), passages), strict=True):
            same(answers, brute(theirs, QUESTION, passage), passage)

    @pytest.mark.parametrize("no_answer", [False, True])
    def test_a_long_passage_is_read_in_windows_and_spans_compete_over_all_of_them(self, reader, theirs, no_answer):
        options = {"top_k": 5, "no_answer": no_answer}
        same(reader(QUESTION, LONG, **options), brute(theirs, QUESTION, LONG, **options), LONG)

    def test_options(self, reader, theirs):
        passage = TEXTS[0]
        same(reader(QUESTION, passage, max_answer_length=1), brute(theirs, QUESTION, passage, longest=1), passage)
        best = brute(theirs, QUESTION, passage, top_k=4)
        between = (best[1][2] + best[2][2]) / 2
        same(reader(QUESTION, passage, top_k=4, min_score=between), best[:2], passage)
        assert len(reader(QUESTION, passage, min_score=1.0)) == 0
        everything = reader(QUESTION, passage, top_k=500)
        assert len({answer.text.casefold() for answer in everything}) == len(everything)

    def test_no_answer_competes_with_the_spans(self, reader, theirs):
        found = [reader(QUESTION, text, top_k=500, no_answer=True) for text in TEXTS[:6]]
        for text, answers in zip(TEXTS[:6], found, strict=True):
            same(answers, brute(theirs, QUESTION, text, top_k=500, no_answer=True), text)
            (empty,) = [answer for answer in answers if not answer.text]
            assert (empty.start, empty.end) == (0, 0)

    def test_an_empty_passage_has_no_answers(self, reader):
        for passage in ("", "  \n "):
            assert list(reader(QUESTION, passage)) == []
            (answer,) = reader(QUESTION, passage, no_answer=True)
            assert (answer.text, answer.score) == ("", 1.0)

    def test_bad_input(self, reader):
        with refuses("the question is empty"):
            reader(" ", "passage")
        with refuses("2 questions and 1 passages: expected one for each"):
            reader(["a", "b"], ["c"])
        with refuses("'who?' has no passage to find answers in: give passage=, or (question, passage)"):
            reader("who?")
        with refuses(
            "'word word word word word word word word word word word word has 130 pieces, which leaves no room for the "
            "passage: at most 124 fit beside one piece of it; shorten it, or raise max_length"
        ):
            reader("word " * 130, "passage")
        with refuses("3 is a int, expected a passage, which is a text"):
            reader("who?", 3)


@pytest.mark.shared_data
@pytest.mark.parametrize("name", ["tok-bert-uncased", "tok-bart-roberta"])
def test_a_chinese_question_finds_a_name_of_three_characters_in_a_sentence_without_blanks(shared_data, name):
    """spaGO's users asked for it: the answer ends where the name ends, not where the sentence does."""
    processor = QuestionProcessor(load_tokenizer(shared_data / name), 64)
    passage = "去年李小龙在北京大学读书。"
    example = processor.example(("谁在北京读书？", passage))
    rows = processor.encode([example])
    (encoding,) = rows.encodings
    begin = passage.index("李小龙")
    inside = [
        i for i, (part, (a, b)) in enumerate(zip(encoding.sequence_ids, encoding.offsets, strict=True))
        if part == 1 and begin <= a and b <= begin + 3
    ]  # fmt: skip
    start, end = np.zeros(len(encoding.ids)), np.zeros(len(encoding.ids))
    start[inside[0]], end[inside[-1]] = 9, 9
    answer = processor.decode([{"start": start, "end": end}], rows, [0], example)[0]
    assert (answer.text, answer.start, answer.end) == ("李小龙", 2, 5)


@st.composite
def read_in_windows(draw):
    """A passage of some pieces, the windows that it is read in, and their logits."""
    pieces, room = draw(st.integers(1, 12)), draw(st.integers(2, 7))
    step = draw(st.integers(1, room))
    starts = [0]
    while starts[-1] + room < pieces:
        starts.append(starts[-1] + step)
    logit = st.integers(-4, 4).map(float)
    windows = []
    for first in starts:
        held = range(first, min(first + room, pieces))
        places = np.array([-1, *held, -1])
        numbers = st.lists(logit, min_size=len(places), max_size=len(places)).map(np.array)
        windows.append(Window(draw(numbers), draw(numbers), places, draw(logit)))
    return pieces, windows


@settings(max_examples=60)
@given(read_in_windows(), st.integers(1, 5), st.booleans())
def test_the_best_spans_are_those_of_enumeration(read, longest, no_answer):
    pieces, windows = read
    held = [([i for i, p in enumerate(w.pieces) if p >= 0], [p for p in w.pieces.tolist() if p >= 0]) for w in windows]
    owner, logs = owners(held), {}
    for w, (places, numbers) in enumerate(held):
        for a, i in zip(places, numbers, strict=True):
            for b, j in zip(places, numbers, strict=True):
                if owner[i] == w and i <= j < i + longest:
                    logs[(i, j)] = windows[w].start[a] + windows[w].end[b]
    if no_answer:
        logs[(-1, -1)] = min(window.none for window in windows)
    total = sum(np.exp(log) for log in logs.values())
    found = best_spans(windows, pieces, longest=longest, count=len(logs), no_answer=no_answer)
    assert {(span.first, span.last) for span in found} == set(logs)
    assert sum(span.probability for span in found) == pytest.approx(1)
    for span in found:
        assert span.probability == pytest.approx(np.exp(logs[(span.first, span.last)]) / total)
    assert [s.probability for s in found] == sorted((s.probability for s in found), reverse=True)


class TestReplacedTokenDetection:
    pytestmark = oracle

    def test_each_word_is_judged_by_its_most_suspicious_piece(self, folders, theirs):
        """spaGO's "discriminate", over texts of many scripts and over one that is read in windows."""
        tokenizer, models = theirs
        detector = sj.load_task("replaced-token-detection", folders["fakes"])
        texts = [*TEXTS, LONG]
        labels = set()
        for text, judged in zip(texts, detector(texts), strict=True):
            if text == NUMBERS:  # whose numbers are one word here, whatever the pieces are
                continue
            whole, windows, outputs = windows_of(tokenizer, models["fakes"], (text,), "only_first", 64)
            owner, logits = owners(windows), {}
            for w, (held, pieces) in enumerate(windows):
                for place, piece in zip(held, pieces, strict=True):
                    if owner[piece] == w:
                        logits[piece] = float(outputs.logits[w, place])
            words = whole.word_ids(0)
            expected = []
            for word in dict.fromkeys(words):
                own = [piece for piece, each in enumerate(words) if each == word]
                logit = max(logits[piece] for piece in own)
                begin, end = whole["offset_mapping"][own[0]][0], whole["offset_mapping"][own[-1]][1]
                expected.append((begin, end, "FAKE" if logit > 0 else "REAL", 1 / (1 + np.exp(-abs(logit)))))
            assert [(w.start, w.end, w.label) for w in judged] == [found[:3] for found in expected], text
            np.testing.assert_allclose([w.score for w in judged], [found[3] for found in expected], atol=1e-5)
            assert all(word.text == text[word.start : word.end] for word in judged)
            labels |= {word.label for word in judged}
        assert labels == {"FAKE", "REAL"}

    def test_replaced_words_are_marked_in_the_text(self, folders):
        detector = sj.load_task("replaced-token-detection", folders["fakes"])
        judged = detector(TEXTS[0])
        text = judged.to_text()
        for word in judged:
            assert (f"[{word.text}](FAKE)" in text) == (word.label == "FAKE")


@pytest.mark.oracle
@pytest.mark.shared_data
@pytest.mark.parametrize(("task", "name"), [("replaced-token-detection", "fakes"), ("token-classification", "tags")])
def test_an_empty_text_has_no_words(folders, task, name):
    judge = sj.load_task(task, folders[name])
    for text in ("", "  ", "\u200d"):
        assert judge(text).to_dict()["text"] == text
        assert [found.to_dict()["text"] for found in judge([text, "a", text])] == [text, "a", text]

"""SQuAD's format. Oracles: hand-written files, and the published counts of XQuAD (its SOURCE.md)."""

import gzip
import json

import pytest
from helpers import refuses

from spago_jax.data.examples import Question
from spago_jax.data.formats.squad import Squad, read_squad
from spago_jax.data.notes import BadRows, Notes
from spago_jax.errors import InputError

PASSAGE = "Ada 😀 wrote it. Ada!"


def qa(id="q", question="Who?", **more):
    return {"id": id, "question": question, **more}


def answer(text="Ada", start=0):
    return {"text": text, "answer_start": start}


@pytest.fixture
def write(tmp_path):
    def written(*qas, document=None, name="a.json"):
        paragraphs = [{"context": PASSAGE, "qas": list(qas)}]
        usual = {"version": "x", "data": [{"title": "T", "paragraphs": paragraphs}]}
        document = usual if document is None else document
        content = (document if isinstance(document, str) else json.dumps(document)).encode()
        path = tmp_path / name
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return path

    return written


@pytest.mark.shared_data
@pytest.mark.parametrize("language", ["en", "de", "es"])
def test_xquad(shared_data, language):
    questions = list(read_squad(shared_data / "qa-xquad" / f"xquad.{language}.json"))
    assert len(questions) == 1190
    assert len({question.passage for question in questions}) == 240
    assert len({question.id for question in questions}) == 1190
    for question in questions:
        assert question.answers
        assert not question.impossible
        for text, start in question.answers:
            assert question.passage[start : start + len(text)] == text


@pytest.mark.parametrize("name", ["a.json", "a.json.gz"])
def test_both_versions(write, name):
    path = write(
        qa("1", answers=[answer(), answer("Ada", 16)]),
        qa("2", answers=[], is_impossible=True, plausible_answers=[answer("it", 12)]),
        qa("3"),  # without answers: they are not known
        qa(4, "What?", answers=[answer("it", 12)], is_impossible=False),
        name=name,
    )
    found = list(read_squad(path))
    assert found == [
        Question("1", "Who?", PASSAGE, (("Ada", 0), ("Ada", 16)), False, 1, "T"),
        Question("2", "Who?", PASSAGE, (), True, 2, "T"),
        Question("3", "Who?", PASSAGE, (), False, 3, "T"),
        Question("4", "What?", PASSAGE, (("it", 12),), False, 4, "T"),
    ]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (qa(answers=[answer("Ada", 14)]),
         "a wrong answer_start: 'Ada' does not stand at 14, where '. A' is, but at 16; move such answers with"
         " data.repair_answers: true"),
        (qa(answers=[answer("Ada", -1)]),
         "a wrong answer_start: 'Ada' does not stand at -1, where 'Ada' is, but at 0; move such answers with"
         " data.repair_answers: true"),
        (qa(answers=[answer("Bob", 0)]), "an answer that is not in the passage: 'Bob'"),
        (qa(answers=[answer("", 0)]), "an answer without a text: {'text': '', 'answer_start': 0}"),
        (qa(answers=["Ada"]), "an answer without a text: 'Ada'"),
        (qa(answers=[{"text": "Ada"}]), "an answer without a place: answer_start of 'Ada' is None"),
        (qa(answers=[answer("Ada", True)]), "an answer without a place: answer_start of 'Ada' is True"),
        (qa(answers={"text": ["Ada"]}), "answers are not an array: a dict"),
        (qa(answers=[answer()], is_impossible=True), 'impossible, and answered: [{"text": "Ada", "answer_start": 0}]'),
        (qa(is_impossible="no"), "is_impossible is neither true nor false: 'no'"),
        (qa(question=" "), "no question: ' '"),
        (qa(id=""), "no id: ''"),
        ({"question": "Who?"}, "no id: None"),
    ],
)  # fmt: skip
def test_bad_questions_are_named(write, entry, message):
    path = write(qa("first"), entry)
    with refuses(f"{path}:2: {message} (id {entry.get('id')!r}, data.0.paragraphs.0.qas.1)"):
        list(read_squad(path))
    notes = Notes()
    found = list(read_squad(path, bad=BadRows("questions", skip=True, notes=notes)))
    assert [question.id for question in found] == ["first"]
    assert notes.lines() == [f"1 questions skipped: {message.partition(':')[0]} (the first: {path}:2)"]


def test_an_id_twice(write):
    path = write(qa("x"), qa("y"), qa("x"))
    with refuses(f"{path}:3: the id is there twice: 'x', also of question 1 (id 'x', data.0.paragraphs.0.qas.2)"):
        list(read_squad(path))


def test_wrong_places_are_repaired_on_request(write):
    path = write(qa("1", answers=[answer("Ada", 11)]), qa("2", answers=[answer("Ada", 3)]), qa("3", answers=[answer()]))
    notes = Notes()
    found = list(read_squad(path, repair=True, notes=notes))
    assert [question.answers for question in found] == [(("Ada", 16),), (("Ada", 0),), (("Ada", 0),)]
    assert notes.lines() == [f"2 answers moved to where their text stands (the first: {path}:1)"]
    path = write(qa(answers=[answer("Bob")]))
    with pytest.raises(InputError, match="an answer that is not in the passage: 'Bob'"):
        list(read_squad(path, repair=True))


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{", "not JSON: "),
        ("[]", "the file: [], expected an object"),
        ({}, "data: expected an array, as SQuAD has it; found nothing"),
        ({"rows": []}, "data: expected an array, as SQuAD has it; found 'rows'"),
        ({"data": [3]}, "data.0: 3, expected an object"),
        ({"data": [{"paragraphs": [{"text": "x"}]}]},
         "data.0.paragraphs.0.context: expected a text, as SQuAD has it; found 'text' in data.0.paragraphs.0"),
        ({"data": [{"paragraphs": [{"context": "x", "qas": {}}]}]},
         "data.0.paragraphs.0.qas: expected an array, as SQuAD has it; found 'context', 'qas' in data.0.paragraphs.0"),
        ({"data": [{"paragraphs": [{"context": "\ud83d", "qas": []}]}]},
         "data.0.paragraphs.0.context: character 0 is half of a surrogate pair"),
        ({"data": []}, "no questions"),
    ],
)  # fmt: skip
def test_files_of_another_kind_are_refused(write, document, message):
    path = write(document=document)
    with pytest.raises(InputError) as caught:
        list(read_squad(path))
    assert str(caught.value).startswith(f"{path}: {message}")


def test_as_a_section_of_a_config(write, tmp_path):
    path = write(*[qa(str(number), answers=[answer("Ada", 3)]) for number in range(10)])
    section = Squad(format="squad", train=str(path), dev_fraction=0.2, repair_answers=True, draw_by="question")
    section.check()
    notes = Notes()
    assert section.splits() == ["train", "dev"]
    parts = {split: [question.id for question in section.read(split, notes=notes)] for split in section.splits()}
    assert sorted(parts["train"] + parts["dev"], key=int) == [str(number) for number in range(10)]
    assert len(parts["dev"]) == 2
    with refuses(f"{tmp_path / 'none.json'}: data.train: no such file"):
        Squad(format="squad", train=str(tmp_path / "none.json")).check()


@pytest.mark.parametrize("draw_by", ["passage", "title"])
def test_no_passage_is_drawn_for_two_parts(tmp_path, draw_by):
    """Questions about one passage know each other's answers: of four articles of three passages one is dev."""
    articles = [
        {
            "title": f"article {a}",
            "paragraphs": [
                {"context": f"Ada {a} {p}", "qas": [qa(f"{a}.{p}.{n}", answers=[answer("Ada", 0)]) for n in range(5)]}
                for p in range(3)
            ],
        }
        for a in range(4)
    ]
    path = tmp_path / "articles.json"
    path.write_text(json.dumps({"data": articles}))
    section = Squad(format="squad", train=str(path), dev_fraction=0.25, draw_by=draw_by)
    parts = {split: list(section.read(split)) for split in ("train", "dev")}
    assert {split: len(found) for split, found in parts.items()} == {"train": 45, "dev": 15}
    shared = [{getattr(question, draw_by) for question in found} for found in parts.values()]
    assert not shared[0] & shared[1]
    assert len(shared[1]) == {"passage": 3, "title": 1}[draw_by]
    assert section.settings("dev") != section.model_copy(update={"split_seed": 2}).settings("dev")
    one = Squad(format="squad", train=str(path), dev_fraction=0.1, draw_by="title")
    with refuses("4 training examples are too few: none is left for dev; each is a whole title (data.draw_by)"):
        list(one.read("dev"))

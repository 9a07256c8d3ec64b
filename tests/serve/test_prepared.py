"""What a server asks of a predictor: inputs prepared one by one and answered together are what ``stream`` answers."""

import json

import numpy as np
import pytest
from tiny_pretrained import write_tiny, write_vocabulary

import spago_jax as sj
from spago_jax.cli.main import run
from spago_jax.errors import InputError
from spago_jax.serve.engine import Engine, Limits
from spago_jax.serve.engine.meter import KeptMeter
from spago_jax.serve.engine.offline import answers_of

TEXTS = ["a b c", "a", "b c d e f g h i", "q [MASK] p", "c d"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("serve")
    for name, head in {"states": "states", "words": "masked-words", "spans": "question-answering"}.items():
        write_tiny(folder / name, head=head)
        write_vocabulary(folder / name)
    return folder


@pytest.fixture(scope="module")
def encoder(tiny):
    return sj.load_task("text-encoding", tiny / "states")


def test_inputs_prepared_one_by_one_are_answered_as_a_stream_is(encoder):
    expected = [found.vector for found in encoder.stream(TEXTS)]
    found = encoder.answers([encoder.prepare(text) for text in TEXTS])
    np.testing.assert_allclose([answer.vector for answer in found], expected, atol=1e-6)


def test_options_of_an_input_choose_the_program_that_answers_it(encoder):
    one, other = encoder.prepare("a b"), encoder.prepare("a b", pooling=("max",))
    assert one.kind != other.kind
    (found,) = other.by.answers([other])
    np.testing.assert_allclose(found.vector, encoder("a b", pooling="max"), atol=1e-6)


def test_a_prepared_input_knows_what_it_costs_and_what_is_not_read(encoder):
    short, long = encoder.prepare("a b"), encoder.prepare(" ".join("abcdefgh" * 4))
    assert (short.cost, short.dropped) == (16, 0)
    assert long.dropped == 32 + 2 - 20
    with pytest.raises(InputError, match="expected a text"):
        encoder.prepare(7)


def test_options_that_differ_are_answered_in_one_call(tiny):
    masks = sj.load_task("fill-mask", tiny / "words")
    prepared = [masks.prepare("a [MASK]", top_k=count) for count in (1, 3)]
    assert prepared[0].kind == prepared[1].kind
    assert [len(answer.masks[0]) for answer in masks.answers(prepared)] == [1, 3]


def test_windows_of_one_input_are_read_beside_those_of_others(tiny):
    """Rows of several inputs meet in one call, and each input has its own again; one without rows is answered too."""
    reader = sj.load_task("question-answering", tiny / "spans")
    questions = [("a b", " ".join("abcdefghijklmnop" * 3)), ("c", "d e f"), ("a", ""), ("b c", "g h " * 20)]
    expected = list(reader.stream(questions))
    prepared = [reader.prepare(each) for each in questions]
    assert [len(each.lengths) > 1 for each in prepared] == [True, False, False, True]
    for found, right in zip(reader.answers(prepared), expected, strict=True):
        assert [(span.start, span.end) for span in found] == [(span.start, span.end) for span in right]
        np.testing.assert_allclose([span.score for span in found], [span.score for span in right], rtol=1e-4)


def test_an_engine_answers_as_the_predictor_does_and_compiles_nothing_when_it_is_ready(tiny):
    expected = [found.vector for found in sj.load_task("text-encoding", tiny / "states").stream(TEXTS)]
    meter = KeptMeter()
    with Engine(Limits(batch_tokens=64), meter=meter) as engine:
        engine.load("m", "text-encoding", lambda: sj.load_task("text-encoding", tiny / "states"))
        engine.ready()
        alone = [engine.submit("m", [text]).result(30)[0].answer.vector for text in TEXTS]
        together = [outcome.answer.vector for outcome in engine.submit("m", TEXTS).result(30)]
        assert not meter.counts["retraces_total",]
        other = engine.submit("m", ["a b"], {"pooling": ["max"]})
        assert other.result(30)[0].answer.vector.shape == (8,)
    np.testing.assert_allclose(alone, expected, atol=1e-6)
    np.testing.assert_allclose(together, expected, atol=1e-6)
    assert meter.counts["retraces_total",]


def test_a_file_of_records_is_answered_by_the_same_queue(tiny, encoder, tmp_path):
    """`spago-jax run --input FILE.jsonl` and a server: the same numbers, in the order of the file."""
    texts = [" ".join("abcdefgh"[n % 8 :]) for n in range(70)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    out = tmp_path / "out.jsonl"
    command = ["run", "text-encoding", str(tiny / "states"), "--input", str(tmp_path / "a.jsonl"), "--format", "jsonl"]
    assert run([*command, "--output", str(out)]) == 0
    found = [json.loads(line) for line in out.read_text().splitlines()]
    assert [answer["text"] for answer in found] == texts
    assert [answer["line"] for answer in found] == list(range(1, 71))
    np.testing.assert_allclose([answer["vector"] for answer in found], encoder(texts), atol=1e-6)
    assert [answer.text for answer in answers_of(encoder, iter(["a", "b"]), {})] == ["a", "b"]
    with pytest.raises(InputError, match="expected a text"):
        list(answers_of(encoder, iter(["a", 7]), {}))


def test_a_text_that_is_cut_is_refused_with_both_numbers_unless_that_is_asked_for(tiny):
    """text-embeddings-inference 52: truncation worked for one text, and not for a list."""
    long = " ".join("abcdefgh" * 4)
    with Engine(Limits(batch_tokens=64)) as engine:
        engine.load("m", "text-encoding", lambda: sj.load_task("text-encoding", tiny / "states"))
        engine.ready()
        for inputs in ([long], [long, "a"]):
            problem = engine.submit("m", inputs).result(30)[0].problem
            assert problem.message == "34 tokens, and the model reads 20"
            found = engine.submit("m", inputs, truncate=True).result(30)[0]
            assert (found.status, found.dropped) == (200, 14)

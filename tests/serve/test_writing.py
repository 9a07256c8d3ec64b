"""Texts that are written, through the engine: as the predictor writes them, whole, piece by piece, and stopped."""

import sys
from pathlib import Path

import pytest

import spago_jax as sj
from spago_jax.serve.engine import Engine, Limits
from spago_jax.serve.engine.problems import Cancelled, Refused

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tasks"))

TEXTS = ["the cat sat on the mat .", "a dog ran .", "we see the old red house ."]


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    pytest.importorskip("transformers")
    from pair_models import write_pair

    folder = write_pair(tmp_path_factory.mktemp("pair") / "m")
    return folder, sj.load_task("text2text-generation", folder)


@pytest.fixture(scope="module")
def serving(pair):
    with Engine(Limits()) as engine:
        engine.load("m", "text2text-generation", lambda: pair[1])
        engine.ready()
        yield engine


@pytest.mark.oracle
def test_texts_written_together_are_those_of_the_predictor(pair, serving):
    expected = [answer.text for answer in pair[1](TEXTS, num_beams=2)]
    found = serving.submit("m", TEXTS, {"num_beams": 2}).result(60)
    assert [outcome.answer.text for outcome in found] == expected
    assert found[0].tokens == 2 * 16  # padded, once for every beam


@pytest.mark.oracle
def test_both_doors_give_the_scores_of_tokens_that_are_asked_for(pair, serving):
    from spago_jax.serve.grpc.messages import plain_of
    from spago_jax.serve.grpc.native import _result
    from spago_jax.serve.http.native import answer_dict

    expected = pair[1](TEXTS[0], token_scores=True).to_dict()["texts"][0]["tokens"]
    (outcome,) = serving.submit("m", TEXTS[:1], {"token_scores": True}).result(60)
    assert answer_dict(outcome)["texts"][0]["tokens"] == expected
    assert plain_of(_result(outcome).answer)["texts"][0]["tokens"] == expected
    assert "tokens" not in answer_dict(serving.submit("m", TEXTS[:1]).result(60)[0])["texts"][0]
    with pytest.raises(Refused, match="they come with the whole text"):
        list(serving.stream("m", TEXTS[0], {"token_scores": True}))


@pytest.mark.oracle
def test_pieces_are_the_text(pair, serving):
    assert "".join(serving.stream("m", TEXTS[0])) == pair[1](TEXTS[0], num_beams=1).text
    with pytest.raises(Refused, match="num_beams"):
        list(serving.stream("m", TEXTS[0], {"num_beams": 2}))


@pytest.mark.oracle
def test_a_sampled_text_depends_on_its_seed_and_not_on_its_neighbors(pair, serving):
    options = {"do_sample": True, "seed": 3, "num_beams": 1}
    alone = serving.submit("m", TEXTS[1:2], options).result(60)[0].answer.text
    among = serving.submit("m", TEXTS, options).result(60)[1].answer.text
    assert alone == among


@pytest.mark.oracle
def test_options_out_of_range_are_refused_before_anything_is_written(serving):
    with pytest.raises(Refused) as caught:
        serving.submit("m", TEXTS, {"num_beams": 0})
    assert caught.value.field == "options.num_beams"
    (outcome,) = serving.submit("m", [TEXTS[0]], {"max_length": 10_000}).result(60)
    assert outcome.status == 422
    assert "10000" in outcome.problem.message or "set max_length" in outcome.problem.message


@pytest.mark.oracle
def test_writing_stops_at_the_step_after_nobody_waits(pair):
    predictor = pair[1]
    asked = []

    def cancelled() -> bool:
        asked.append(True)
        return len(asked) > 1

    prepared = predictor.prepare(TEXTS[0], max_length=40, min_length=39)
    whole = predictor.answers([prepared])[0].text
    (cut,) = predictor.answers([prepared], cancelled)
    assert len(cut.text) < len(whole)
    assert Cancelled.status == 499


def test_a_language_model_writes_the_same_text_through_the_engine(letters):
    predictor = sj.load_task("text-generation", letters[1])
    options = {"characters": 20, "temperature": 0.0}
    expected = predictor("Ann ", **options)
    with Engine(Limits()) as engine:
        engine.load("m", "text-generation", lambda: predictor)
        engine.ready()
        assert engine.submit("m", ["Ann "], options).result(60)[0].answer == expected
        assert "".join(engine.stream("m", "Ann ", options)) == expected.text
        unknown = engine.submit("m", ["\u6f22"], options).result(60)[0]
        assert unknown.status == 422
        stream = engine.stream("m", "Ann ", {"characters": 2000, "temperature": 0.5})
        next(iter(stream))
        stream.request.cancel()
        with pytest.raises(Cancelled):
            list(stream)

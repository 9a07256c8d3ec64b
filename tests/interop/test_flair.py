"""Flair's files of six releases, read without Flair. Oracle: what those releases computed, saved beside the files."""

import itertools
import json
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest

import spago_jax as sj
from spago_jax.embeddings.language_model import read_language_model
from spago_jax.errors import InputError
from spago_jax.interop.flair.open import import_flair

RELEASES = ("0.4.3-legacy", "0.5.1-legacy", "0.10", "0.11.3", "0.12.2", "0.15.1")


@pytest.fixture(scope="session")
def fixtures(shared_data) -> Path:
    return shared_data / "flair-fixtures"


@jax.jit
def embed(embeddings, batch):
    """Compiled once for all files of one shape."""
    return embeddings(batch)


def expected(fixtures, release, name="expected.json"):
    return json.loads((fixtures / f"flair-{release}" / name).read_text(encoding="utf-8"))


def vectors(found, sentences):
    """The embeddings of some sentences by an imported model: a list of [tokens, features]."""
    task, model = found.open()
    examples = [task.processor.example(sentence) for sentence in sentences]
    rows = task.processor.encode(examples)
    indices = np.full(5, -1)
    indices[: len(rows)] = np.arange(len(rows))
    states = embed(model.embeddings, task.processor.batch(rows, indices, 16))
    return [np.asarray(states[row, : len(sentence)]) for row, sentence in enumerate(sentences)]


@pytest.mark.parametrize("release", RELEASES)
def test_embeddings_of_every_release_are_those_of_flair(fixtures, release):
    wanted = expected(fixtures, release)
    (found,) = vectors(import_flair(fixtures / f"flair-{release}" / "tagger.pt"), [wanted["tokens"]])
    np.testing.assert_allclose(found, wanted["embeddings"], atol=1e-6, rtol=0)


@pytest.fixture(scope="module", params=[RELEASES[0], *(pytest.param(r, marks=pytest.mark.slow) for r in RELEASES[1:5]),
                                        RELEASES[5]])  # fmt: skip
def tagged(request, fixtures):
    """An answer with Flair's scores, the same with probabilities, and what Flair answers."""
    wanted = expected(fixtures, request.param)
    tagger = sj.load_task("token-classification", fixtures / f"flair-{request.param}" / "tagger.pt")
    (answer,) = tagger([wanted["tokens"]], score="flair", distributions=True)
    (probable,) = tagger([wanted["tokens"]], distributions=True)
    return answer, probable, wanted, request.param


def test_tags_scores_and_spans_are_those_of_flair(tagged):
    answer, _, wanted, release = tagged
    predictions = wanted["predictions"]
    assert list(answer.tags) == [each["tag"] for each in predictions]
    np.testing.assert_allclose(answer.scores, [each["score"] for each in predictions], atol=1e-6, rtol=0)
    assert [(span.text, span.label) for span in answer.spans] == [(text, label) for text, label, _ in wanted["spans"]]
    np.testing.assert_allclose(
        [span.score for span in answer.spans], [each[2] for each in wanted["spans"]], atol=1e-6, rtol=0
    )
    for found, each in zip(answer.distributions, predictions, strict=True):
        given = dict(each["distribution"])
        if release in ("0.11.3", "0.12.2"):  # which do not put the printed tag on top
            best, printed = max(given, key=given.__getitem__), each["tag"]
            given[best], given[printed] = given[printed], given[best]
        np.testing.assert_allclose([found[tag] for tag in found], [given[tag] for tag in found], atol=1e-6, rtol=0)


def test_the_score_of_a_token_is_the_marginal_of_its_printed_tag(tagged):
    """flairNLP/flair#3070: the score that was printed was that of another tag, and not a probability."""
    _, answer, _, _ = tagged
    for tag, score, every in zip(answer.tags, answer.scores, answer.distributions, strict=True):
        assert score == pytest.approx(every[tag], abs=1e-5)
        assert sum(every.values()) == pytest.approx(1, abs=1e-5)


def test_marginals_of_an_imported_crf_are_those_of_every_path_counted(fixtures):
    """Brute force over the file's own arrays, START and STOP as Flair has them."""
    found = import_flair(fixtures / "flair-0.15.1" / "tagger.pt")
    task, model = found.open()
    rows = task.processor.encode([task.processor.example(["the", "Cat", "met"])])
    outputs, _ = jax.jit(task.objective.predict)(model, task.processor.batch(rows, np.array([0]), 4))
    transitions = np.asarray(model.crf.transitions, np.float64)
    scores = np.asarray(outputs["scores"][0, :3], np.float64)
    count, weights = scores.shape[1], np.zeros((3, scores.shape[1]))
    for path in np.ndindex(count, count, count):
        total = (
            transitions[0, path[0] + 1] + transitions[path[2] + 1, 0] + sum(scores[t, y] for t, y in enumerate(path))
        )
        total += sum(transitions[a + 1, b + 1] for a, b in itertools.pairwise(path))
        weights[range(3), path] += np.exp(total)
    np.testing.assert_allclose(outputs["marginals"][0, :3], weights / weights.sum(-1, keepdims=True), atol=1e-6)


def test_moving_or_renaming_the_file_changes_nothing(fixtures, tmp_path):
    """flairNLP/flair#1092: the order of concatenation came from the names of the files."""
    source = fixtures / "flair-0.4.3-legacy"
    wanted = expected(fixtures, "0.4.3-legacy")
    (tmp_path / "zzz").mkdir()
    shutil.copy(source / "tagger.pt", tmp_path / "zzz" / "another-name.pt")
    found = import_flair(tmp_path / "zzz" / "another-name.pt")
    np.testing.assert_allclose(vectors(found, [wanted["tokens"]])[0], wanted["embeddings"], atol=1e-6)
    found.save(tmp_path / "aaa")
    settings = json.loads((tmp_path / "aaa/assets/processor.json").read_text())
    assert [each["kind"] for each in settings["embeddings"]] == ["words", "contextual-strings", "contextual-strings"]


def test_a_batch_gives_the_vectors_of_single_sentences(fixtures):
    """flairNLP/flair#3576: they depended on the other sentences of the batch."""
    found = import_flair(fixtures / "flair-0.15.1" / "tagger.pt")
    tokens = expected(fixtures, "0.15.1")["tokens"]
    sentences = [tokens, tokens[3:5], tokens[::-1], ["x" * 40], tokens[:1]]
    together = vectors(found, sentences)
    for sentence, batched in zip(sentences, together, strict=True):
        np.testing.assert_allclose(vectors(found, [sentence])[0], batched, atol=1e-6)


@pytest.mark.parametrize("release", [pytest.param("0.10", marks=pytest.mark.slow), "0.15.1"])
@pytest.mark.parametrize("name", ["classifier-gru", "classifier-pool"])
def test_probabilities_of_classes_are_those_of_flair(fixtures, release, name):
    wanted = expected(fixtures, release, "expected-more.json")[name]
    classifier = sj.load_task("text-classification", fixtures / f"flair-{release}" / f"{name}.pt")
    answer = classifier(" ".join(wanted["tokens"]))
    found = {each.label: each.score for each in answer.ranking}
    assert found == pytest.approx(wanted["probabilities"], abs=1e-6)
    assert answer.label == max(wanted["probabilities"], key=wanted["probabilities"].__getitem__)


@pytest.mark.parametrize("side", ["forward", "backward"])
@pytest.mark.parametrize("release", [pytest.param("0.10", marks=pytest.mark.slow), "0.15.1"])
def test_perplexities_of_language_models_are_those_of_flair(fixtures, release, side):
    wanted = expected(fixtures, release, "expected-more.json")[f"lm-{side}"]
    model = sj.load_task("text-generation", fixtures / f"flair-{release}" / f"lm-{side}.pt")
    assert model.perplexity(wanted["text"]) == pytest.approx(wanted["perplexity"], rel=1e-6)


def test_language_models_of_every_release_are_read(fixtures):
    for path in sorted(fixtures.glob("*/lm-*.pt")):
        found = read_language_model(str(path))
        assert found.forward == ("forward" in path.name)
        assert (found.start, found.unknown, len(found.alphabet)) == ("\n", 0, 67)
        assert found.shape == {
            "rows": 67, "embedding": 4, "cell": "lstm", "reset_after": False, "hidden": 6, "layers": 1,
            "projection": None,
        }  # fmt: skip


def test_an_imported_tagger_answers_as_the_file_does(fixtures, tmp_path):
    wanted = expected(fixtures, "0.15.1")
    import_flair(fixtures / "flair-0.15.1" / "tagger.pt").save(tmp_path / "model")
    assert not list(tmp_path.rglob("*.pt"))
    tagger = sj.load_task("token-classification", tmp_path / "model")
    (answer,) = tagger([wanted["tokens"]], score="flair")
    np.testing.assert_allclose(answer.scores, [each["score"] for each in wanted["predictions"]], atol=1e-6)
    (strict,) = tagger([wanted["tokens"]], spans="scheme")
    assert [(span.text, span.label) for span in strict.spans] != [(span.text, span.label) for span in answer.spans]
    raw = tagger(" ".join(wanted["tokens"]))
    assert all(raw.text[span.start : span.end] == span.text for span in raw.spans)
    with pytest.raises(InputError, match="did you mean 'flair'"):
        tagger([wanted["tokens"]], spans="flare")


def test_a_sentence_is_given_by_its_tokens(fixtures):
    wanted = expected(fixtures, "0.10")
    tagger = sj.load_task("token-classification", fixtures / "flair-0.10" / "tagger.pt")
    answer = tagger(tokens=wanted["tokens"])
    assert list(answer.tags) == [each["tag"] for each in wanted["predictions"]]
    assert len(answer.scores) == len(answer.tags)
    assert [span.text for span in answer.spans] == [text for text, _, _ in wanted["spans"]]
    assert tagger(tokens=[wanted["tokens"], ["a"]])[0] == answer
    with pytest.raises(InputError, match="give one of the two"):
        tagger("a text", tokens=["a"])
    with pytest.raises(InputError, match="tokens is one text"):
        tagger(tokens="a text")


def test_a_file_of_another_task_is_refused(fixtures):
    with pytest.raises(InputError, match="a model of the task 'token-classification', not of 'text-classification'"):
        sj.load_task("text-classification", fixtures / "flair-0.10" / "tagger.pt")

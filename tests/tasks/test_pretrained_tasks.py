"""Tasks answered by pre-trained encoders, against the pipelines of transformers where these are right."""

import numpy as np
import pytest
from helpers import refuses
from pipeline_models import CLASSES, LONG, NLI, NUMBERS, TAGS, TEXTS, write_model, write_roberta

import spago_jax as sj
from spago_jax.errors import InputError

pytestmark = [pytest.mark.oracle, pytest.mark.shared_data]
MODELS = {
    "mlm": ("BertForMaskedLM", None, {}),
    "classes": ("BertForSequenceClassification", CLASSES, {}),
    "several": ("BertForSequenceClassification", list("abcde"), {"problem_type": "multi_label_classification"}),
    "number": ("BertForSequenceClassification", ["value"], {}),
    "tags": ("BertForTokenClassification", TAGS, {}),
    "nli": ("BertForSequenceClassification", NLI, {}),
    "next": ("BertForNextSentencePrediction", None, {}),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, shared_data):
    """Gives the folder of a tiny model by its key, written when it is first asked for."""
    root, made = tmp_path_factory.mktemp("pretrained"), {}

    def find(key):
        if key not in made:
            class_name, labels, keys = MODELS[key]
            made[key] = write_model(root / key, class_name, shared_data / "tok-bert-uncased", labels, **keys)
        return made[key]

    return find


def pipeline(task, folder, **options):
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return transformers.pipeline(task, model=str(folder), **options)


def test_fill_mask(folder):
    """Scores and ids of the best fillings, for one mask and for two."""
    texts = [f"{text} [MASK] ." for text in TEXTS] + ["[MASK] and [MASK] are here", "[MASK]"]
    ours = sj.load_task("fill-mask", folder("mlm"))
    theirs = pipeline("fill-mask", folder("mlm"))
    for text, answer in zip(texts, ours(texts, top_k=4), strict=True):
        expected = theirs(text, top_k=4)
        expected = [expected] if isinstance(expected[0], dict) else expected
        assert [[filling.id for filling in mask] for mask in answer] == [[f["token"] for f in m] for m in expected]
        np.testing.assert_allclose(
            [[filling.score for filling in mask] for mask in answer],
            [[found["score"] for found in mask] for mask in expected],
            rtol=1e-4,
        )


def test_targets_are_words_and_those_of_several_pieces_are_scored_over_several_masks(folder):
    """transformers replaces such a target by its first piece, silently."""
    import torch

    ours = sj.load_task("fill-mask", folder("mlm"))
    (found,) = ours("I like [MASK] .", targets=["cats", "snowboarding", "new york"])
    scores = {filling.token: filling.score for filling in found}
    theirs = pipeline("fill-mask", folder("mlm"))
    for word, score in scores.items():
        ids = theirs.tokenizer(word, add_special_tokens=False)["input_ids"]
        masks = " ".join(["[MASK]"] * len(ids))
        batch = theirs.tokenizer(f"I like {masks} .", return_tensors="pt")
        with torch.no_grad():
            logs = theirs.model(**batch).logits[0].double().log_softmax(-1)
        places = (batch["input_ids"][0] == theirs.tokenizer.mask_token_id).nonzero()[:, 0]
        expected = float(sum(logs[place, piece] for place, piece in zip(places, ids, strict=True)).exp())
        assert score == pytest.approx(expected, rel=1e-4)
    assert [filling.score for filling in found] == sorted(scores.values(), reverse=True)


def test_a_text_without_a_mask_gets_a_message(folder):
    ours = sj.load_task("fill-mask", folder("mlm"))
    with refuses("'no mask here' has no mask: write [MASK] where a word is asked for"):
        ours("no mask here")
    with refuses("targets = 'cat': expected a list of words"):
        ours("a [MASK]", targets="cat")


def test_text_classification(folder):
    ours, theirs = (
        sj.load_task("text-classification", folder("classes")),
        pipeline("text-classification", folder("classes")),
    )
    pairs = [(text, TEXTS[0]) for text in TEXTS[:5]]
    for given, answer in zip(TEXTS + pairs, ours(TEXTS + pairs), strict=True):
        asked = given if isinstance(given, str) else {"text": given[0], "text_pair": given[1]}
        expected = theirs(asked, top_k=None)
        assert [found.label for found in answer] == [found["label"] for found in expected]
        np.testing.assert_allclose([f.score for f in answer], [f["score"] for f in expected], atol=1e-5)
    assert ours(TEXTS[0], pair=TEXTS[1]).ranking == ours((TEXTS[0], TEXTS[1])).ranking
    assert len(ours(TEXTS[0], top_k=1)) == 1


def test_a_multi_label_classifier_with_five_independent_outputs(folder):
    """spaGO's users asked for it: each label has a sigmoid of its own."""
    ours, theirs = (
        sj.load_task("text-classification", folder("several")),
        pipeline("text-classification", folder("several")),
    )
    for text, answer in zip(TEXTS[:6], ours(TEXTS[:6]), strict=True):
        expected = {found["label"]: found["score"] for found in theirs(text, top_k=None)}
        assert dict(answer) == pytest.approx(expected, abs=1e-5)
        assert len(answer) == 5


def test_a_regression_gives_its_raw_value(folder):
    """transformers gives the sigmoid of a model of one output, though it was trained on the number itself."""
    import torch

    ours, theirs = (
        sj.load_task("text-classification", folder("number")),
        pipeline("text-classification", folder("number")),
    )
    with torch.no_grad():
        raw = float(theirs.model(**theirs.tokenizer(TEXTS[1], return_tensors="pt")).logits[0, 0])
    assert ours(TEXTS[1]).score == pytest.approx(raw, abs=1e-5)
    assert ours(TEXTS[1], activation="sigmoid").score == pytest.approx(1 / (1 + np.exp(-raw)), abs=1e-5)


@pytest.mark.parametrize("aggregation", ["simple", "first", "max", "average"])
def test_token_classification(folder, aggregation):
    """Spans where the words of the pre-tokenizer are those that transformers guesses from the text."""
    ours = sj.load_task("token-classification", folder("tags"))
    theirs = pipeline("token-classification", folder("tags"), aggregation_strategy=aggregation)
    for text, answer in zip(TEXTS, ours(TEXTS, aggregation=aggregation), strict=True):
        assert all(span.text == text[span.start : span.end] for span in answer.spans)
        if not text.strip() or (text == NUMBERS and aggregation != "simple"):
            continue
        expected = theirs(text)
        found = [(span.label, span.start, span.end) for span in answer.spans]
        assert found == [(f["entity_group"], f["start"], f["end"]) for f in expected], text
        np.testing.assert_allclose([span.score for span in answer.spans], [f["score"] for f in expected], atol=1e-5)


def test_a_number_with_separators_is_one_word(folder):
    """transformers tags 5.975,74 as five words where the pieces part it (its issue 23322)."""
    answer = sj.load_task("token-classification", folder("tags"))(NUMBERS)
    assert {"5.975,74", "1,000.50", "12", "13"} <= set(answer.tokens)


def test_byte_level_pieces(tmp_path, shared_data):
    """Offsets of RoBERTa's pieces; a mark stays with its letter, and punctuation is not glued to the word before it.

    transformers takes all between two blanks for a word: ``London.`` has the tag of ``London``.
    """
    folder = write_roberta(tmp_path / "tags", "RobertaForTokenClassification", shared_data / "tok-bart-roberta", TAGS)
    ours = sj.load_task("token-classification", folder)
    theirs = pipeline("token-classification", folder, aggregation_strategy="simple")
    for text, answer in zip(TEXTS, ours(TEXTS, aggregation="simple"), strict=True):
        expected = theirs(text) if text.strip() else []
        found = [(span.label, span.start, span.end) for span in answer.spans]
        assert found == [(f["entity_group"], f["start"], f["end"]) for f in expected], text
    for text, answer in zip(TEXTS, ours(TEXTS), strict=True):
        assert "".join(answer.tokens) == "".join(text.split()) or "\u200b" in text or "\u200d" in text
    assert ours("हिन्दी में एक वाक्य").tokens == ("हिन्दी", "में", "एक", "वाक्य")
    assert ours("in London.").tokens == ("in", "London", ".")
    folder = write_roberta(tmp_path / "mlm", "RobertaForMaskedLM", shared_data / "tok-bart-roberta")
    ours, theirs = sj.load_task("fill-mask", folder), pipeline("fill-mask", folder)
    for text in ("I like <mask>.", "<mask> is nice", "the <mask> 😀"):
        (found,) = ours(text, top_k=3)
        expected = theirs(text, top_k=3)
        assert [f.id for f in found] == [f["token"] for f in expected]
        np.testing.assert_allclose([f.score for f in found], [f["score"] for f in expected], rtol=1e-4)
    (found,) = ours("I like <mask>.", targets=["cats"])
    id = theirs.tokenizer(" cats", add_special_tokens=False)["input_ids"]
    assert [found[0].id] == id  # with the blank before it, which transformers leaves to its user


def test_tags_of_single_pieces(folder):
    ours = sj.load_task("token-classification", folder("tags"))
    theirs = pipeline("token-classification", folder("tags"), aggregation_strategy="none")
    for text, answer in zip(TEXTS[:8], ours(TEXTS[:8], aggregation="none"), strict=True):
        expected = theirs(text)
        found = [(span.label, span.start, span.end) for span in answer.spans]
        assert found == [(f["entity"], f["start"], f["end"]) for f in expected]


def test_tokens_in_tags_of_each_out(folder):
    """Given tokens keep their number, whatever they hold; the pieces are those of transformers for split words."""
    import torch

    ours = sj.load_task("token-classification", folder("tags"))
    tokens = ["Ada", "unbelievability", "😀", "", "Paris", "."]
    answer = ours(tokens=tokens)
    assert answer.tokens == tuple(tokens)
    assert len(answer.tags) == len(tokens)
    assert [found.tags for found in ours(tokens=[tokens, tokens])] == [answer.tags] * 2
    theirs = pipeline("token-classification", folder("tags"))
    words = ["Ada", "unbelievability", "Paris", "."]
    batch = theirs.tokenizer(words, is_split_into_words=True, return_tensors="pt")
    with torch.no_grad():
        best = theirs.model(**batch).logits[0].argmax(-1)
    first = [batch.word_ids().index(word) for word in range(len(words))]
    assert ours(tokens=words).tags == tuple(TAGS[best[place]] for place in first)


def test_a_long_text_is_read_in_windows(folder):
    """Every word has a tag; those far from any cut have that of a window around them."""
    ours = sj.load_task("token-classification", folder("tags"))
    answer = ours(LONG)
    assert "".join(answer.tokens) == LONG.replace(" ", "")
    assert len(answer.tags) > 128  # more than the encoder reads at once
    alone = sj.load_task("token-classification", folder("tags"), max_length=128, stride=0)(LONG)
    assert len(alone.tags) == len(answer.tags)


@pytest.mark.parametrize("several", [False, True])
def test_zero_shot_classification(folder, several):
    ours, theirs = (
        sj.load_task("zero-shot-classification", folder("nli")),
        pipeline("zero-shot-classification", folder("nli")),
    )
    labels = ["politics", "sport", "science", "the weather"]
    texts = [text for text in TEXTS if text.strip()]
    for text, answer in zip(texts, ours(texts, labels, multi_label=several), strict=True):
        expected = theirs(text, labels, hypothesis_template="This example is {}.", multi_label=several)
        assert dict(answer) == pytest.approx(dict(zip(expected["labels"], expected["scores"], strict=True)), abs=1e-5)
        scores = [found.score for found in answer]
        assert scores == sorted(scores, reverse=True)


def test_zero_shot_with_a_german_classifier(folder):
    """spaGO's users asked for it: any classifier with an entailment label, labels and template in any language."""
    answer = sj.load_task("zero-shot-classification", folder("nli"))(
        "Die Regierung senkt die Steuern.", ["Politik", "Fußball"], "In diesem Text geht es um {}."
    )
    assert {found.label for found in answer} == {"Politik", "Fußball"}
    assert sum(found.score for found in answer) == pytest.approx(1)


def test_zero_shot_refuses_what_it_cannot_mean(folder):
    ours = sj.load_task("zero-shot-classification", folder("nli"))
    with refuses("template = 'about': write {} where the label stands"):
        ours("text", ["a"], "about")
    with refuses("labels = 'a, b': expected a list of labels, one text each"):
        ours("text", "a, b")
    with refuses("no labels to choose from: give labels=[...]"):
        ours("text", [])
    with pytest.raises(InputError, match="begins with 'entail'"):
        sj.load_task("zero-shot-classification", folder("classes"))


def test_next_sentence(folder):
    import torch

    ours, theirs = sj.load_task("next-sentence", folder("next")), None
    theirs = pipeline("feature-extraction", folder("next"))  # for its tokenizer
    import transformers

    model = transformers.BertForNextSentencePrediction.from_pretrained(folder("next")).eval()
    pairs = list(zip(TEXTS[:6], TEXTS[6:12], strict=True))
    for pair, answer in zip(pairs, ours(pairs), strict=True):
        with torch.no_grad():
            expected = model(**theirs.tokenizer(*pair, return_tensors="pt")).logits.softmax(-1)[0, 0]
        assert answer.score == pytest.approx(float(expected), abs=1e-5)
    with pytest.raises(InputError, match="expected two texts"):
        ours("one")


def test_an_answer_does_not_depend_on_its_batch(folder):
    """Alone and among others, to 1e-6 in float32, in the order of the inputs."""
    ours = sj.load_task("text-classification", folder("classes"))
    together = ours(TEXTS)
    for text, answer in zip(TEXTS, together, strict=True):
        assert answer.text == text
        assert dict(ours(text)) == pytest.approx(dict(answer), abs=1e-6)
    encoder = sj.load_task("text-encoding", folder("mlm"))
    vectors = encoder(TEXTS)
    scale = np.abs(vectors).max()
    for text, vector in zip(TEXTS, vectors, strict=True):
        np.testing.assert_allclose(encoder(text) / scale, vector / scale, atol=1e-6)
    assert [found.text for found in ours.stream(iter(TEXTS))] == TEXTS


def test_text_encoding_by_each_pooling(folder):
    """Against transformers' states, pooled by hand in float64."""
    import torch

    encoder, theirs = sj.load_task("text-encoding", folder("mlm")), pipeline("fill-mask", folder("mlm"))
    for text in TEXTS[:4]:
        batch = theirs.tokenizer(text, return_tensors="pt")
        with torch.no_grad():
            states = theirs.model.bert(**batch).last_hidden_state[0].double().numpy()
        weights = np.arange(1, len(states) + 1)[:, None]
        expected = {
            "cls": states[0],
            "mean": states.mean(0),
            "max": states.max(0),
            "weighted": (states * weights).sum(0) / weights.sum(),
        }
        for mode, vector in expected.items():
            np.testing.assert_allclose(encoder(text, pooling=mode), vector, atol=2e-5)
        joined = encoder(text, pooling=["mean", "max"], normalize=True)
        both = np.concatenate([expected["mean"], expected["max"]])
        np.testing.assert_allclose(joined, both / np.linalg.norm(both), atol=1e-5)
        np.testing.assert_allclose(encoder(text), expected["mean"], atol=2e-5)


def test_the_poolers_vector(folder):
    """spaGO's CLS vector: that of the first piece after the pooler's layer."""
    import torch

    encoder, theirs = (
        sj.load_task("text-encoding", folder("classes")),
        pipeline("text-classification", folder("classes")),
    )
    with torch.no_grad():
        expected = theirs.model.bert(**theirs.tokenizer(TEXTS[0], return_tensors="pt")).pooler_output[0]
    np.testing.assert_allclose(encoder(TEXTS[0], pooling="pooler"), expected, atol=1e-5)
    with pytest.raises(InputError, match="did you mean 'mean'"):
        encoder(TEXTS[0], pooling="meen")


def test_truncation_is_reported(folder):
    (found,) = sj.load_task("text-encoding", folder("mlm")).stream([LONG])
    assert found.dropped > 0
    assert found.to_dict()["dropped"] == found.dropped
    assert sj.load_task("text-classification", folder("classes"))(LONG).given.cut == found.dropped

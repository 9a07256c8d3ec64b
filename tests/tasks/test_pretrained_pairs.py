"""Tasks answered by a pre-trained encoder-decoder with a classifier, against the pipelines of transformers."""

import numpy as np
import pytest
from helpers import refuses
from pipeline_models import CLASSES, NLI, TEXTS, write_bart

import spago_jax as sj

pytestmark = [pytest.mark.oracle, pytest.mark.shared_data]
LABELS = ["politics", "sport", "science", "the weather", "food & drink"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, shared_data):
    """Gives the folder of a tiny BART by its key, written when it is first asked for."""
    root, made = tmp_path_factory.mktemp("bart"), {}
    kinds = {"nli": NLI, "classes": CLASSES}

    def find(key):
        if key not in made:
            class_name = "BartForQuestionAnswering" if key == "spans" else "BartForSequenceClassification"
            made[key] = write_bart(root / key, class_name, shared_data / "tok-bart-roberta", kinds.get(key))
        return made[key]

    return find


def pipeline(task, folder):
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return transformers.pipeline(task, model=str(folder))


def test_zero_shot_classification(folder):
    """Four labels and five, one of which is right or any number; the pairs of all texts share batches."""
    ours = sj.load_task("zero-shot-classification", folder("nli"))
    theirs = pipeline("zero-shot-classification", folder("nli"))
    texts = [text for text in TEXTS[:12] if text.strip()]
    for several, labels in ((False, LABELS[:4]), (True, LABELS)):
        for text, answer in zip(texts, ours(texts, labels, multi_label=several), strict=True):
            expected = theirs(text, labels, hypothesis_template="This example is {}.", multi_label=several)
            wanted = dict(zip(expected["labels"], expected["scores"], strict=True))
            assert dict(answer) == pytest.approx(wanted, abs=1e-5)
    assert len(ours(texts[0], LABELS, multi_label=True)) == 5
    alone = ours(texts[0], ["sport"])
    assert alone.score == pytest.approx(dict(ours(texts[0], ["sport"], multi_label=True))["sport"])


def test_texts_and_pairs_in_one_batch(folder):
    """transformers refuses a batch whose rows have different numbers of </s>: a text has one, and a pair three."""
    ours, theirs = (
        sj.load_task("text-classification", folder("classes")),
        pipeline("text-classification", folder("classes")),
    )
    inputs = [TEXTS[0], (TEXTS[1], TEXTS[2]), TEXTS[3], (TEXTS[4], "a"), "a"]
    for given, answer in zip(inputs, ours(inputs), strict=True):
        asked = {"text": given[0], "text_pair": given[1]} if isinstance(given, tuple) else given
        expected = {found["label"]: found["score"] for found in theirs(asked, top_k=None)}
        assert dict(answer) == pytest.approx(expected, abs=1e-5)


def test_a_span_of_a_passage(folder):
    import torch
    import transformers

    question, passage = "Where is it?", "Ada wrote it in London, and not in Paris."
    answer = sj.load_task("question-answering", folder("spans"))(question, passage)
    assert answer.text == passage[answer.start : answer.end]
    found = sj.load_pretrained(folder("spans"))
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder("spans"))
    model = transformers.BartForQuestionAnswering.from_pretrained(folder("spans")).eval()
    batch = tokenizer(question, passage, return_tensors="pt")
    with torch.no_grad():
        out = model(**batch)
    ours = found.model.logits(batch["input_ids"].numpy(), batch["attention_mask"].numpy())
    np.testing.assert_allclose(ours[..., 0], out.start_logits, atol=1e-5)
    np.testing.assert_allclose(ours[..., 1], out.end_logits, atol=1e-5)


def test_what_runs_a_classifier(folder):
    with refuses("runtime 'onnxruntime' runs encoders, and bart is an encoder-decoder; leave the runtime out"):
        sj.load_task("text-classification", folder("classes"), runtime="onnxruntime")
    plain = dict(sj.load_task("text-classification", folder("classes"))(TEXTS[0]))
    rounded = dict(sj.load_task("text-classification", folder("classes"), quantize="int8")(TEXTS[0]))
    assert rounded == pytest.approx(plain, abs=0.1)
    assert rounded != plain

"""Question answering that is trained here, against transformers, PyTorch and SQuAD's official script."""

import json
import re
import string
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import refuses
from pipeline_models import write_model

import spago_jax as sj
from spago_jax.cli.main import run as command
from spago_jax.core import flat
from spago_jax.data.examples import Question
from spago_jax.data.notes import Notes
from spago_jax.errors import InputError
from spago_jax.models.encoder import weight_table
from spago_jax.models.weight_table import write_weights
from spago_jax.tasks.question_answering.rows import span_rows
from spago_jax.train import fit, load_experiment
from spago_jax.train.console import TrainingConsole
from spago_jax.train.start import prepare, with_weights

pytestmark = [pytest.mark.oracle, pytest.mark.shared_data]
PASSAGE = (
    "Ada Lovelace wrote the first program in London. The engine that it was for was never built by Charles Babbage, "
    "an unbelievable mechanic, who had friends in Turin and many plans; it would have weighed four tonnes."
)
ASKED = {
    "Who wrote it?": "Ada Lovelace", "Where?": "London", "Who did not build it?": "Charles Babbage",
    "How heavy?": "four tonnes", "Where were friends?": "Turin",
}  # fmt: skip


def squad(path, impossible=()):
    qas = [
        {"id": f"q{n}", "question": question, "answers": [{"text": text, "answer_start": PASSAGE.index(text)}]}
        for n, (question, text) in enumerate(ASKED.items())
    ]
    qas += [{"id": f"i{n}", "question": q, "answers": [], "is_impossible": True} for n, q in enumerate(impossible)]
    path.write_text(json.dumps({"data": [{"title": "t", "paragraphs": [{"context": PASSAGE, "qas": qas}]}]}))
    return str(path)


def settings(source, data, **changes):
    found = {
        "task": "question-answering",
        "name": "qa",
        "data": {"format": "squad", "train": data, "dev": data},
        "init": {"from": str(source), "allow_missing": ["head.*"]},
        "model": {"stride": 8, "max_answer_length": 6},
        "optimizer": {"name": "adam", "learning_rate": 0.01},
        "train": {
            "epochs": 2, "batch_size": 4, "eval_batch_size": 4, "steps_per_call": 2, "buckets": 1, "max_length": 32,
        },
    }  # fmt: skip
    for key, value in changes.items():
        found[key] = {**found[key], **value}
    return found


@pytest.fixture(scope="module")
def source(tmp_path_factory, shared_data):
    folder = tmp_path_factory.mktemp("models") / "qa"
    return write_model(folder, "BertForQuestionAnswering", shared_data / "tok-bert-uncased")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return squad(tmp_path_factory.mktemp("data") / "qa.json")


@pytest.fixture(scope="module")
def prepared(source, data):
    """The task with its data, and the model of the file."""
    experiment = load_experiment(settings(source, data))
    task, arrays = prepare(experiment)
    return task, with_weights(task.objective.init(jax.random.key(0)), arrays, experiment.init)


def train(settings, folder, **how):
    return fit(load_experiment(settings), folder, command="test", console=TrainingConsole(quiet=True), **how)


@pytest.fixture(scope="module")
def run(source, data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "qa"
    return folder, train(settings(source, data), folder)


def test_training_batches_are_not_padded_beyond_the_positions_of_the_encoder(source, data):
    """30 is not a multiple of 8, to which lengths are padded elsewhere: a place 32 would have no position."""
    task, _ = prepare(load_experiment(settings(source, data, train={"max_length": 30})))
    for training in (True, False):
        assert {block.length for block in task.batches("train", training=training).epoch(0)} == {30}


def test_windows_and_places_of_answers_are_those_of_transformers(prepared, source):
    """transformers' own tokenizer cuts the windows; the places are found by its offsets, as run_qa.py does."""
    import transformers

    theirs = transformers.AutoTokenizer.from_pretrained(source)
    rows, found = prepared[0].parts["train"], 0
    for number, (question, text) in enumerate(ASKED.items()):
        room = 32 - 3 - len(theirs(question, add_special_tokens=False)["input_ids"])
        encoded = theirs(
            question, PASSAGE, truncation="only_second", max_length=32, stride=min(8, room // 2),
            return_overflowing_tokens=True, return_offsets_mapping=True,
        )  # fmt: skip
        own = np.flatnonzero(rows.owners == number)
        assert [rows.ids[row].tolist() for row in own] == encoded["input_ids"]
        assert [rows.types[row].tolist() for row in own] == encoded["token_type_ids"]
        begin = PASSAGE.index(text)
        for window, row in enumerate(own):
            parts = encoded.sequence_ids(window)
            places = [i for i, part in enumerate(parts) if part == 1]
            offsets = encoded["offset_mapping"][window]
            inside = [i for i in places if offsets[i][0] < begin + len(text) and offsets[i][1] > begin]
            whole = offsets[places[0]][0] <= begin and offsets[places[-1]][1] >= begin + len(text)
            expected = [inside[0], inside[-1]] if whole else [0, 0]
            assert rows.spans[row].tolist() == expected
            found += whole
    assert found >= len(ASKED)  # each answer is in a window, some in two


def arrays_of(task, rows):
    """Eight windows of at most 32 pieces, the last ones empty: every test has one program."""
    indices = np.concatenate([rows, np.full(8 - len(rows), -1)]).astype(np.int64)
    return task.processor.batch(task.parts["train"], indices, 32, targets=True)


@pytest.fixture(scope="module")
def mean_loss(prepared):
    """The loss of a batch and its gradients, compiled once."""
    task, model = prepared

    def mean(model, batch):
        loss = task.objective.loss(model, batch, (), None)
        return loss.total / loss.weight, loss.weight

    program = jax.jit(jax.value_and_grad(mean, has_aux=True))
    return lambda batch: program(model, batch)


def test_loss_and_gradients_are_those_of_torch(prepared, mean_loss, source):
    """Windows without padding, whose loss is transformers' own; each gradient by the name of its tensor."""
    import torch
    import transformers

    task, model = prepared
    full = np.flatnonzero(task.parts["train"].lengths == 32)[:8]
    batch = arrays_of(task, full)
    assert (batch["spans"] == 0).all(-1).any()
    assert (batch["spans"] > 0).any()
    (ours, weight), gradients = mean_loss(batch)
    assert weight == len(full) == 8
    theirs = transformers.AutoModelForQuestionAnswering.from_pretrained(source).eval()
    expected = theirs(
        input_ids=torch.tensor(batch["ids"]),
        token_type_ids=torch.tensor(batch["types"]),
        start_positions=torch.tensor(batch["spans"][:, 0]).long(),
        end_positions=torch.tensor(batch["spans"][:, 1]).long(),
    ).loss
    assert float(ours) == pytest.approx(expected.item(), rel=1e-5)
    expected.backward()
    named = dict(theirs.named_parameters())
    table = weight_table(model.config, "question-answering")
    for name, gradient in write_weights(table, flat(gradients)):
        wanted = named[name].grad
        np.testing.assert_allclose(gradient, wanted, rtol=2e-4, atol=2e-5 * float(wanted.abs().max() + 1), err_msg=name)


def test_padding_is_no_place_of_an_answer(prepared, mean_loss, source):
    """The loss of a short window is that of PyTorch without the padding, among empty rows too."""
    import torch
    import transformers

    task, _ = prepared
    rows = task.parts["train"]
    (row, *_) = np.flatnonzero((rows.lengths < 32) & (rows.spans[:, 0] > 0))
    theirs = transformers.AutoModelForQuestionAnswering.from_pretrained(source).eval()
    with torch.no_grad():
        expected = theirs(
            input_ids=torch.tensor(rows.ids[row])[None],
            token_type_ids=torch.tensor(rows.types[row])[None],
            start_positions=torch.tensor([int(rows.spans[row, 0])]),
            end_positions=torch.tensor([int(rows.spans[row, 1])]),
        ).loss
    (ours, weight), _ = mean_loss(arrays_of(task, [row]))
    assert weight == 1
    assert float(ours) == pytest.approx(float(expected), rel=1e-5)


def official(golds, predicted):
    """The rules of evaluate-v1.1.py, written down once more."""

    def normal(text):
        text = "".join(char for char in text.lower() if char not in set(string.punctuation))
        return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())

    def f1(gold):
        a, b = normal(predicted).split(), normal(gold).split()
        same = sum((Counter(a) & Counter(b)).values())
        return 2 * same / (len(a) + len(b)) if same else 0.0

    return max(f1(gold) for gold in golds), max(normal(predicted) == normal(gold) for gold in golds)


def test_dev_scores_are_those_of_the_answers_that_users_get(run, data):
    """EM and F1 of what the run folder answers, passage by passage, are the run's own scores."""
    folder, result = run
    task = sj.load_task("question-answering", folder)
    answers = task(list(ASKED), [PASSAGE] * len(ASKED), top_k=1)
    scores = [official([ASKED[answer.question]], answer[0].text) for answer in answers]
    assert result.scores["dev"].values["f1"] == pytest.approx(np.mean([f1 for f1, _ in scores]))
    assert result.scores["dev"].values["exact_match"] == pytest.approx(np.mean([same for _, same in scores]))
    assert task("Who wrote it?", PASSAGE) == task(("Who wrote it?", PASSAGE))
    assert task.processor.max_answer_length == 6


@pytest.mark.slow
def test_a_run_is_continued_to_the_same_bits(source, data, run, tmp_path):
    train(settings(source, data, train={"epochs": 1}), tmp_path / "parts")
    train(settings(source, data), tmp_path / "parts", resume=True)
    whole, parts = flat(sj.load_pretrained(run[0]).model), flat(sj.load_pretrained(tmp_path / "parts").model)
    for path, array in whole.items():
        np.testing.assert_array_equal(array, parts[path], err_msg=path)


def test_export_for_transformers(run, tmp_path, source):
    """transformers computes the same logits from the exported folder, and we the same answers."""
    import torch
    import transformers

    folder = tmp_path / "exported"
    assert command(["export", str(run[0]), str(folder), "--format", "huggingface"]) == 0
    assert json.loads((folder / "config.json").read_text())["architectures"] == ["BertForQuestionAnswering"]
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt"):
        assert not (folder / name).exists() or (folder / name).read_bytes() == (source / name).read_bytes()
    theirs = transformers.AutoModelForQuestionAnswering.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    encoded = tokenizer("Who wrote it?", PASSAGE, return_tensors="pt")
    with torch.no_grad():
        found = theirs(**encoded)
    model = sj.load_pretrained(run[0]).model
    ours = model.logits(jnp.asarray(encoded["input_ids"]), types=jnp.asarray(encoded["token_type_ids"]))
    np.testing.assert_allclose(ours[..., 0], found.start_logits, atol=1e-4)
    np.testing.assert_allclose(ours[..., 1], found.end_logits, atol=1e-4)
    exported = sj.load_task("question-answering", folder, max_length=32, stride=8)
    own = sj.load_task("question-answering", run[0])
    for question in ASKED:
        one, other = own(question, PASSAGE), exported(question, PASSAGE, max_answer_length=6)
        assert [span.text for span in one] == [span.text for span in other]
    with pytest.raises(InputError, match="--overwrite"):
        own.pretrained.save(folder)


def test_questions_without_an_answer(source, tmp_path):
    """They are trained to point at the mark at the beginning, and the empty answer then competes."""
    data = squad(tmp_path / "two.json", impossible=["When was he born?"])
    experiment = load_experiment(settings(source, data))
    task = experiment.task_class.prepare(experiment)
    rows = task.parts["train"]
    assert (rows.spans[rows.owners == len(ASKED)] == 0).all()
    assert task.processor.no_answer
    assert "f1/impossible" in task.score_names()
    unsure = load_experiment(settings(source, data, model={"no_answer": False}))
    assert not unsure.task_class.make_processor(unsure).no_answer


def test_what_cannot_be_trained_on_is_said(prepared):
    task, notes = prepared[0], Notes()
    unknown = Question("q", "Who?", PASSAGE, (), False, 3)
    with refuses("no question has an answer and a passage"):
        span_rows(task.processor, [unknown], notes)
    assert notes.lines()[0].startswith("1 questions are left out")
    long = Question("q7", "word " * 40, PASSAGE, (("Ada", 0),), False, 9)
    with pytest.raises(InputError, match="question 'q7': .*leaves no room for the passage"):
        span_rows(task.processor, [long], notes)

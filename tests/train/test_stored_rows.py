"""Training rows of a store on disk. Oracles: the same training of a table in memory; plain NumPy; PyTorch."""

import json

import numpy as np
import optax
import pytest
from tiny_runs import CITIES, PEOPLE, VERBS, stored

from spago_jax.embeddings.store.build import make_store
from spago_jax.embeddings.store.store import Store
from spago_jax.errors import CheckpointError, InputError
from spago_jax.optim.lazy_rows import lazy_rows
from spago_jax.tasks.export import export_run
from spago_jax.tasks.load import load_task, open_run
from spago_jax.train import fit, load_experiment
from spago_jax.train.console import TrainingConsole
from spago_jax.train.loop import _Training

WORDS = [*CITIES, *PEOPLE, *VERBS, "old", "Centre", ".", "never", "used"]
MODEL = "model.embeddings=[{{kind: words, size: 6, store: {}{}}}, {{kind: shapes, size: 2}}]"


def vectors():
    return np.random.default_rng(0).normal(size=(len(WORDS), 6)).astype(np.float32)


def made(folder):
    make_store(folder, WORDS, vectors())
    return folder


def run(config, store, folder, *overrides, more="", resume=False, stop=None):
    experiment = load_experiment(config, [MODEL.format(store, more), "train.epochs=4", *overrides])
    return fit(experiment, folder, console=TrainingConsole(quiet=True), resume=resume, on_epoch=stop)


def contents(path):
    with Store.open(path) as store:
        rows = np.arange(len(store))
        return store.read(rows), store.read_slots(rows)


@pytest.fixture(scope="module")
def straight(config, tmp_path_factory):
    """A finished run over a store: (result, folder, store)."""
    folder = tmp_path_factory.mktemp("stores")
    store = made(folder / "store")
    return run(config, store, folder / "run"), folder / "run", store


def test_only_rows_of_the_text_are_trained(straight):
    result, _, store = straight
    assert result.scores["test"].values["f1"] > 0.8
    values, slots = contents(store)
    changed = (values != vectors()).any(1)
    assert [word for word, moved in zip(WORDS, changed, strict=True) if not moved] == ["never", "used"]
    assert ((slots != 0).any((1, 2)) == changed).all()
    with Store.open(store) as held:
        assert [name.split(".")[-5] for name in held.slots] == ["mu", "nu"]


def test_a_checkpoint_holds_no_rows(straight):
    _, folder, _ = straight
    arrays = stored(folder)
    assert arrays["model.embeddings.parts.0.block"].shape == (1, 6)
    assert not any(array.shape[:1] == (len(WORDS),) for array in arrays.values() if array.ndim)


def test_a_trained_run_reads_the_store_where_it_lies(straight):
    _, folder, _ = straight
    task = load_task("token-classification", folder)
    spans = [(span.text, span.label) for span in task("Ann visits Oslo .").spans]
    assert spans == [("Ann", "PER"), ("Oslo", "LOC")]


def test_a_killed_run_goes_on_bit_for_bit(straight, config, tmp_path, monkeypatch):
    _, folder, store = straight
    again = made(tmp_path / "store")
    scatter, steps = _Training._fetch, []

    def dies(self, waiting):
        steps.append(1)
        if self.step > 22:  # inside the third epoch, with changes that no checkpoint has
            self.programs.rows._stores[0]._stack.close()
            self.programs.rows._stores = []  # nothing is undone: the process is gone
            raise KeyboardInterrupt
        scatter(self, waiting)

    monkeypatch.setattr(_Training, "_fetch", dies)
    with pytest.raises(KeyboardInterrupt):
        run(config, again, tmp_path / "run", "train.checkpoint_every=6")
    monkeypatch.undo()
    result = run(config, again, tmp_path / "run", "train.checkpoint_every=6", resume=True)
    assert result.steps > 22
    for one, other in zip(contents(store), contents(again), strict=True):
        np.testing.assert_array_equal(one, other)
    for path, array in stored(folder).items():
        np.testing.assert_array_equal(array, stored(tmp_path / "run")[path], err_msg=path)


def test_a_store_gets_the_updates_of_a_table_in_memory(config, tmp_path):
    """With plain gradient descent, rows without a gradient stay as they are in a table too."""
    sgd = ["optimizer={name: sgd, learning_rate: 0.5, clip_norm: 0.5}", "train.buckets=2", "model.dropout=0"]
    store = made(tmp_path / "store")
    one = run(config, store, tmp_path / "run", *sgd, more=", lookup: exact")
    lines = "".join(f"{w} {' '.join(map(repr, v.tolist()))}\n" for w, v in zip(WORDS, vectors(), strict=True))
    (tmp_path / "v.txt").write_text(lines)
    table = f"model.embeddings=[{{kind: words, size: 6, vectors: {tmp_path / 'v.txt'}, unknown_rate: 0}}, "
    experiment = load_experiment(config, [table + "{kind: shapes, size: 2}]", "train.epochs=4", *sgd])
    other = fit(experiment, tmp_path / "table", console=TrainingConsole(quiet=True))
    assert one.best_step == other.best_step  # whose rows the store is left with
    arrays = stored(tmp_path / "table", other.best_step)
    known = load_task("token-classification", tmp_path / "table").processor.indexers[0]
    trained = arrays["model.embeddings.parts.0.table.weight"]
    values, slots = contents(store)
    assert slots.shape == (len(WORDS), 0, 6)
    assert np.abs(values - vectors()).max() > 0.1
    for row, word in enumerate(WORDS):
        np.testing.assert_allclose(values[row], trained[known.id(word)], atol=2e-5, err_msg=word)
    np.testing.assert_allclose(
        stored(tmp_path / "run", one.best_step)["model.scorer.weight"], arrays["model.scorer.weight"], atol=2e-5
    )


def test_a_frozen_store_is_only_read(config, tmp_path):
    store = made(tmp_path / "store")
    run(config, store, tmp_path / "run", "train.epochs=1", more=", trainable: false")
    np.testing.assert_array_equal(contents(store)[0], vectors())
    assert contents(store)[1].shape[1] == 0


def test_another_run_takes_the_states_of_the_first(config, tmp_path):
    store = made(tmp_path / "store")
    run(config, store, tmp_path / "one", "train.epochs=1")
    with Store.open(store, write=True) as held:
        held.start_training(held.slots, fresh=True)
    with pytest.raises((CheckpointError, InputError), match="has no state .*: another run has changed it since"):
        run(config, store, tmp_path / "one", resume=True)


def test_settings_that_need_the_whole_table_are_refused(config, tmp_path):
    store = made(tmp_path / "store")
    for override, message in (
        ("train.average=0.9", "train.average keeps a second copy of the model"),
        ("optimizer.accumulate=2", "optimizer.accumulate adds up gradients over batches"),
    ):
        with pytest.raises(InputError, match=message):
            run(config, store, tmp_path / "run", override)
    make_store(tmp_path / "two", ["a"], np.ones((1, 2)))
    with pytest.raises(InputError, match=r"embeddings\.0\.size = 6, but this store has 2 numbers each"):
        run(config, tmp_path / "two", tmp_path / "run")
    with pytest.raises(InputError, match="vectors and .*store exclude each other"):
        run(config, store, tmp_path / "run", more=f", vectors: {config}")
    with Store.open(store, write=True), pytest.raises(InputError, match="another process .* is at work on the store"):
        run(config, store, tmp_path / "run")


def gradients(count=12, rows=7, size=3):
    draw = np.random.default_rng(1)
    for _ in range(count):
        used = draw.choice(rows, 3, replace=False)
        grad = np.zeros((rows, size), np.float32)
        grad[used] = draw.normal(size=(3, size))
        yield used, grad


def updated(optimizer, table):
    optimizer = lazy_rows(optimizer, ["table"])
    params = {"table": table}
    state = optimizer.init(params)
    for _, grad in gradients():
        updates, state = optimizer.update({"table": grad}, state, params)
        params = optax.apply_updates(params, updates)
    return np.asarray(params["table"])


def test_rows_without_a_gradient_keep_value_and_moments():
    """Oracle: lazy Adam and AdaGrad, row by row."""
    table = np.random.default_rng(2).normal(size=(7, 3)).astype(np.float32)
    expected, m, v, sums = table.astype(np.float64), np.zeros((7, 3)), np.zeros((7, 3)), np.full((7, 3), 0.1)
    adagrad = expected.copy()
    for step, (used, grad) in enumerate(gradients(), 1):
        g = grad[used].astype(np.float64)
        m[used], v[used] = 0.9 * m[used] + 0.1 * g, 0.999 * v[used] + 0.001 * g**2
        decayed = 0.01 * expected[used]
        expected[used] -= 0.1 * (m[used] / (1 - 0.9**step) / (np.sqrt(v[used] / (1 - 0.999**step)) + 1e-8) + decayed)
        sums[used] += g**2
        adagrad[used] -= 0.1 * g / np.sqrt(sums[used] + 1e-7)
    np.testing.assert_allclose(updated(optax.adamw(0.1, weight_decay=0.01), table), expected, atol=1e-5)
    np.testing.assert_allclose(updated(optax.adagrad(0.1), table), adagrad, atol=1e-5)


@pytest.mark.oracle
def test_lazy_adam_is_that_of_pytorch():
    torch = pytest.importorskip("torch")
    table = np.random.default_rng(2).normal(size=(7, 3)).astype(np.float32)
    weight = torch.nn.Parameter(torch.tensor(table))
    optimizer = torch.optim.SparseAdam([weight], lr=0.1)
    for used, grad in gradients():
        weight.grad = torch.sparse_coo_tensor(torch.tensor(used)[None], torch.tensor(grad[used]), table.shape)
        optimizer.step()
    np.testing.assert_allclose(updated(optax.adam(0.1), table), weight.detach().numpy(), atol=1e-5)


def test_an_exported_folder_reads_the_store_where_it_lies(straight, tmp_path):
    _, folder, store = straight
    export_run(open_run(folder), tmp_path / "exported", platforms=("cpu",))
    task, exported = (load_task("token-classification", each) for each in (folder, tmp_path / "exported"))
    text = "Ann visits old Oslo ."
    assert exported(text).tags == task(text).tags
    settings = json.loads((tmp_path / "exported" / "assets" / "words.store.json").read_text())
    assert settings["store"] == str(store)
    assert not list((tmp_path / "exported").rglob("rows.bin"))

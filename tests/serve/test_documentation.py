"""The pages about serving say what holds: limits, statuses, metrics, configs, options."""

import inspect
import re
from pathlib import Path

import pytest
import yaml

from spago_jax.serve.config import ServeConfig, read_config
from spago_jax.serve.engine import Limits, problems
from spago_jax.serve.metrics import Metrics

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
SERVING = (DOCS / "serving.md").read_text(encoding="utf-8")
SEARCH = (DOCS / "search.md").read_text(encoding="utf-8")


def test_the_table_of_limits_has_all_of_them_with_their_defaults():
    rows = re.findall(r"^\| `(\w+)` \| ([\d,.]+|none)(?: s)? \|", SERVING, re.MULTILINE)
    assert {name: None if value == "none" else float(value.replace(",", "")) for name, value in rows} == {
        name: None if field.default is None else float(field.default) for name, field in Limits.model_fields.items()
    }


def test_the_table_of_errors_has_every_kind_that_a_caller_sees():
    rows = re.findall(r"^\| ([\d, ]+) \| (`\w+`(?:, `\w+`)*) \|", SERVING, re.MULTILINE)
    said = {
        kind.strip("`"): int(status)
        for statuses, kinds in rows
        for status, kind in zip(statuses.split(", "), kinds.split(", "), strict=True)
    }
    kinds = {kind for _, kind in inspect.getmembers(problems, inspect.isclass) if issubclass(kind, problems.Problem)}
    unseen = {problems.Problem, problems.Cancelled, problems.WrongMethod}
    assert said == {kind.type: kind.status for kind in kinds - unseen}


def test_every_metric_that_is_named_is_there():
    text = Metrics().text()[0].decode()
    names = set(re.findall(r"`(spago_[a-z_]+)", SERVING)) - {"spago_jax"}
    assert len(names) > 15
    for name in names:
        assert f"# TYPE {name.removesuffix('_total')} " in text, name


@pytest.mark.parametrize("page", [SERVING, SEARCH])
def test_configs_on_the_pages_are_valid(page):
    blocks = re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        assert isinstance(read_config(yaml.safe_load(block)), ServeConfig)


def test_delays_on_the_page_are_those_of_the_config():
    for name in ("drain_delay", "drain_timeout"):
        (seconds,) = re.findall(rf"`{name}` \((\d+) s\)", SERVING)
        assert float(seconds) == ServeConfig.model_fields[name].default


def test_options_of_the_index_are_those_of_the_command():
    from spago_jax.cli.index import index

    said = set(re.findall(r"^\| `--([\w-]+)` \|", SEARCH, re.MULTILINE))
    assert said == {name.replace("_", "-") for name in inspect.signature(index).parameters} - {"file"}


def test_files_that_are_named_are_there():
    root = DOCS.parent
    for name in re.findall(r"`((?:examples|tests)/[\w/.]+)`", SERVING):
        assert (root / name).is_file(), name

"""Strings that are made up: their rules, their parts, and that there are enough of them."""

import datetime
import re

import pytest
from pydantic import ValidationError

from spago_jax.data.formats.strings import Strings
from spago_jax.errors import InputError


def made(**settings):
    return Strings(format="strings", train_examples=300, eval_examples=50, **settings)


def test_strings_are_reversed():
    data = made(letters="abc", shortest=4, longest=9)
    for pair in data.read("train"):
        assert pair.target == pair.source[::-1]
        assert re.fullmatch("[abc]{4,9}", pair.source)


def test_dates_are_those_that_python_reads():
    forms = ("%d %B %Y", "%B %d, %Y", "%A, %d %B %Y", "%d %b %Y", "%b %d %Y", "%d.%m.%Y", "%Y/%m/%d", "%d-%b-%Y")
    used = set()
    for pair in made(rule="dates").read("train"):
        for form in forms:
            try:
                day = datetime.datetime.strptime(pair.source, form).date()
            except ValueError:
                continue
            used.add(form)
            assert day.isoformat() == pair.target
            break
        else:
            raise AssertionError(pair.source)
    assert used == set(forms)


@pytest.mark.parametrize("rule", ["reverse", "dates"])
def test_parts_are_the_same_each_time_and_share_no_string(rule):
    data = made(rule=rule)
    parts = {split: [pair.source for pair in data.read(split)] for split in data.splits()}
    assert [len(parts[split]) for split in ("train", "dev", "test")] == [300, 50, 50]
    assert len({text for part in parts.values() for text in part}) == 400
    assert [pair.source for pair in data.read("dev")] == parts["dev"]
    assert [pair.source for pair in data.model_copy(update={"seed": 2}).read("dev")] != parts["dev"]


def test_too_few_strings_are_an_error():
    with pytest.raises(InputError, match=r"there are hardly more than \d+ such strings: ask for fewer"):
        list(made(letters="ab", shortest=1, longest=3).read("train"))
    with pytest.raises(ValidationError, match=r"data\.shortest = 5 is more than data\.longest = 4"):
        made(shortest=5, longest=4)
    with pytest.raises(InputError, match="makes its strings up and reads no files"):
        list(made().read("data", [__import__("pathlib").Path("a.csv")]))

"""The docstring of every layer of the catalogue says what a layer's has to say: a first line, its equation, a doctest
of its own, and the source that the catalogue names."""

import doctest
import functools
import inspect
import re

import jax
import pytest

from spago_jax.nn.catalogue import CATALOGUE

every = pytest.mark.parametrize("entry", CATALOGUE.values(), ids=lambda entry: entry.name)


@functools.cache
def described(entry):
    """The class and its docstring, its paragraphs' lines joined."""
    kind = type(jax.eval_shape(entry.make, jax.random.key(0)))
    return kind, inspect.cleandoc(kind.__doc__ or "")


@every
def test_a_first_line_that_stands_alone(entry):
    _, text = described(entry)
    first, *rest = text.splitlines()
    assert 10 < len(first) <= 120
    assert first.endswith((".", ":"))
    assert not rest or not rest[0].strip(), "the second line is empty"


@every
def test_an_equation(entry):
    """A line of its own, indented, or code in the text; with an equals sign."""
    _, text = described(entry)
    indented = [line for line in text.splitlines() if re.match(r" {4}\S", line) and ">>>" not in line]
    inline = re.findall(r"``([^`]+)``", text)
    assert any(re.search(r" = ", formula) for formula in indented + inline)


@every
def test_shapes(entry):
    _, text = described(entry)
    assert re.search(r"\[[^\]\n]+\]", text), "what goes in and comes out, as [..., features]"


@every
def test_an_example_that_is_run(entry):
    kind, text = described(entry)
    examples = doctest.DocTestParser().get_examples(text)
    assert any(kind.__name__ in example.source for example in examples)
    assert any(example.want for example in examples)


@every
def test_the_source_that_the_catalogue_names(entry):
    _, text = described(entry)
    flat = " ".join(text.split())
    if entry.paper or entry.spago:
        assert "Source:" in flat
    if entry.paper:
        assert re.search(r"\d{4}", entry.paper)[0] in flat
        assert re.match(r"[A-Z][\w'-]+|van [A-Z]\w+|de [A-Z]\w+", entry.paper)[0] in flat
    if entry.spago:
        assert "spaGO" in flat

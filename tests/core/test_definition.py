"""Each trap of a dataclass that is a pytree is caught where it is made, with the fix in the message."""

import enum
import functools
import inspect
import re
import sys
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import FrozenInstanceError
from typing import Annotated, Any, ClassVar, Literal, Optional, Union

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import spago_jax as sj
from spago_jax.errors import DefinitionError


class Colour(enum.Enum):
    RED = 1


def define(annotation: Any, default: Any = ..., *, bases: tuple = (sj.Module,)) -> type:
    """``class A(Module): x: annotation [= default]``."""
    body: dict[str, Any] = {"__annotations__": {"x": annotation}, "__module__": __name__}
    if default is not ...:
        body["x"] = default
    return type("A", bases, body)


def refuses(message: str):
    return pytest.raises(DefinitionError, match=re.escape(message))


NOT_ARRAYS = [
    (int, "int"),
    (float, "float"),
    (bool, "bool"),
    (str, "str"),
    (bytes, "bytes"),
    (complex, "complex"),
    (type, "type"),
    (type[int], "type[int]"),
    (np.dtype, "dtype"),
    (Colour, "Colour"),
    (Literal["relu", "gelu"], "Literal['relu', 'gelu']"),
    (Callable, "Callable"),
    (Callable[[int], int], "Callable[[int], int]"),
    (typing.Callable, "Callable"),
    (int | None, "int | None"),
    (Optional[str], str(Optional[str]).replace("typing.", "")),  # noqa: UP045 (the old spelling is what is tested)
    (Union[int, str], str(Union[int, str]).replace("typing.", "")),  # noqa: UP007
    (tuple[int, ...], "tuple[int, ...]"),
    (tuple[int, str], "tuple[int, str]"),
    (tuple[tuple[int, int], ...], "tuple[tuple[int, int], ...]"),
    (list[str], "list[str]"),
    (frozenset[str], "frozenset[str]"),
    (Sequence[int], "Sequence[int]"),
    (dict[str, int], "dict[str, int]"),
    (Mapping[str, float], "Mapping[str, float]"),
    (Annotated[int, "units"], "Annotated[int, 'units']"),
]


@pytest.mark.parametrize(("annotation", "text"), NOT_ARRAYS, ids=[text for _, text in NOT_ARRAYS])
def test_a_plain_field_that_is_no_array_is_refused(annotation, text):
    with refuses(f"A.x: {text} is not an array; declare x: {text} = static()."):
        define(annotation)
    define(annotation, sj.static())  # and the way out that the message names works


@pytest.mark.parametrize(
    "text",
    [
        "int",
        "int | None",
        "None | str",
        "Optional[int]",
        "Union[int, 'str']",
        "Literal['a']",
        "typing.Callable[[Unknown], int]",
        "Callable[[Unknown], Unknown]",
        "tuple[int, ...]",
        "tuple['int', str]",
        "Sequence[int]",
        "dict[str, int]",
        "Mapping[Unknown, int]",
        "Annotated[int, Unknown]",
        "Colour",
        "'int'",
    ],
)
def test_annotations_that_are_text_are_read(text):
    """``from __future__ import annotations`` and forward references leave only the text."""
    with pytest.raises(DefinitionError, match=r"^A\.x: .+ is not an array; declare x: .+ = static\(\)\.$"):
        define(text)


@pytest.mark.parametrize(
    "annotation",
    [
        jax.Array,
        jax.Array | None,
        Optional[jax.Array],  # noqa: UP045
        np.ndarray,
        tuple[jax.Array, ...],
        list[jax.Array],
        dict[str, jax.Array],
        int | jax.Array,  # a scalar weight may be either
        sj.Module,
        tuple[sj.Module, ...],
        Any,
        object,
        "jax.Array",
        "sj.Array | None",
        "Unknown",
        "list[Unknown]",
        "Unknown | None",
        "Optional['Unknown']",
        "not python ][",
    ],
)
def test_fields_that_may_hold_arrays_are_taken(annotation):
    define(annotation)


def test_a_module_that_holds_itself_and_one_that_is_defined_later():
    class Tree(sj.Module):
        weight: sj.Array
        left: "Tree | None" = None
        later: "Later | None" = None  # noqa: F821 (a forward reference that never resolves)
        right: Optional["Tree"] = None

    tree = Tree(jnp.ones(2), left=Tree(jnp.ones(3)))
    assert list(sj.flat(tree)) == ["weight", "left.weight"]


def test_future_annotations(monkeypatch):
    """The whole class is text, one forward reference among it, and each trap is still seen."""
    source = """
from __future__ import annotations
from typing import Callable, ClassVar, Optional
import spago_jax as sj

class Good(sj.Module):
    limit: ClassVar[int] = 3
    weight: sj.Array
    later: Optional[Later] = None
    size: Optional[int] = sj.static(default=None)

def bad():
    class Bad(sj.Module):
        later: Later
        size: Optional[int]

def static_array():
    class Bad(sj.Module):
        weight: Optional[sj.Array] = sj.static(default=None)
"""
    module = types.ModuleType("made_up_module")
    monkeypatch.setitem(sys.modules, "made_up_module", module)  # dataclasses looks there
    names = vars(module)
    exec(compile(source, "made_up_module", "exec"), names)
    assert names["Good"](jnp.ones(2)).limit == 3
    with refuses("Bad.size: Optional[int] is not an array; declare size: Optional[int] = static()."):
        names["bad"]()
    with refuses("Bad.weight: an array cannot be static"):
        names["static_array"]()


@pytest.mark.parametrize("annotation", [jax.Array, np.ndarray, jax.Array | None, tuple[jax.Array, ...], "Array | None"])
def test_a_static_array_is_refused(annotation):
    with refuses(
        "A.x: an array cannot be static: it is compared at every call of a compiled program, and the second call "
        "fails. Declare x: Array = buffer()."
    ):
        define(annotation, sj.static())


@pytest.mark.parametrize("annotation", [sj.Module, tuple[sj.Module, ...], "Module"])
def test_a_static_module_is_refused(annotation):
    with refuses("A.x: a Module cannot be static: its arrays would be constants of the compiled program. Declare x: "):
        define(annotation, sj.static())


def test_post_init_is_refused_also_when_inherited():
    message = (
        "A defines __post_init__, but JAX rebuilds a Module from tracers, None and strings, so a check there breaks "
        "jit, vmap and tree.map. Validate in the classmethod `init` instead."
    )

    class Check:
        def __post_init__(self):
            raise ValueError

    with refuses(message):
        type("A", (sj.Module,), {"__post_init__": lambda self: None})
    with refuses(message):
        type("A", (Check, sj.Module), {"__annotations__": {"x": jax.Array}})


def test_an_own_constructor_is_refused():
    with refuses("A defines __init__, but JAX rebuilds a Module by its dataclass constructor. Make arrays in a class"):
        type("A", (sj.Module,), {"__init__": lambda self: None})


@pytest.mark.parametrize("value", [jnp.ones(2), np.ones(2)], ids=["jax", "numpy"])
def test_a_default_array_is_refused(value):
    message = "A.x: a default array would be shared by every instance. Make it in `init` instead."
    if isinstance(value, jax.Array):
        with refuses(message):
            define(jax.Array, value)
    with refuses(message):
        define(jax.Array, sj.param(default=value))
    with refuses(message):
        define(jax.Array, sj.buffer(default=(value,)))


def test_a_default_module_is_refused():
    layer = define(jax.Array)(jnp.ones(2))
    with refuses("A.x: a default array would be shared by every instance"):
        define(sj.Module, layer)


def test_a_field_without_annotation_is_refused():
    message = (
        "A.x has no annotation, so it is no field of the Module; declare x: Array, "
        "or x: ClassVar[Array] for a constant of the class."
    )
    with refuses(message):
        type("A", (sj.Module,), {"x": jnp.ones(2)})
    with refuses(message):
        type("A", (sj.Module,), {"x": sj.static(default=1)})


def test_class_variables_are_no_fields():
    class Layer(sj.Module):
        names: ClassVar[tuple[str, ...]] = ("i", "f", "g", "o")
        table: "ClassVar[jax.Array]" = jnp.arange(3)
        weight: sj.Array

    assert list(sj.flat(Layer(jnp.ones(2)))) == ["weight"]


def test_inheritance_adds_fields_and_is_checked_anew():
    class Base(sj.Module):
        weight: sj.Array
        scale: float = sj.static(default=1.0)

    class More(Base):
        bias: sj.Array = sj.param(decay=False, kw_only=True)

    more = More(jnp.ones(2), bias=jnp.zeros(2))
    assert list(sj.flat(more)) == ["weight", "bias"]
    assert repr(more) == "More(weight=float32[2], scale=1.0, bias=float32[2])"
    with refuses("A.x: int is not an array"):
        define(int, bases=(Base,))


# -- at init -------------------------------------------------------------------------------------------------------


class Free(sj.Module):
    """Annotations that the definition cannot judge: what is checked is the instance."""

    x: Any
    y: Any = None
    setting: Any = sj.static(default=None)

    @classmethod
    def init(cls, **fields):
        """Makes one."""
        return cls(**fields)


@pytest.mark.parametrize("value", ["relu", 3, 2.5, True, b"x", Colour.RED, jnp.tanh, [1.0]])
def test_init_refuses_parameters_that_are_no_arrays(value):
    leaf = value[0] if isinstance(value, list) else value
    with refuses(
        f"Free.x holds {leaf!r} of type {type(leaf).__name__}, which is not an array; "
        "make it a jax array, or declare the field static()."
    ):
        Free.init(x=value)


@pytest.mark.parametrize("value", [jnp.ones(2), np.ones(2), (jnp.ones(2),), {"a": np.ones(2)}, Free(jnp.ones(2))])
def test_init_refuses_a_static_array(value):
    with refuses("Free.setting: a static field holds an array; declare it as buffer()."):
        Free.init(x=jnp.ones(2), setting=value)


@pytest.mark.parametrize("value", [[1, 2], {"a": 1}, {1}, (1, [2])])
def test_init_refuses_an_unhashable_static_value(value):
    with refuses(
        f"Free.setting = {value!r}: a static value must be hashable; "
        "use a tuple for a list, a frozen dataclass for a dict."
    ):
        Free.init(x=jnp.ones(2), setting=value)


def test_init_refuses_a_static_value_that_differs_from_itself():
    with refuses("Free.setting = nan differs from itself, so every call would be traced anew; use None."):
        Free.init(x=jnp.ones(2), setting=float("nan"))


def test_init_refuses_one_array_in_two_places():
    weight = jnp.ones(2)
    with refuses(
        "Free: x and y[0] are one array in two places; after the first update they would be two. Keep it in one "
        "module and call that module's method from the other (weight tying)."
    ):
        Free.init(x=weight, y=(weight,))
    inner = Free.init(x=weight)
    with refuses("Free: x.x and y.x are one array in two places"):
        Free.init(x=inner, y=inner)
    Free.init(x=weight, y=weight + 0)


def test_init_takes_what_the_roles_allow():
    made = Free.init(x=(jnp.ones(2), [np.ones(3)], {"k": jax.random.key(0)}), y=None, setting=(1, "a", None, jnp.tanh))
    assert list(sj.flat(made)) == ["x.0", "x.1.0", "x.2.k"]
    assert jax.eval_shape(lambda: Free.init(x=jnp.ones(2))).x.shape == (2,)
    assert jax.jit(lambda: Free.init(x=jnp.ones(2)))().x.shape == (2,)


def test_init_keeps_its_name_documentation_and_signature():
    assert Free.init.__doc__ == "Makes one."
    assert list(inspect.signature(Free.init).parameters) == ["fields"]


def test_a_static_init_is_checked_too():
    class Layer(sj.Module):
        x: Any

        @staticmethod
        def init(value):
            return Layer(value)

    with refuses("Layer.x holds 3 of type int"):
        Layer.init(3)


def test_an_inherited_init_is_checked():
    class Child(Free):
        pass

    assert type(Child.init(x=jnp.ones(2))) is Child
    with refuses("Child.x holds 'a' of type str"):
        Child.init(x="a")


def test_modules_are_frozen_and_replace_names_the_nearest_field():
    made = Free(jnp.ones(2))
    with pytest.raises(FrozenInstanceError):
        made.x = jnp.zeros(2)  # type: ignore[misc]
    assert made.replace(setting="b").setting == "b"

    class Own(Free):
        def replace(self, **updates):
            return "own"

    class Heir(Own):
        pass

    assert Heir(jnp.ones(2)).replace() == "own"
    with refuses("Free has no field 'seting': did you mean 'setting'?"):
        made.replace(seting="b")


def test_equality_is_identity_and_modules_are_hashable():
    one, two = Free(jnp.ones(2)), Free(jnp.ones(2))
    assert one == one
    assert one != two
    assert len({one, two}) == 2


def test_the_constructor_is_left_to_jax():
    """JAX rebuilds a Module from placeholders, so the constructor checks nothing."""
    assert functools.reduce(lambda m, _: jax.tree.map(lambda leaf: None, m), range(2), Free(jnp.ones(2))).x is None
    assert jax.tree.map(lambda leaf: "label", Free(jnp.ones(2))).x == "label"

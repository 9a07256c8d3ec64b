# SPDX-License-Identifier: BSD-2-Clause
"""Working experiments to begin with: a commented config and a few dozen lines of data, made up for the purpose."""

import dataclasses
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

from spago_jax.core.disk import new_folder
from spago_jax.errors import InputError, did_you_mean
from spago_jax.tasks.templates.numbers_data import write_numbers
from spago_jax.tasks.templates.shapes import write_shapes

_NAME = "name: template\n"


@dataclasses.dataclass(frozen=True)
class Template:
    """An experiment to begin with.

    Attributes:
        task: the task.
        kind: what of it; the folder of its files here.
        example: an argument list of ``predict`` that shows the trained model at work.
        standard_input: a text that ``predict`` reads.
        make: writes what is not copied from here.
    """

    task: str
    kind: str
    example: tuple[str, ...] = ()
    standard_input: str = ""
    make: Callable[[Path], None] | None = None


# The first one of a task is what `init` writes if no kind is given.
TEMPLATES = (
    Template("token-classification", "entities", standard_input="Anna Berg works for Acme in Lima ."),
    Template("token-classification", "pos", standard_input="The old teacher paints a quiet garden ."),
    Template("text-classification", "topics", standard_input="The goalkeeper saved the match."),
    Template("text-generation", "text", example=("characters=80",), standard_input="The teacher "),
    Template("image-classification", "shapes", example=("--input", "test-images.idx"), make=write_shapes),
    Template("image-classification", "digits"),
    Template("text2text-generation", "strings", standard_input="7 March 2021"),
    Template("translation", "numbers", standard_input="two hundred and thirty-one", make=write_numbers),
)


def find_template(task: str, kind: str | None = None) -> Template:
    """Returns the template of a task.

    Raises:
        InputError: for a task without one, or a kind that it does not have.
    """
    found = {template.kind: template for template in TEMPLATES if template.task == task}
    if not found:
        raise InputError(f"no template for the task {task!r}: {did_you_mean(task, {t.task for t in TEMPLATES})}")
    if kind is not None and kind not in found:
        raise InputError(f"--kind {kind}: no such template of {task}: {did_you_mean(kind, found)}")
    return next(iter(found.values())) if kind is None else found[kind]


def write_template(template: Template, folder: str | Path) -> list[Path]:
    """Writes a template into a new or an empty folder, whole or not at all.

    Args:
        template: from ``find_template``.
        folder: where to; the experiment takes its name.

    Returns:
        The files, by name.

    Raises:
        InputError: for a folder that is not empty, or cannot be written.
    """
    target = Path(folder)
    if target.exists() and not target.is_dir():
        raise InputError("exists and is not a folder; choose another place", path=target)
    if target.is_dir() and any(target.iterdir()):
        raise InputError("the folder is not empty; choose another one", path=target)
    try:
        with new_folder(target) as new:
            for source in files("spago_jax.tasks.templates").joinpath(template.kind).iterdir():
                text = source.read_text(encoding="utf-8")
                if source.name == "config.yaml":
                    text = text.replace(_NAME, f"name: {_quoted(target.absolute().name)}\n")
                (new / source.name).write_text(text, encoding="utf-8")
            if template.make is not None:
                template.make(new)
    except OSError as error:
        raise InputError(f"cannot write the folder {folder}: {error.strerror or error}") from None
    return sorted(target.iterdir())


def _quoted(name: str) -> str:
    import yaml

    return yaml.safe_dump(name, allow_unicode=True).removesuffix("...\n").strip()

# SPDX-License-Identifier: BSD-2-Clause
"""Entry point: commands, and how errors become messages and exit codes."""

import os
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import typer

from spago_jax.cli.app import app
from spago_jax.errors import InputError, InputWarning, SpagoError
from spago_jax.text.unicode import refuse_surrogates

# The base of typer's usage errors; older versions take it from click, newer ones bring their own.
_USAGE: type[Exception] = next(cls for cls in typer.BadParameter.__mro__ if cls.__name__ == "ClickException")


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and exits: 0, 1 failure, 2 bad input, 130 interrupted after a clean checkpoint."""
    code = 1
    try:
        code = run(sys.argv[1:] if arguments is None else list(arguments))
    except BaseException:
        if _one_of_several():
            traceback.print_exc()
        else:
            raise
    if _one_of_several():
        from spago_jax.train.together import leave_processes

        leave_processes(code)
    sys.exit(code)


def _one_of_several() -> bool:
    """Whether this process trains together with others."""
    if "spago_jax.train.together" not in sys.modules:
        return False
    import jax

    return jax.distributed.is_initialized()


def run(arguments: list[str]) -> int:
    """Runs the command line and returns its exit code; every expected error is one message without a traceback."""
    # They add their commands.
    from spago_jax.cli import (  # noqa: F401
        client,
        compare,
        configs,
        cross_validate,
        doctor,
        evaluate,
        export,
        find_lr,
        graph,
        import_model,
        index,
        init,
        inspect,
        launch,
        layers,
        predict,
        run,
        runs,
        search,
        serve,
        sweep,
        tasks,
        tokenizer,
        train,
        vectors,
    )

    try:
        for argument in arguments:  # they go into files, such as that of the command of a run
            refuse_surrogates(argument, f"argument {argument!r}: ")
        # Not app(arguments): that would end the process with code 1 on a broken pipe.
        command = typer.main.get_command(app)
        with _short_warnings(), command.make_context("spago-jax", arguments) as context:
            result = command.invoke(context)
        sys.stdout.flush()  # here, where a broken pipe is known for what it is, and not at the interpreter's exit
        return result if isinstance(result, int) else 0
    except typer.Exit as error:
        return error.exit_code
    except _USAGE as error:
        error.show(sys.stderr)  # type: ignore[attr-defined]
        return 2
    except (KeyboardInterrupt, typer.Abort):
        return _say("interrupted", 130)
    except BrokenPipeError:
        # `spago-jax predict | head` is not an error; the null device keeps Python from complaining at exit.
        with suppress(OSError, ValueError):  # a stream of a test has no descriptor
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except SpagoError as error:
        return _say(str(error), _code(error))
    except OSError as error:
        return _say(f"{error.filename or 'system'}: {error.strerror or error}", 1)


@contextmanager
def _short_warnings() -> Iterator[None]:
    """Says warnings about the user's input in one line each, without the place in this library's source."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", InputWarning)
        show = warnings.showwarning

        def shown(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
            if issubclass(category, InputWarning):
                print(f"spago-jax: warning: {message}", file=sys.stderr)
            else:
                show(message, category, *place, **more)

        warnings.showwarning = shown
        yield


def _code(error: SpagoError) -> int:
    # Interrupted lives with the training loop; its name saves an import of JAX for commands that need none.
    if type(error).__name__ == "Interrupted":
        return 130
    return 2 if isinstance(error, InputError) else 1


def _say(message: str, code: int) -> int:
    print(f"spago-jax: {message}", file=sys.stderr)
    return code

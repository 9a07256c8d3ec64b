# SPDX-License-Identifier: BSD-2-Clause
"""`spago-jax cross-validate`."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spago_jax.cli.app import app

if TYPE_CHECKING:
    from spago_jax.train import Experiment, Result


@app.command("cross-validate")
def cross_validate(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML experiment.", show_default=False)],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Settings such as train.epochs=3.")
    ] = None,
    folds: Annotated[int, typer.Option(metavar="K", help="How many parts; each is held out once.")] = 5,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="The folder; runs/NAME by default.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the folds that are there.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the final table only.")] = False,
) -> None:
    """Trains an experiment once per fold of its training data, and shows the mean and the spread of the scores.

    Each fold is a run folder of its own, DIR/fold-1 and so on; the scores of all are in DIR/folds.json.
    """
    from spago_jax.core.devices import ask_for_cpu_devices
    from spago_jax.sweep.cross_validate import check_folds
    from spago_jax.sweep.cross_validate import cross_validate as run_folds
    from spago_jax.tasks.experiment import load_experiment

    whole = load_experiment(config, overrides or ())
    check_folds(whole, folds)
    folder = out or Path("runs") / whole.name
    ask_for_cpu_devices(whole.train.devices)

    from spago_jax.train.console import TrainingConsole
    from spago_jax.train.interrupt import Interrupted
    from spago_jax.train.loop import fit

    command = ["spago-jax", "cross-validate", str(config), *(overrides or ()), "--folds", str(folds)]
    command += ["--out", str(folder)]

    def train(experiment: "Experiment", into: Path) -> "Result":
        return fit(experiment, into, resume=resume, command=shlex.join(command), console=TrainingConsole(quiet=True))

    def say(line: str) -> None:
        if not quiet:
            print(line, file=sys.stderr, flush=True)

    try:
        done = run_folds(
            lambda settings: load_experiment(config, [*(overrides or ()), *settings]),
            train,
            whole.name,
            folds,
            folder,
            resume=resume,
            say=say,
        )
    except (Interrupted, KeyboardInterrupt) as error:
        go_on = shlex.join([*command, "--resume"])
        raise Interrupted(f"{_first(error)}; what was trained is kept. Go on with: {go_on}") from None
    print(done.table())
    print(f"folder: {folder}")


def _first(error: BaseException) -> str:
    return str(error).partition(";")[0] or "interrupted"

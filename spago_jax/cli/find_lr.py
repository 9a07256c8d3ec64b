# SPDX-License-Identifier: BSD-2-Clause
"""`spago-jax find-lr`: which learning rate to begin with."""

from pathlib import Path
from typing import Annotated

import typer

from spago_jax.cli.app import app
from spago_jax.errors import InputError


@app.command("find-lr")
def find_lr(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML experiment.", show_default=False)],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Settings such as train.batch_size=16.")
    ] = None,
    low: Annotated[float, typer.Option(help="The first rate.")] = 1e-6,
    high: Annotated[float, typer.Option(help="The last rate.")] = 10.0,
    steps: Annotated[int, typer.Option(help="How many training steps.")] = 200,
    svg: Annotated[Path | None, typer.Option(metavar="FILE.svg", help="Also draw the curve into this file.")] = None,
) -> None:
    """Suggests a learning rate, from a short training whose rate grows from very small to far too large.

    The loss falls fastest at the rate that is suggested (Smith 2017). Nothing is trained for good, and nothing written
    but the drawing. Run it again after a change of the model, the batch size or the optimizer.
    """
    from spago_jax.core.devices import ask_for_cpu_devices
    from spago_jax.tasks.experiment import load_experiment

    if svg is not None and not svg.absolute().parent.is_dir():
        raise InputError(f"cannot write {svg}: the folder {svg.parent} does not exist")
    experiment = load_experiment(config, overrides or ())
    ask_for_cpu_devices(experiment.train.devices)

    from spago_jax.core.disk import replace_file
    from spago_jax.report.rates import rate_svg, rate_table
    from spago_jax.train.find_rate import find_rate

    curve = find_rate(experiment, low=low, high=high, steps=steps)
    print(rate_table(curve))
    if len(curve.rates) < steps:
        print(f"ended after {len(curve.rates)} of {steps} steps: the loss diverges at {curve.rates[-1]:.1e}")
    if curve.suggestion is None:
        print("no suggestion: the loss does not fall at any of these rates; try other bounds, or more --steps")
    else:
        print(f"steepest descent: optimizer.learning_rate={curve.suggestion:g}")
    if svg is not None:
        replace_file(svg, rate_svg(curve))
        print(f"drawing: {svg}")

# SPDX-License-Identifier: BSD-2-Clause
"""Every trial is checked before any work: a mistake names the trial, the key, the file and the line."""

from spago_jax.errors import InputError, did_you_mean
from spago_jax.sweep.halving import rungs
from spago_jax.sweep.schema import Halving, Sweep
from spago_jax.sweep.source import SweepFile, override
from spago_jax.sweep.trials import Trial, trials
from spago_jax.tasks.experiment import load_experiment
from spago_jax.train.schema import Experiment, no_dev
from spago_jax.train.task import Score


def settings_of(sweep: Sweep, trial: Trial, epochs: int | None = None) -> list[str]:
    """All that a trial changes of the base experiment, as the command line takes it."""
    texts = [override("name", f"{sweep.name}/{trial.label}")]
    texts += [override(key, value) for key, value in sweep.settings.items()]
    texts += trial.overrides
    if sweep.metric is not None:
        texts.append(override("train.metric", sweep.metric))
    if epochs is not None:
        texts.append(override("train.epochs", epochs))
    return texts


def checked_trials(file: SweepFile) -> list[Trial]:
    """The trials of a sweep, each checked as an experiment of its own.

    Raises:
        InputError: for the first trial that is none, and for settings of the sweep that give no trials.
    """
    try:
        found = trials(file.sweep)
    except InputError as error:
        raise InputError(f"{file.where('method', 'trials')}{error}") from None
    base_experiment(file)  # what is wrong with the base alone is said without a trial
    epochs = rungs(file.sweep.method)[0].epochs if isinstance(file.sweep.method, Halving) else None
    for trial in found:
        try:
            load_experiment(file.base, settings_of(file.sweep, trial, epochs))
        except InputError as error:
            raise InputError(_placed(str(error), file, trial)) from None
    return found


def base_experiment(file: SweepFile) -> Experiment:
    """The experiment that is varied, with the settings of every trial and the metric.

    Raises:
        InputError: for a mistake in it.
    """
    sweep = file.sweep
    texts = [override(key, value) for key, value in sweep.settings.items()]
    try:
        found = load_experiment(file.base, texts)
    except InputError as error:
        message = str(error)
        for key, value in sweep.settings.items():
            message = message.replace(f"override {override(key, value)!r}: ", file.where("settings", key))
        raise InputError(message) from None
    if sweep.metric is not None:
        found = found.model_copy(update={"train": found.train.model_copy(update={"metric": sweep.metric})})
    return found


def chosen_metric(file: SweepFile, experiment: Experiment) -> Score:
    """The dev score that ranks the trials, as the task declares it.

    Raises:
        InputError: for a score that the task does not have, or where there is no dev part to have it on.
    """
    task = experiment.task_class
    if "dev" not in experiment.data.splits():
        raise InputError(f"{file.base}: a sweep ranks its trials by a dev score, and {no_dev(experiment)}")
    names = task.expected_scores(experiment)
    name = experiment.train.metric or names[0]
    if name not in names:
        where = file.where("metric") if file.sweep.metric is not None else f"{file.base}: train."
        raise InputError(f"{where}metric = {name!r}: {did_you_mean(name, names)}")
    return task.score(name)


def _placed(message: str, file: SweepFile, trial: Trial) -> str:
    """The message with the place in the sweep's file instead of the override that only this trial has."""
    for key, text in zip(trial.values, trial.overrides, strict=True):
        sign = f"override {text!r}: "
        if sign in message:
            return message.replace(sign, f"{file.where('parameters', key)}trial {trial.number}: ")
    return f"{file.path}: trial {trial.number} ({trial.about}): {message}"

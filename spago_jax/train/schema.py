# SPDX-License-Identifier: BSD-2-Clause
"""The schema of an experiment: frozen, validated, with a description on every key."""

from typing import Any, Literal

from pydantic import Field

from spago_jax.core.section import PositiveInt as PositiveInt
from spago_jax.core.section import Section as Section
from spago_jax.optim import OptimizerConfig
from spago_jax.train.watch.config import ActionConfig, WatchConfig


class EarlyStopping(Section):
    """When to stop before the last epoch."""

    patience: PositiveInt = Field(description="evaluations without a better score before training stops")
    min_delta: float = Field(default=0.0, ge=0, description="how much better counts as better")


class TrainConfig(Section):
    """How long, on what, and in what portions a model is trained."""

    epochs: PositiveInt = Field(default=10, description="passes over the training data")
    batch_size: PositiveInt = Field(default=32, description="examples (or parallel text streams) a step")
    eval_batch_size: PositiveInt = Field(default=64, description="examples a step of evaluation")
    buckets: PositiveInt = Field(default=4, description="how many padded lengths the sentences are sorted into")
    max_length: PositiveInt = Field(
        default=128, description="longer training sentences are cut into pieces of this length"
    )
    steps_per_call: PositiveInt = Field(default=8, description="training steps in one call of the device")
    evaluate_every: PositiveInt = Field(default=1, description="epochs between evaluations on the dev data")
    metric: str | None = Field(
        default=None, description="dev score that picks the best checkpoint (default: the model's own)"
    )
    early_stopping: EarlyStopping | None = Field(default=None, description="stop when the dev score stays")
    checkpoint_every: PositiveInt | None = Field(
        default=None, description="steps between checkpoints inside an epoch (one is always made at each evaluation)"
    )
    average: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="decay of an exponential average of the weights, used to evaluate and predict",
    )
    devices: PositiveInt | Literal["all"] = Field(
        default=1, description="devices that share each batch; 'all' of them, on a CPU one a core"
    )
    precision: str = Field(
        default="float32", description="float32, bfloat16, float64, or params=..,compute=..,output=.."
    )
    log_every: PositiveInt = Field(
        default=50, description="steps between lines of the log and points of the loss curve"
    )
    tensorboard: bool = Field(
        default=False, description="also write TensorBoard events (needs the extra 'tensorboard')"
    )
    watch: WatchConfig | None = Field(
        default=None, description="what is measured at every step and kept by epoch ({} for every sj.tap)"
    )
    actions: tuple[ActionConfig, ...] = Field(default=(), description="what is done when a trend gets into a state")


class Experiment(Section):
    """One experiment: data, model, optimizer and schedule. `data` and `model` are checked by the model's recipe."""

    name: str = Field(description="names the run folder: runs/NAME")
    description: str = Field(default="", description="free text, shown in the report")
    seed: int = Field(default=1, ge=0, lt=2**32, description="of the initial weights, the shuffling and the dropout")
    data: Any = Field(description="what to read; its keys depend on data.kind")
    model: Any = Field(description="what to train; its keys depend on model.kind")
    optimizer: OptimizerConfig = Field(description="the update rule, its schedule, clipping and groups")
    train: TrainConfig = Field(default_factory=TrainConfig, description="how long and in what portions")

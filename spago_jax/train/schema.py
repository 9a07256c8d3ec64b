# SPDX-License-Identifier: BSD-2-Clause
"""The schema of an experiment: frozen, validated, with a description on every key."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from spago_jax.core.section import PositiveInt as PositiveInt
from spago_jax.core.section import Section as Section
from spago_jax.core.section import Texts
from spago_jax.errors import did_you_mean
from spago_jax.optim import OptimizerConfig
from spago_jax.train.watch.config import ActionConfig, WatchConfig


class EarlyStopping(Section):
    """Rules for stopping before the last epoch."""

    patience: PositiveInt = Field(description="evaluations without a better score before training stops")
    min_delta: float = Field(default=0.0, ge=0, description="how much better counts as better")


class InitConfig(Section):
    """The weights that training starts from, instead of random ones."""

    source: str = Field(
        alias="from", description="a run folder, an exported folder, or a pre-trained model in Hugging Face's layout"
    )
    step: int | None = Field(default=None, ge=0, description="checkpoint of a run (default: its best one)")
    allow_missing: Texts = Field(
        default=(),
        description="patterns of arrays that may be absent there, or of another shape (a fresh head for new labels)",
    )
    extend: bool = Field(
        default=True, description="add the words and labels of the new data to those that the weights know"
    )
    freeze: Texts = Field(default=(), description="patterns of arrays that keep their weights")


def _positive_or_all(size: int) -> int:
    if size < 1 and size != -1:
        raise ValueError("expected 1 or more, or -1 for as many as there are")
    return size


AxisSize = Annotated[int, AfterValidator(_positive_or_all)]


class MeshConfig(Section):
    """The devices of all processes, as a rectangle."""

    data: AxisSize = Field(default=-1, description="parts that each batch is split into; -1: as many as there are")
    model: AxisSize = Field(default=1, description="parts that arrays of the model may be split into, by the sharding")

    @model_validator(mode="after")
    def _one_left_open(self) -> "MeshConfig":
        if self.data == self.model == -1:
            raise ValueError("only one of data and model may be -1")
        return self

    def sizes(self) -> dict[str, int]:
        """Returns the sizes by axis."""
        return {"data": self.data, "model": self.model}


SHARDINGS = ("replicated", "fsdp", "tensor", "fsdp+tensor")


def _known_sharding(value: object) -> Any:
    """Refuses an unknown name here, where it can be said which ones are known; a mapping is checked by its type."""
    if isinstance(value, str) and value not in SHARDINGS:
        raise ValueError(did_you_mean(value, SHARDINGS))
    if not isinstance(value, str | dict):
        raise ValueError(f"expected {', '.join(SHARDINGS)}, or a mapping from patterns of arrays to axes of the mesh")
    for pattern, axes in value.items() if isinstance(value, dict) else ():
        for axis in axes if isinstance(axes, list | tuple) else [axes]:
            if axis not in (None, "data", "model"):
                hint = did_you_mean(str(axis), ("data", "model"))
                raise ValueError(f"pattern {pattern!r} names the axis {axis!r} of the mesh: {hint}")
    return value


MeshAxis = Literal["data", "model"]
Sharding = Annotated[
    Literal["replicated", "fsdp", "tensor", "fsdp+tensor"] | dict[str, MeshAxis | tuple[MeshAxis | None, ...]],
    BeforeValidator(_known_sharding),
]


class ProcessesConfig(Section):
    """The processes that train together, where no scheduler says it."""

    coordinator: str = Field(description="host:port of process 0, which all reach", pattern=r"^.+:[0-9]+$")
    processes: PositiveInt = Field(description="how many processes there are")
    process: int = Field(ge=0, description="the number of this one, from 0")

    @model_validator(mode="after")
    def _one_of_them(self) -> "ProcessesConfig":
        if self.process >= self.processes:
            raise ValueError(f"process {self.process} of {self.processes}: they count from 0")
        return self


class TrainConfig(Section):
    """Length of training, devices and batches."""

    epochs: PositiveInt = Field(default=10, description="passes over the training data")
    steps: PositiveInt | None = Field(default=None, description="training steps, instead of epochs")
    batch_size: PositiveInt = Field(default=32, description="examples (or parallel text streams) per step")
    eval_batch_size: PositiveInt = Field(default=64, description="examples per step of evaluation")
    steps_per_call: PositiveInt = Field(default=8, description="training steps in one call of the device")
    evaluate_every: PositiveInt = Field(default=1, description="epochs between evaluations on the dev data")
    evaluate_steps: PositiveInt | None = Field(
        default=None, description="steps between further evaluations inside an epoch, at the end of a call"
    )
    metric: str | None = Field(
        default=None, description="dev score that picks the best checkpoint (default: the task's own)"
    )
    early_stopping: EarlyStopping | None = Field(default=None, description="stop when the dev score stops improving")
    checkpoint_every: PositiveInt | None = Field(
        default=None, description="steps between checkpoints inside an epoch (one is always made at each evaluation)"
    )
    keep_checkpoints: PositiveInt = Field(
        default=2,
        description="newest checkpoints to keep whole; the best one is kept too, if it is older as the model alone",
    )
    average: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="decay of an exponential average of the weights, used to evaluate and predict",
    )
    remat: Literal["full", "dots"] | None = Field(
        default=None,
        description="what each layer of an encoder or decoder computes again on the way back instead of keeping it: "
        "full (all of it) or dots (all but the products with weights); less memory, more time",
    )
    device: Literal["cpu", "gpu", "tpu"] | None = Field(
        default=None, description="kind of device to train on (default: the fastest that JAX finds)"
    )
    devices: PositiveInt | Literal["all"] = Field(
        default=1, description="devices that share each batch; 'all' of them, on a CPU one per core"
    )
    mesh: MeshConfig | None = Field(
        default=None, description="the devices of all processes as a rectangle, such as {data: -1, model: 2}"
    )
    sharding: Sharding = Field(
        default="replicated",
        description="how the model and the state of the optimizer lie on the mesh: replicated (whole on every device), "
        "fsdp (in parts over data), tensor (in parts over model), fsdp+tensor, or axes by patterns of arrays",
    )
    distributed: Literal["auto"] | ProcessesConfig | None = Field(
        default=None,
        description="several processes: auto (as SLURM, Open MPI, Kubernetes or the TPU says), or {coordinator: "
        "host:port, processes: 2, process: 0}",
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
        default=None, description="values measured at every step and kept by epoch ({} for every sj.tap)"
    )
    actions: tuple[ActionConfig, ...] = Field(default=(), description="what to do when a trend reaches a state")

    def make_devices(self) -> Any:
        """Returns the ``Devices`` that training runs on.

        Raises:
            InputError: where there are not so many.
        """
        from spago_jax.core.devices import Devices

        return Devices.of(self.devices, self.device, None if self.mesh is None else self.mesh.sizes())

    def total_steps(self, steps_per_epoch: int) -> int:
        """Returns the number of training steps."""
        return self.steps or self.epochs * steps_per_epoch

    def total_epochs(self, steps_per_epoch: int) -> int:
        """Returns the number of epochs, including a last partial one."""
        return self.epochs if self.steps is None else -(-self.steps // steps_per_epoch)


SHUFFLE_WINDOW = (
    "neighboring examples that are shuffled together, for data that do not fit into memory (default: all of them)"
)


class ClassTrainConfig(TrainConfig):
    """Training of a classifier."""

    sampling: Literal["balanced"] | None = Field(
        default=None,
        description="balanced: draw examples with replacement, every class as often; null: every example once an epoch",
    )


class TextTrainConfig(TrainConfig):
    """Training of a model of texts: rows of similar length share a batch."""

    buckets: PositiveInt = Field(default=4, description="number of padded lengths that texts are sorted into")
    max_length: PositiveInt = Field(default=128, description="longer texts are cut at this number of tokens")
    shuffle_window: PositiveInt | None = Field(default=None, description=SHUFFLE_WINDOW)


class TextClassTrainConfig(TextTrainConfig, ClassTrainConfig):
    """Training of a classifier of texts."""


class StreamTrainConfig(TrainConfig):
    """Training of a language model on parallel streams of text, chunk after chunk."""

    chunk: PositiveInt = Field(
        default=128, description="characters that gradients go back (truncated back-propagation)"
    )


class Experiment(Section):
    """One experiment: task, data, model, optimizer and schedule. Each task has a subclass with typed sections."""

    task: str = Field(description="what is learned: the name of a task")
    name: str = Field(description="names the run folder: runs/NAME (default: the name of the file)")
    description: str = Field(default="", description="free text, shown in the report")
    seed: int = Field(default=1, ge=0, lt=2**32, description="of the initial weights, the shuffling and the dropout")
    data: Any = Field(description="what to read; its keys depend on data.format")
    model: Any = Field(description="what to train; its keys depend on the task")
    init: InitConfig | None = Field(default=None, description="weights to start from")
    optimizer: OptimizerConfig = Field(description="the update rule, its schedule, clipping and groups")
    train: Any = Field(
        default_factory=TrainConfig, description="how long and in what portions; its keys depend on the task"
    )

    task_class: ClassVar[Any] = None


def no_dev(experiment: Experiment) -> str:
    """Says that there is no dev part, and how to get one with data of this format."""
    drawn = [name for name in type(experiment.data).model_fields if name.startswith("dev_")]
    ways = f"; name a file, or draw it from the training data with data.{drawn[0]}" if drawn else ""
    return f"data.dev is missing{ways}"

# SPDX-License-Identifier: BSD-2-Clause
"""The sections ``train.watch`` and ``train.actions`` of an experiment."""

from typing import Literal, Self

from pydantic import Field, model_validator

from spago_jax.core.section import PositiveInt, Section

Patterns = str | tuple[str, ...]
Per = Literal["array", "module"] | None


def as_patterns(value: Patterns) -> tuple[str, ...]:
    """Returns one pattern or several as a tuple."""
    return (value,) if isinstance(value, str) else value


class HistogramsConfig(Section):
    """The histograms made after each epoch, always on the same batch of the training data."""

    weights: Patterns = Field(default="*", description="arrays of the model, by pattern; [] for none")
    gradients: Patterns = Field(default="*", description="arrays whose gradients are counted; [] for none")
    activations: Patterns = Field(default="*", description="modules whose outputs are counted; [] for none")
    bins: PositiveInt = Field(default=30, description="bins of a histogram, from its smallest value to its largest")


class WatchConfig(Section):
    """The values measured at every training step, on the device, and kept as means by epoch."""

    tags: Patterns = Field(default="*", description="names of sj.tap in the model, or patterns of them; [] for none")
    gradients: Per = Field(default=None, description="norms of the gradients, per array or per module")
    weights: Per = Field(default=None, description="norms of the weights, per array or per module")
    updates: Per = Field(default=None, description="norm of the update over norm of the weights, per array or module")
    activations: Patterns = Field(
        default=(), description="modules whose outputs' mean, root mean square, zeros and dead units are kept"
    )
    locate: Literal["taps", "modules"] | None = Field(
        default="taps",
        description="when the loss is not finite, name the first tap whose value is not, or the first module (which "
        "takes 5 to 10% of the time)",
    )
    histograms: HistogramsConfig | None = Field(default=None, description="histograms after each epoch ({} for all)")


class When(Section):
    """The state of a trend that an action waits for."""

    trend: str = Field(description="loss, gradient_norm, a watched value, or a dev score such as dev.loss")
    state: Literal["stalled", "improving", "converged", "diverging", "oscillating"] = Field(
        description="what the trend has to be; see docs/watching.md"
    )
    window: int = Field(default=5, ge=2, description="how many of the last epochs are looked at; no fewer will do")
    tolerance: float = Field(default=1e-3, ge=0, description="of the slope, the variance or the turns")
    after_epoch: int = Field(default=0, ge=0, description="epochs that have to be done before")


class Do(Section):
    """What an action does; several things at once are allowed."""

    scale_learning_rate: float | None = Field(default=None, gt=0, description="multiply the learning rate by this")
    unfreeze: Patterns | None = Field(
        default=None, description="train these arrays from now on; until then they are frozen"
    )
    stop: bool = Field(default=False, description="end the training after this epoch")

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.scale_learning_rate is None and self.unfreeze is None and not self.stop:
            raise ValueError("nothing to do: give scale_learning_rate, unfreeze or stop: true")
        return self


class ActionConfig(Section):
    """An action to take when a trend reaches a state."""

    when: When = Field(description="what it waits for")
    do: Do = Field(description="what it does")
    repeat: bool = Field(default=False, description="do it again each time, with a whole new window in between")

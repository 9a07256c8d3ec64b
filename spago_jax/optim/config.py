# SPDX-License-Identifier: BSD-2-Clause
"""The ``optimizer:`` section of an experiment: every key, its default and its meaning."""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from spago_jax.core.section import Section

__all__ = [
    "ConstantSchedule",
    "CosineSchedule",
    "ExponentialSchedule",
    "GroupConfig",
    "HyperbolicSchedule",
    "LinearSchedule",
    "OptimizerConfig",
    "PlateauConfig",
    "Schedule",
    "StepSchedule",
]


class _Schedule(Section):
    warmup: float = Field(
        0,
        ge=0,
        description="Linear warm-up first: over this many steps, or over this fraction of all steps if below 1.",
    )


class ConstantSchedule(_Schedule):
    """scale(t) = 1."""

    name: Literal["constant"] = "constant"


class _Falling(_Schedule):
    final: float = Field(0.0, ge=0, le=1, description="Where it ends, as a fraction of the learning rate.")
    steps: int | None = Field(None, ge=1, description="Over how many steps; by default all steps after the warm-up.")


class LinearSchedule(_Falling):
    """scale(t) = 1 + (final - 1) t / n."""

    name: Literal["linear"] = "linear"


class CosineSchedule(_Falling):
    """scale(t) = final + (1 - final) (1 + cos(pi t / n)) / 2 (Loshchilov and Hutter 2017, without restarts)."""

    name: Literal["cosine"] = "cosine"


class ExponentialSchedule(_Falling):
    """scale(t) = final ** (t / n): the same factor at every step, from 1 to `final`.

    spaGO's ``decay/exponential`` gives the same values as a recursion on the current rate, which cannot start in
    the middle of a run and divides by zero after its last step; this is its closed form.
    """

    name: Literal["exponential"] = "exponential"
    final: float = Field(0.01, gt=0, le=1, description="Where it ends, as a fraction of the learning rate.")


class HyperbolicSchedule(_Schedule):
    """scale(t) = max(final, 1 / (1 + rate t)), with t in epochs or steps.

    spaGO's ``decay/hyperbolic`` leaves the first step out and can fall below `final` by one step; here `final`
    is a floor.
    """

    name: Literal["hyperbolic"] = "hyperbolic"
    rate: float = Field(0.1, gt=0, description="How fast it falls.")
    final: float = Field(0.0, ge=0, le=1, description="The floor, as a fraction of the learning rate.")
    unit: Literal["step", "epoch"] = Field("epoch", description="What `rate` counts.")


class StepSchedule(_Schedule):
    """scale(t) = factor ** floor(t / every), with t in epochs or steps."""

    name: Literal["step"] = "step"
    every: int = Field(1, ge=1, description="The length of one stair.")
    factor: float = Field(0.5, gt=0, le=1, description="The height of a stair, as a fraction of the one before it.")
    unit: Literal["step", "epoch"] = Field("epoch", description="What `every` counts.")


def _by_name(value: object) -> object:
    """`schedule: cosine` is short for `schedule: {name: cosine}`."""
    return {"name": value} if isinstance(value, str) else value


Schedule = Annotated[
    ConstantSchedule | LinearSchedule | CosineSchedule | ExponentialSchedule | HyperbolicSchedule | StepSchedule,
    Field(discriminator="name"),
]


class PlateauConfig(Section):
    """Multiplies the learning rate by `factor` when the dev score does not improve for `patience` evaluations.

    The rule and the defaults of `threshold` and `cooldown` are those of PyTorch's ``ReduceLROnPlateau``.
    """

    factor: float = Field(0.5, gt=0, lt=1, description="What the learning rate is multiplied by.")
    patience: int = Field(2, ge=0, description="Evaluations without improvement before the rate drops.")
    threshold: float = Field(1e-4, ge=0, description="The relative improvement that counts as one.")
    cooldown: int = Field(0, ge=0, description="Evaluations to ignore after a reduction.")
    final: float = Field(0.0, ge=0, lt=1, description="The floor, as a fraction of the learning rate.")
    mode: Literal["max", "min"] | None = Field(
        None, description="Whether a higher or a lower score is better; null: as the metric says."
    )


class GroupConfig(Section):
    """Other settings for the arrays that a path pattern matches; the first group that matches an array applies."""

    match: str | tuple[str, ...] = Field(
        description="Path patterns: a module's path (`encoder`) or wildcards (`*.embedding.weight`)."
    )
    learning_rate: float | None = Field(None, gt=0, description="Instead of the optimizer's.")
    scale: float | None = Field(None, gt=0, description="Multiplies the optimizer's learning rate.")
    freeze: bool = Field(False, description="Do not train these arrays.")
    weight_decay: float | None = Field(
        None, ge=0, description="Instead of the optimizer's; biases and norm gains still have none."
    )

    @model_validator(mode="after")
    def _one_rate(self) -> Self:
        if self.learning_rate is not None and self.scale is not None:
            raise ValueError("learning_rate and scale are both given: keep one of them")
        if self.freeze and (self.learning_rate, self.scale, self.weight_decay) != (None, None, None):
            raise ValueError("freeze: true leaves nothing to set: remove learning_rate, scale and weight_decay")
        return self


# Which method reads which of the options that not all of them read.
OPTIONS: dict[str, tuple[str, ...]] = {
    "momentum": ("sgd", "rmsprop"),
    "nesterov": ("sgd",),
    "betas": ("adam", "adamw", "radam", "lamb"),
    "epsilon": ("adam", "adamw", "radam", "rmsprop", "adagrad", "lamb"),
    "rho": ("rmsprop",),
}


class OptimizerConfig(Section):
    """How parameters follow their gradients.

    >>> OptimizerConfig(name="adamw", learning_rate=3e-4, weight_decay=0.01, schedule="cosine").schedule
    CosineSchedule(warmup=0.0, final=0.0, steps=None, name='cosine')
    """

    name: Literal["sgd", "adam", "adamw", "radam", "rmsprop", "adagrad", "lamb"] = Field(
        "adam", description="The method. Each follows PyTorch's definition (lamb: the paper's)."
    )
    learning_rate: float = Field(1e-3, gt=0, description="The rate that schedules and groups scale.")
    momentum: float = Field(0.0, ge=0, lt=1, description="For sgd and rmsprop.")
    nesterov: bool = Field(False, description="For sgd with momentum: look ahead (Nesterov).")
    betas: tuple[float, float] = Field(
        (0.9, 0.999), description="Decay of the first and second moment, for adam, adamw, radam and lamb."
    )
    epsilon: float | None = Field(
        None, gt=0, description="Added to the root of the second moment; 1e-8, adagrad 1e-10, lamb 1e-6 by default."
    )
    rho: float = Field(0.99, ge=0, lt=1, description="Decay of the second moment in rmsprop (spaGO: 0.95).")
    weight_decay: float = Field(
        0.0,
        ge=0,
        description="Shrinks weights, but not biases or norm gains. Decoupled in adamw and lamb, else added to the "
        "gradient (L2).",
    )
    clip_value: float | None = Field(None, gt=0, description="Clip each element of the gradients to this size.")
    clip_norm: float | None = Field(None, gt=0, description="Scale all gradients down to this global norm.")
    schedule: Annotated[Schedule, BeforeValidator(_by_name)] = Field(
        ConstantSchedule.model_validate({}),
        description="How the learning rate changes over the steps: a name, or a section.",
    )
    plateau: PlateauConfig | None = Field(None, description="Lower the learning rate when the dev score stalls.")
    layer_decay: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Smaller rates for the lower layers of a transformer: each layer's is this part of the one's above "
        "(0.8 to 0.95 is usual).",
    )
    groups: tuple[GroupConfig, ...] = Field((), description="Other rates, or none, for some of the arrays.")
    accumulate: int = Field(
        1, ge=1, description="Make one update of this many batches: the mean over all of their examples."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for option, methods in OPTIONS.items():
            if option in self.model_fields_set and self.name not in methods:
                default = type(self).model_fields[option].default
                if getattr(self, option) != default:
                    raise ValueError(f"{option} has no meaning for {self.name}: only {', '.join(methods)} read it")
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov: true needs a momentum above 0 (0.9 is usual)")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas are {self.betas}, expected two numbers of at least 0 and below 1")
        return self

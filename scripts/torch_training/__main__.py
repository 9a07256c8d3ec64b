# SPDX-License-Identifier: BSD-2-Clause
"""Trains a config's network in PyTorch: the same first weights, batches, losses and optimizer; the same scores.

.venv/bin/python scripts/torch_training CONFIG [key=value ...] [--threads 2]

Only the randomness of the dropout differs. The trained arrays go back into the library's model, which is scored as
after a run of its own; that the two networks agree is checked before training, by their losses without dropout.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2])]

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch_training.losses import LOSSES  # noqa: E402

from spago_jax.core import Precision, flat, unflat  # noqa: E402
from spago_jax.core.devices import Devices  # noqa: E402
from spago_jax.core.paths import match_paths, roles  # noqa: E402
from spago_jax.errors import InputError  # noqa: E402
from spago_jax.optim import build_schedule, trained_paths  # noqa: E402
from spago_jax.train import load_experiment  # noqa: E402
from spago_jax.train.evaluate import evaluate  # noqa: E402
from spago_jax.train.programs import Programs  # noqa: E402
from spago_jax.train.start import optimizer_config, prepare  # noqa: E402


class Training:
    """An experiment with its network in PyTorch."""

    def __init__(self, config: str, overrides: list[str]):
        self.experiment = load_experiment(config, overrides)
        self.decay = self.experiment.train.average
        self.task, weights = prepare(self.experiment)
        if self.task.name not in LOSSES:
            raise InputError(f"{self.task.name} has no network in PyTorch here, expected one of {', '.join(LOSSES)}")
        self.programs = Programs(self.task, Devices.of(1), Precision.parse("float32"), None, weights)
        self.module = self.programs.state.model
        self.optimizer_config = optimizer_config(self.experiment)
        trained = trained_paths(self.optimizer_config, self.module)
        self.params = {path: torch.tensor(np.asarray(array)) for path, array in flat(self.module).items()}
        for path in trained:
            self.params[path].requires_grad_()
        self.averages = {} if self.decay is None else {path: self.params[path].detach().clone() for path in trained}
        torch.manual_seed(self.experiment.seed)

    def loss(self, batch: dict[str, np.ndarray], *, train: bool) -> tuple[torch.Tensor, torch.Tensor]:
        held = {name: torch.from_numpy(np.asarray(array).astype(_plain(array))) for name, array in batch.items()}
        return LOSSES[self.task.name](self.task, self.module, self.params, held, train)

    def batches(self, epoch: int):
        for block in self.programs.batches.epoch(epoch):
            arrays = self.task.arrays("train", block)
            for step in range(block.steps):
                yield {name: array[step] for name, array in arrays.items()}

    def check(self) -> None:
        """Both networks have the same loss of the first batch; ELECTRA draws, so its loss is not compared."""
        if self.task.name == "replaced-token-detection":
            return
        batch = next(iter(self.batches(0)))
        with torch.no_grad():
            total, weight = self.loss(batch, train=False)
        theirs = float(total / weight)
        objective, bias = self.task.objective, getattr(self.experiment.model, "recall_bias", 0.0)
        if bias:
            objective.config = objective.config.model_copy(update={"recall_bias": 0.0})

        def mean(model: Any, batch: Any) -> jax.Array:
            found = objective.loss(model, batch, (), None)
            return found.total / found.weight

        ours = float(jax.jit(mean)(self.module, batch))
        if bias:
            objective.config = objective.config.model_copy(update={"recall_bias": bias})
        print(f"the first batch, without dropout: loss {theirs:.5f} in PyTorch, {ours:.5f} here", flush=True)
        if abs(ours - theirs) > 1e-4 * max(abs(ours), 1.0):
            raise SystemExit("the networks differ")

    def optimizer(self) -> torch.optim.AdamW:
        config, groups = self.optimizer_config, []
        table: dict[str, float] = {}
        for group in config.groups:
            for path in match_paths(self.module, group.match):
                if group.learning_rate is not None:
                    table.setdefault(path, group.learning_rate)
        for path, role in roles(self.module).items():
            if self.params[path].requires_grad:
                decay = config.weight_decay if role.decay else 0.0
                rate = table.get(path, config.learning_rate)
                groups.append({"params": [self.params[path]], "lr": rate, "peak": rate, "weight_decay": decay})
        return torch.optim.AdamW(groups, betas=config.betas, eps=config.epsilon or 1e-8)

    def run(self) -> None:
        self.check()
        programs, config = self.programs, self.optimizer_config
        rule = build_schedule(config.schedule, total_steps=programs.steps, steps_per_epoch=programs.steps_per_epoch)
        factors = np.asarray(jax.vmap(rule)(jnp.arange(programs.steps)))
        optimizer, step, started = self.optimizer(), 0, time.perf_counter()
        for epoch in range(programs.epochs):
            sums = np.zeros(2)
            for batch in self.batches(epoch):
                for group in optimizer.param_groups:
                    group["lr"] = group["peak"] * float(factors[step])
                total, weight = self.loss(batch, train=True)
                optimizer.zero_grad()
                (total / weight.clamp(min=1e-8)).backward()
                if config.clip_norm is not None:
                    torch.nn.utils.clip_grad_norm_([g["params"][0] for g in optimizer.param_groups], config.clip_norm)
                optimizer.step()
                step += 1
                self.average(step)
                sums += [float(total.detach()), float(weight)]
            seconds = time.perf_counter() - started
            print(f"epoch {epoch + 1} of {programs.epochs}: loss {sums[0] / sums[1]:.4f}, {seconds:.0f} s", flush=True)
        self.score()

    @torch.no_grad()
    def average(self, step: int) -> None:
        """Moves the averages of the weights, as the library's step does."""
        for path, value in self.averages.items():
            value.lerp_(self.params[path], 1 - min(self.decay, (1.0 + step) / (10.0 + step)))

    def score(self) -> None:
        params = {**self.params, **self.averages}
        arrays = {path: jnp.asarray(value.detach().numpy()) for path, value in params.items()}
        model = unflat(self.module, arrays)
        for split in self.programs.evaluated():
            scores = evaluate(self.task, self.programs.evaluation, model, split, self.programs.devices)
            print(split, ", ".join(f"{name} {value:.4f}" for name, value in scores.values.items()), flush=True)


def _plain(array: np.ndarray) -> np.dtype:
    """PyTorch indexes with int64, and knows no other unsigned integers than bytes."""
    return np.dtype(np.int64) if np.issubdtype(array.dtype, np.integer) else array.dtype


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config")
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    parser.add_argument("--threads", type=int, default=2)
    chosen = parser.parse_intermixed_args()
    torch.set_num_threads(chosen.threads)
    Training(chosen.config, chosen.overrides).run()


if __name__ == "__main__":
    main()

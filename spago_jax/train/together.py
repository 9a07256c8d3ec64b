# SPDX-License-Identifier: BSD-2-Clause
"""Several processes that train together, by JAX's own runtime: how they find each other, agree, and end."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import PartitionSpec

from spago_jax.compiler import Program, compile
from spago_jax.core.devices import AXIS, MODEL, Devices
from spago_jax.errors import InputError, TrainingError
from spago_jax.train.checkpoint import Checkpoints
from spago_jax.train.schema import ProcessesConfig

COORDINATOR, PROCESSES, PROCESS = "SPAGO_COORDINATOR", "SPAGO_PROCESSES", "SPAGO_PROCESS"
"""Environment variables by which ``spago-jax launch`` says what ``train.distributed`` would say."""
HEARTBEAT = 10
"""Seconds after which a process that says nothing counts as dead."""


def join_processes(config: Literal["auto"] | ProcessesConfig | None) -> int:
    """Joins the other processes of a training, where there are any; must run before JAX is first used.

    Args:
        config: ``train.distributed`` of a config. None: the environment of ``spago-jax launch``, if there is one.

    Returns:
        The number of processes.

    Raises:
        InputError: where the others cannot be found or reached.

    >>> join_processes(None)
    1
    """
    launched = _launched()
    if jax.distributed.is_initialized():
        return jax.process_count()
    if launched is not None:
        if isinstance(config, ProcessesConfig):
            raise InputError(
                f"train.distributed names process {config.process} of {config.processes}, and spago-jax launch "
                f"starts {launched.processes}; leave train.distributed out"
            )
        config = launched
    if config is None:
        return 1
    given: dict[str, Any] = {}
    if config != "auto":
        given = {
            "coordinator_address": config.coordinator,
            "num_processes": config.processes,
            "process_id": config.process,
            "cluster_detection_method": "deactivate",
        }
    # What carries sums between processes where the devices are CPUs; others have their own.
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        jax.distributed.initialize(
            **given, heartbeat_timeout_seconds=HEARTBEAT, shutdown_timeout_seconds=20, initialization_timeout=120
        )
    except (RuntimeError, ValueError, OSError) as error:
        reason = str(error).strip().partition("\n")[0]
        if config == "auto":
            raise InputError(
                f"train.distributed: auto: {reason} JAX knows SLURM, Open MPI, Kubernetes and TPU pods by their "
                f"environment; elsewhere give train.distributed: {{coordinator: host:port, processes: .., process: ..}}"
            ) from None
        raise InputError(f"train.distributed: cannot join the processes at {config.coordinator}: {reason}") from None
    return jax.process_count()


def planned_processes(config: Literal["auto"] | ProcessesConfig | None) -> int:
    """Returns how many processes will train together, before they join; 1 where only a scheduler knows it."""
    found = _launched() or config
    return found.processes if isinstance(found, ProcessesConfig) else 1


def _launched() -> ProcessesConfig | None:
    """What ``spago-jax launch`` says, in a process that it has started."""
    given = [os.environ.get(name, "") for name in (COORDINATOR, PROCESSES, PROCESS)]
    if not all(given):
        return None
    return ProcessesConfig(coordinator=given[0], processes=int(given[1]), process=int(given[2]))


def leave_processes(code: int) -> None:
    """Ends this process's part: orderly after success, at once after a failure, for the others may wait for it.

    Args:
        code: the exit code; after a failure, this process ends here.
    """
    if not jax.distributed.is_initialized():
        return
    if code in (0, 130):  # all have finished, or were stopped at the same step
        jax.distributed.shutdown()
        return
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # an orderly end would wait for processes that wait for this one


@contextmanager
def failing_together(devices: Devices, advice: Callable[[], str]) -> Iterator[None]:
    """Says in one message that another process has ended, where a sum over the processes fails.

    Args:
        devices: the devices.
        advice: returns how to go on, for the message.

    Raises:
        TrainingError: in place of JAX's error.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if devices.processes == 1:
            raise
        reason = str(error).strip().partition("\n")[0]
        raise TrainingError(
            f"process {jax.process_index()}: another of the {devices.processes} processes has ended, so that training "
            f"cannot go on ({reason[:200]}). {advice()}"
        ) from error


@contextmanager
def closing_all(checkpoints: Checkpoints, devices: Devices) -> Iterator[Checkpoints]:
    """Closes the checkpoints in the end; after a failure of several processes it does not wait for the others."""
    try:
        yield checkpoints
    except BaseException:
        if devices.processes == 1:
            checkpoints.close()
        raise
    checkpoints.close()


def meet(devices: Devices, where: str) -> None:
    """Waits until every process has come here; nothing where there is one."""
    if devices.processes > 1:
        multihost_utils.sync_global_devices(where)


class Agreement:
    """Lets all processes know, at the same block, that one of them was asked to stop.

    Each asks the others without waiting: the answer is that of the block before last.

    Args:
        devices: the devices.

    >>> agreement = Agreement(Devices.of(1))
    >>> agreement.asked(False), agreement.asked(True)
    (False, True)
    """

    def __init__(self, devices: Devices):
        self._devices = devices
        self._program: Program | None = None
        self._waiting: list[Any] = []
        if devices.processes > 1:
            where = devices.sharding(PartitionSpec())

            def anyone_stops(flags: jax.Array) -> jax.Array:
                return jax.lax.with_sharding_constraint(jnp.max(flags), where)

            self._program = compile(anyone_stops)

    def warm_up(self) -> None:
        """Compiles it."""
        if self._program is not None:
            self._program(self._flags(False)).block_until_ready()

    def asked(self, here: bool) -> bool:
        """Returns whether a process was asked to stop, given whether this one was."""
        if self._program is None:
            return here
        self._waiting.append(self._program(self._flags(here)))
        return len(self._waiting) > 2 and bool(jax.device_get(self._waiting.pop(0)))

    def _flags(self, here: bool) -> jax.Array:
        mesh = self._devices.mesh
        where = self._devices.sharding(PartitionSpec(AXIS, MODEL))
        return jax.make_array_from_callback(
            (mesh.shape[AXIS], mesh.shape[MODEL]), where, lambda index: np.full((1, 1), here, np.int32)
        )


__all__ = ["Agreement", "closing_all", "failing_together", "join_processes", "leave_processes", "meet"]

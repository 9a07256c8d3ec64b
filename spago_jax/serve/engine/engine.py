# SPDX-License-Identifier: BSD-2-Clause
"""Engine: answers many requests with few calls of the models. One thread computes; small ones read texts beside it."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

from spago_jax.errors import did_you_mean
from spago_jax.serve.engine.compilations import watch_compilations
from spago_jax.serve.engine.limits import Limits
from spago_jax.serve.engine.meter import Meter
from spago_jax.serve.engine.models import Opener, Served
from spago_jax.serve.engine.problems import Overloaded, Problem, Refused, TooLarge, Unavailable, Unknown, problem_of
from spago_jax.serve.engine.request import Entry, Outcome, Request
from spago_jax.serve.engine.room import Room
from spago_jax.serve.engine.streams import Stream

log = logging.getLogger("spago_jax.serve")
_IDLE = 0.5  # seconds after which an idle thread shows that it lives


class Engine:
    """Answers many requests with few calls.

    Args:
        limits: how much it takes on.
        meter: is told what happens.
        clock: gives seconds; a test may turn it.
        threads: whether threads read and compute; without them, ``submit`` reads and ``step`` computes, in the caller's
            thread, so that a test sees each step.

    Attributes:
        models: those that are served, by name.
        shelf: knows of models that are opened when they are asked for; None where there are none.
        state: ``starting``, ``ready``, ``draining`` (it goes on answering, and says that it is about to stop) or
            ``closed``.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        meter: Meter | None = None,
        clock: Callable[[], float] = time.monotonic,
        threads: bool = True,
    ):
        self.limits, self.meter, self.clock = limits or Limits(), meter or Meter(), clock
        self.models: dict[str, Served] = {}
        self.shelf: Any = None
        self.state = "starting"
        self.fault: str | None = None
        self._threads = threads
        self._room = Room(self.limits, self._pace)
        self._streams: list[Stream] = []
        self._open_streams = self._open_requests = 0
        self._wake = threading.Condition()
        self._loading = threading.Lock()
        self._asked: dict[str, float] = {}
        self._under_way: Counter[Served] = Counter()
        self._computing_since: float | None = None
        self._alive = clock()
        self._speed: float | None = None
        self._thread: threading.Thread | None = None
        self._readers: Executor | None = None
        if threads:
            self._readers = ThreadPoolExecutor(self.limits.workers, thread_name_prefix="spago-read")
            self._thread = threading.Thread(target=self._run, name="spago-compute", daemon=True)
            self._thread.start()
            watch_compilations(self._thread, self._compiled)

    # -- models ------------------------------------------------------------------------------------------------------

    def load(self, name: str, task: str, opener: Opener, *, revision: str = "", source: str = "") -> Served:
        """Opens a model, warms it, and serves it from then on; the one that had the name answers what it has begun.

        Raises:
            Unavailable: while another model is loaded under a name.
            Exception: whatever the opener raises; the model that had the name goes on.
        """
        if not self._loading.acquire(blocking=False):
            raise Unavailable("another model is being loaded", retry_after=5)
        try:
            self.meter.level("model_ready", float(name in self.models), model=name)
            served = Served(name, task, opener(), revision, source)
            served.warm(self.limits)
            self.models = {**self.models, name: served}  # one assignment: a request sees the old model or the new one
            self._asked[name] = self.clock()
            self.meter.level("model_ready", 1, model=name)
            return served
        finally:
            self._loading.release()

    def unload(self, name: str) -> bool:
        """Stops serving a model that has nothing under way; says whether it had nothing."""
        with self._wake:
            served = self.models.get(name)
            if served is None or self._under_way[served]:
                return False
            self.models = {each: model for each, model in self.models.items() if each != name}
        self.meter.level("model_ready", 0, model=name)
        return True

    def last_asked(self, name: str) -> float:
        """Returns when a model was asked last, or else opened, on the clock of the engine."""
        return self._asked.get(name, 0.0)

    def ready(self) -> None:
        """Says that all models are loaded."""
        self.state = "ready"

    @property
    def reason(self) -> str | None:
        """Why requests should go elsewhere; None while all is well."""
        if self.state != "ready":
            return self.fault or {"starting": "the models are being loaded"}.get(self.state, "the server is stopping")
        if self._threads and (self._thread is None or not self._thread.is_alive()):
            return "the thread that computes has ended"
        since = self._computing_since
        if since is not None and self.clock() - since > self.limits.stall:
            return f"a call has been running for more than {self.limits.stall:g} s"
        return None

    def model(self, name: str, task: str | None = None) -> Served:
        """Returns the model of a name.

        Raises:
            Unavailable: while models are being loaded.
            Unknown: for a name, or a task, that is not served.
        """
        found = self.models.get(name)
        if found is None:
            if self.state == "starting":
                raise Unavailable("the models are being loaded", retry_after=5)
            known = [*self.models, *self.closed()]
            if self.shelf is not None:
                lazy = self.shelf.models.get(name)
                if lazy is not None and task is not None and lazy.task != task:
                    raise _other_task(name, lazy.task, task)
                self.shelf.asked(name)
            raise Unknown(f"no model {name!r}", field="model", hint=did_you_mean(name, known))
        if task is not None and found.task != task:
            raise _other_task(name, found.task, task)
        return found

    def closed(self) -> dict[str, str]:
        """Returns the tasks of the models that are opened when they are asked for, and are not open, by name."""
        known = {} if self.shelf is None else self.shelf.models
        return {name: lazy.task for name, lazy in known.items() if name not in self.models}

    def model_of(self, *tasks: str) -> Served:
        """Returns the first model that does one of some tasks.

        Raises:
            Unavailable: while models are being loaded.
            Unknown: where none does.
        """
        for task in tasks:
            for served in self.models.values():
                if served.task == task:
                    return served
        if self.state == "starting":
            raise Unavailable("the models are being loaded", retry_after=5)
        if self.shelf is not None and (name := self.shelf.of(*tasks)) is not None:
            self.shelf.asked(name)
        raise Unknown(f"no model does {' or '.join(tasks)}", hint="start the server with one")

    # -- requests ----------------------------------------------------------------------------------------------------

    def submit(
        self,
        model: Served | str,
        inputs: Sequence[Any],
        options: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
        truncate: bool = False,
    ) -> Request:
        """Takes a request on, or refuses it at once.

        Args:
            model: a model, or its name.
            inputs: as the task takes them.
            options: what the task lets a user set.
            timeout: seconds that the answer may take.
            truncate: whether an input may be cut where the model reads no further; refused otherwise.

        Raises:
            Problem: where the whole request is refused.
        """
        served, chosen = self._admitted(model, options)
        request = self._request(served, len(inputs), timeout)
        with self._wake:
            self._asked[served.name] = request.began
            try:
                self._room.reserve(len(inputs))
            except Problem as problem:
                self._rejected(problem)
                raise
            self._levels()
            self._open_requests += 1
            self._under_way[served] += 1
        if not inputs:
            request.done.set_result([])
            self._settled(request, served)
            return request

        def read() -> None:
            try:
                self._read(request, served, inputs, chosen, truncate)
            except Problem as problem:
                request.fail(problem)
            except Exception as error:
                log.exception("reading a request failed")
                request.fail(problem_of(error))

        self._read_beside(read)
        return request

    def _read_beside(self, read: Callable[[], None]) -> None:
        """Reads texts in a thread beside the one that computes, or here where there are no threads."""
        if self._readers is None:
            read()
        else:
            self._readers.submit(read)

    def stream(
        self,
        model: Served | str,
        value: Any,
        options: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
    ) -> Stream:
        """Takes on the writing of one text, to be read as it is written; arguments as for ``submit``.

        Raises:
            Problem: where it is refused at once; what is wrong with the input is raised to whoever reads it.
        """
        served, chosen = self._admitted(model, options)
        if not served.streams:
            raise Refused(f"{served.task} does not write texts step by step", field="stream", hint="leave stream out")
        request = self._request(served, 1, timeout)
        stream = Stream(request)
        with self._wake:
            try:
                if self._open_streams >= self.limits.streams:
                    raise Overloaded(f"{self._open_streams} texts are being written, and no more may", retry_after=1)
                self._room.reserve(1)
            except Problem as problem:
                self._rejected(problem)
                raise
            self._levels()
            self._asked[served.name] = request.began
            self._open_streams += 1
            self._open_requests += 1
            self._under_way[served] += 1

        def read() -> None:
            try:
                stream.prepared = self._prepare(served, value, chosen, 0, False)
            except Exception as error:
                stream.end(problem_of(error, "input"))
                self._stream_over(stream)
                return
            with self._wake:
                self._streams.append(stream)
                self._wake.notify()

        self._read_beside(read)
        return stream

    def answer_all(
        self, model: Served | str, inputs: Iterator[Any], options: Mapping[str, Any] | None = None
    ) -> Iterator[Outcome]:
        """Yields the outcomes of many inputs in order, by the queue that requests go through; holds few of them.

        >>> from spago_jax.serve.engine import Engine
        >>> list(Engine().answer_all("none", iter([])))
        []
        """
        size = max(min(self.limits.request_items, self.limits.queue_items // 4), 1)
        ahead: list[Request] = []
        part: list[Any] = []
        for value in inputs:
            part.append(value)
            if len(part) == size:
                ahead.append(self._patient(model, part, options))
                part = []
            # Four requests wait, so that there is always something to choose a batch from.
            if len(ahead) == 4:
                yield from ahead.pop(0).result()
        if part:
            ahead.append(self._patient(model, part, options))
        for request in ahead:
            yield from request.result()

    def _patient(self, model: Served | str, part: Sequence[Any], options: Mapping[str, Any] | None) -> Request:
        while True:
            try:
                return self.submit(model, part, options, timeout=self.limits.most_timeout, truncate=True)
            except Overloaded:
                time.sleep(0.01)

    def _admitted(self, model: Served | str, options: Mapping[str, Any] | None) -> tuple[Served, dict[str, Any]]:
        if self.state == "closed":
            problem = Unavailable("the server is stopping", retry_after=5)
            self._rejected(problem)
            raise problem
        served = self.model(model) if isinstance(model, str) else model
        return served, served.options(options or {})

    def _request(self, served: Served, count: int, timeout: float | None) -> Request:
        seconds = self.limits.timeout if timeout is None else min(timeout, self.limits.most_timeout)
        now = self.clock()
        return Request(
            count,
            now + seconds,
            now,
            seconds,
            lambda request: self._settled(request, served),
            served.name,
            served.revision,
        )

    def _read(
        self, request: Request, served: Served, inputs: Sequence[Any], options: Mapping[str, Any], truncate: bool
    ) -> None:
        """Prepares the inputs of a request; those that are wrong have their outcome, the others wait together."""
        entries: list[Entry] = []
        problems: list[tuple[int, Problem]] = []
        for place, value in enumerate(inputs):
            if (gone := request.gone(self.clock())) is not None:
                self._lost(gone)
                request.fail(gone)
                return
            try:
                entries.append(Entry(request, place, self._prepare(served, value, options, place, truncate)))
            except Exception as error:
                problem = problem_of(error, f"inputs[{place}]")
                if problem.status == 500:
                    log.exception("reading an input failed")
                problems.append((place, problem))
        request.queued = self.clock()
        request.times.tokenize = request.queued - request.began
        self.meter.observe("stage_duration_seconds", request.times.tokenize, stage="tokenize")
        with self._wake:
            try:
                self._room.put(entries)
            except Problem as problem:
                self._rejected(problem)
                raise
            self._levels()
            self._wake.notify()
        for place, problem in problems:
            request.settle(place, Outcome(problem=problem))

    def _prepare(self, served: Served, value: Any, options: Mapping[str, Any], place: int, truncate: bool) -> Any:
        limits, field = self.limits, f"inputs[{place}]"
        if (characters := characters_of(value)) > limits.item_characters:
            raise Refused(
                f"{characters} characters, and an input may have {limits.item_characters}",
                field=field,
                hint="send parts of it",
            )
        if isinstance(value, list):
            value = tuple(value) if all(isinstance(item, str) for item in value) else value
        prepared = served.predictor.prepare(value, **options)
        if prepared.dropped and not truncate:
            read = sum(prepared.lengths)
            longest = getattr(served.predictor.processor, "longest", None) or read
            raise Refused(
                f"{longest + prepared.dropped} tokens, and the model reads {longest}",
                field=field,
                hint="send parts of it, or set truncate",
            )
        if prepared.cost > limits.item_tokens:
            raise Refused(
                f"{prepared.cost} padded tokens, and an input may have {limits.item_tokens}",
                field=field,
                hint="send parts of it",
            )
        return prepared

    # -- computing ---------------------------------------------------------------------------------------------------

    def step(self) -> bool:
        """Computes one batch, and a piece of every text that is streamed; returns whether there was anything to do."""
        self._alive = self._computing_since = self.clock()
        try:
            with self._wake:
                streams = list(self._streams)
            for stream in streams:
                if not stream.advance(self.clock()):
                    with self._wake:
                        self._streams.remove(stream)
                    self._stream_over(stream)
                else:
                    self.meter.count("generated_pieces", 1)
            with self._wake:
                dropped = self._dropped()
                batch = self._room.take()
                self._levels()
            self._tell_dropped(dropped)
            if batch:
                self._compute(batch)
            return bool(batch or streams or dropped)
        finally:
            self._computing_since = None

    def _compute(self, batch: list[Entry]) -> None:
        begin = self.clock()
        for request in {id(entry.request): entry.request for entry in batch}.values():
            request.times.queue = begin - request.queued
            self.meter.observe("stage_duration_seconds", request.times.queue, stage="queue")
        by = batch[0].prepared.by

        def cancelled() -> bool:
            now = self.clock()
            return all(entry.request.gone(now) is not None for entry in batch)

        found: Sequence[Any]
        try:
            found = by.answers([entry.prepared for entry in batch], cancelled)
        except Exception as error:  # of a predictor that does not keep its promise
            found = [error] * len(batch)
        end = self.clock()
        tokens, real = sum(entry.tokens for entry in batch), sum(_real(entry) for entry in batch)
        if end > begin:
            self._speed = (
                tokens / (end - begin) if self._speed is None else 0.8 * self._speed + 0.2 * tokens / (end - begin)
            )
        self.meter.observe("stage_duration_seconds", end - begin, stage="compute")
        self.meter.observe("batch_rows", sum(max(len(entry.prepared.lengths), 1) for entry in batch))
        self.meter.count("batch_tokens", tokens, kind="padded")
        self.meter.count("batch_tokens", real, kind="real")
        for entry, answer in zip(batch, found, strict=True):
            entry.request.times.compute += end - begin
            field = f"inputs[{entry.place}]"
            gone = entry.request.gone(end) if isinstance(answer, Exception) else None
            if entry.request.cancelled:
                self.meter.count("cancelled_total")
            if isinstance(answer, Exception):
                problem = gone or problem_of(answer, field)
                if problem.status == 500:
                    log.error("a call of %s failed", entry.request.model, exc_info=answer)
                outcome = Outcome(problem=problem, tokens=entry.tokens)
            else:
                outcome = Outcome(answer, tokens=entry.tokens, dropped=entry.prepared.dropped)
            entry.request.settle(entry.place, outcome)

    def _run(self) -> None:
        while True:
            with self._wake:
                if self.state == "closed" and not (len(self._room) or self._streams or self._open_requests):
                    return
                if not (len(self._room) or self._streams):
                    self._wake.wait(_IDLE)
                head = self._room.first()
                if head is not None and self.limits.wait:
                    left = head.request.queued + self.limits.wait - self.clock()
                    if left > 0:
                        self._wake.wait(left)
            try:
                self.step()
            except Exception:
                log.exception("a step of the engine failed")

    def _dropped(self) -> list[tuple[Entry, Problem]]:
        now = self.clock()
        reasons: dict[int, Problem] = {}

        def gone(entry: Entry) -> bool:
            reason = entry.request.gone(now)
            if reason is not None:
                reasons[id(entry)] = reason
            return reason is not None

        return [(entry, reasons[id(entry)]) for entry in self._room.dropped(gone)]

    def _tell_dropped(self, dropped: list[tuple[Entry, Problem]]) -> None:
        for entry, problem in dropped:
            self._lost(problem)
            entry.request.settle(entry.place, Outcome(problem=problem))

    def _lost(self, problem: Problem) -> None:
        self.meter.count("cancelled_total" if problem.type == "cancelled" else "expired_total")

    # -- bookkeeping -------------------------------------------------------------------------------------------------

    def _settled(self, request: Request, served: Served) -> None:
        with self._wake:
            self._under_way[served] -= 1
            if not self._under_way[served]:
                del self._under_way[served]
            self._room.release(len(request.outcomes))
            self._open_requests -= 1
            self._levels()
            self._wake.notify_all()

    def _stream_over(self, stream: Stream) -> None:
        problem = stream.request.gone(self.clock())
        if problem is not None:
            self._lost(problem)
        with self._wake:
            self._open_streams -= 1
        stream.request.over()

    def _levels(self) -> None:
        self.meter.level("queue_items", self._room.items)
        self.meter.level("queue_tokens", self._room.tokens)

    def _rejected(self, problem: Problem) -> None:
        kind = {TooLarge: "too_large", Overloaded: "full", Unavailable: "stopping"}.get(type(problem), problem.type)
        self.meter.count("rejected_total", reason=kind)

    def _compiled(self) -> None:
        if self.state == "ready":
            self.meter.count("retraces_total")

    def _pace(self) -> float | None:
        return self._speed

    @property
    def waiting(self) -> tuple[int, int]:
        """How many inputs and padded tokens are waiting or being answered."""
        return self._room.items, self._room.tokens

    def drain(self) -> None:
        """Says that the server is about to stop; requests are still answered."""
        self.state = "draining"

    def close(self, timeout: float | None = 10.0) -> None:
        """Takes nothing more on, answers what there is, and ends the threads."""
        with self._wake:
            self.state = "closed"
            self._wake.notify_all()
            self._wake.wait_for(lambda: self._open_requests == 0, timeout if self._threads else 0)
        if self._thread is not None:
            self._thread.join(timeout)
        if isinstance(self._readers, ThreadPoolExecutor):
            self._readers.shutdown(wait=False, cancel_futures=True)

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _other_task(name: str, does: str, task: str) -> Unknown:
    return Unknown(f"{name!r} does {does}, not {task!r}", field="task", hint=f"ask /v1/models/{name}/{does}")


def characters_of(value: Any) -> int:
    """Returns how many characters an input holds, in whatever lists and records.

    >>> characters_of({"question": "who", "labels": ["a", "bc"]})
    6
    """
    total, left = 0, [value]
    while left:
        item = left.pop()
        if isinstance(item, str):
            total += len(item)
        elif isinstance(item, Mapping):
            left += item.values()
        elif isinstance(item, list | tuple):
            left += item
        else:
            total += 1
    return total


def _real(entry: Entry) -> int:
    rows = entry.prepared.rows
    return entry.tokens if rows is None else int(rows.lengths.sum())

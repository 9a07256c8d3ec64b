# SPDX-License-Identifier: BSD-2-Clause
"""Traces: one span per request and one per stage, by OpenTelemetry's API; nothing happens unless an SDK is set up."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator


class Traces:
    """The spans of a server."""

    def __init__(self) -> None:
        self._tracer = trace.get_tracer("spago_jax.serve")
        self._context = TraceContextTextMapPropagator()

    @contextmanager
    def request(self, name: str, headers: Mapping[str, str]) -> Iterator[Any]:
        """Begins the span of a request, below that of its caller where the headers name one."""
        parent = self._context.extract(dict(headers))
        span = self._tracer.start_span(name, context=parent, kind=trace.SpanKind.SERVER)
        with trace.use_span(span, end_on_exit=True):
            yield span

    def header(self, span: Any) -> str | None:
        """Returns the ``traceparent`` of a span; None where nobody traces."""
        carrier: dict[str, str] = {}
        self._context.inject(carrier, trace.set_span_in_context(span))
        return carrier.get("traceparent")

    def close(self, span: Any, route: str, status: int, exchange: Any) -> None:
        """Says what became of a request, and writes down its stages."""
        if not span.is_recording():
            return
        span.update_name(f"{span.name} {route}" if hasattr(span, "name") else route)
        span.set_attributes(
            {
                "http.route": route,
                "http.response.status_code": status,
                "spago.model": exchange.model,
                "spago.items": exchange.items,
                "spago.tokens": exchange.tokens,
            }
        )
        now = time.time_ns()
        at = now - int(1e9 * (exchange.times.tokenize + exchange.times.queue + exchange.times.compute))
        for stage in ("tokenize", "queue", "compute"):
            end = at + int(1e9 * getattr(exchange.times, stage))
            self._tracer.start_span(stage, context=trace.set_span_in_context(span), start_time=at).end(end)
            at = end

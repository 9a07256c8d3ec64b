# SPDX-License-Identifier: BSD-2-Clause
"""Metrics: what an engine tells, for Prometheus. No label holds anything that a user wrote."""

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest

from spago_jax.serve.engine.meter import Meter

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class Metrics(Meter):
    """The counters of a server, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        taken: Any = {"registry": self.registry}
        self._counters = {
            "requests_total": Counter("spago_requests", "Requests.", ["route", "model", "code"], **taken),
            "batch_tokens": Counter("spago_batch_tokens", "Tokens of batches.", ["kind"], **taken),
            "rejected_total": Counter("spago_rejected", "Requests that were not taken on.", ["reason"], **taken),
            "cancelled_total": Counter("spago_cancelled", "Inputs whose caller had left.", **taken),
            "expired_total": Counter("spago_expired", "Inputs whose time was over before their batch.", **taken),
            "retraces_total": Counter("spago_retraces", "Programs compiled while requests waited.", **taken),
            "generated_pieces": Counter("spago_generated_pieces", "Pieces of streamed texts.", **taken),
        }
        self._histograms = {
            "request_duration_seconds": Histogram(
                "spago_request_duration_seconds", "Of requests.", ["route"], buckets=_SECONDS, **taken
            ),
            "stage_duration_seconds": Histogram(
                "spago_stage_duration_seconds", "Of the stages of requests.", ["stage"], buckets=_SECONDS, **taken
            ),
            "batch_rows": Histogram("spago_batch_rows", "Rows of a batch.", buckets=_ROWS, **taken),
        }
        self._gauges = {
            "queue_items": Gauge("spago_queue_items", "Inputs that wait or are answered.", **taken),
            "queue_tokens": Gauge("spago_queue_tokens", "Padded tokens that wait.", **taken),
            "inflight": Gauge("spago_inflight", "Requests under way.", **taken),
            "model_ready": Gauge("spago_model_ready", "Whether a model answers.", ["model"], **taken),
        }
        Gauge("spago_build_info", "What runs.", ["version"], **taken).labels(_version()).set(1)
        Gauge("spago_device_memory_bytes", "Memory of the device in use.", **taken).set_function(_device_memory)

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        """Adds to a counter."""
        counter = self._counters[name]
        (counter.labels(**labels) if labels else counter).inc(amount)

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Takes one measurement."""
        histogram = self._histograms[name]
        (histogram.labels(**labels) if labels else histogram).observe(value)

    def level(self, name: str, value: float, **labels: str) -> None:
        """Takes the present value of a gauge."""
        gauge = self._gauges[name]
        (gauge.labels(**labels) if labels else gauge).set(value)

    def text(self) -> tuple[bytes, str]:
        """Returns all of it as Prometheus reads it, and the type of that."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST

    def value(self, name: str, **labels: str) -> float:
        """Returns the present value of a series; 0 where there is none."""
        return self.registry.get_sample_value(name, labels) or 0.0


def _device_memory() -> float:
    import jax

    stats = jax.local_devices()[0].memory_stats() or {}  # none on a CPU
    return float(stats.get("bytes_in_use", 0))


def _version() -> str:
    try:
        return version("spago_jax")
    except PackageNotFoundError:
        return "unknown"

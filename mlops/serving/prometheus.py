"""The service's metrics for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

__all__ = ["Metrics"]

_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class Metrics:
    """The service's counters, in a registry of their own.

    Parameters
    ----------
    paths
        The paths that are served; requests for any other are counted under one name, so
        that a scanner cannot fill the memory.
    """

    def __init__(self, paths: Iterable[str] = ()) -> None:
        self._registry = CollectorRegistry()
        self._paths = frozenset(paths)
        self._series: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        self._requests = Counter(
            "mlops_requests_total",
            "Requests, by path and status",
            ("path", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "mlops_request_seconds", "Response time", ("path",), buckets=_SECONDS, registry=self._registry
        )
        self._rows = Counter("mlops_rows_total", "Rows predicted", registry=self._registry)
        self._unseen = Counter(
            "mlops_unseen_categories_total",
            "Category values not seen in training",
            ("feature",),
            registry=self._registry,
        )
        self._missing = Counter(
            "mlops_missing_values_total", "Missing (null) values", ("feature",), registry=self._registry
        )

    def request(self, path: str, status: int, seconds: float) -> None:
        """Count one request."""
        known = path if path in self._paths else "other"
        if (known, status) not in self._series:  # looking a child up costs as much as counting
            self._series[known, status] = self._requests.labels(known, status), self._seconds.labels(known)
        count, latency = self._series[known, status]
        count.inc()
        latency.observe(seconds)

    def rows(self, count: int) -> None:
        """Count predicted rows."""
        self._rows.inc(count)

    def unseen(self, feature: str, count: int) -> None:
        """Count values of a category feature that were not seen in training."""
        self._unseen.labels(feature).inc(count)

    def missing(self, feature: str, count: int) -> None:
        """Count values that were null."""
        self._missing.labels(feature).inc(count)

    def render(self) -> bytes:
        """Return all of it in Prometheus' text format."""
        return generate_latest(self._registry)

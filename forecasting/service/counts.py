"""What is counted of requests and models, for Prometheus."""

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from forecasting.service.batching import Worker

ROUTES = frozenset(
    ("/", "/health", "/ready", "/version", "/models", "/schema", "/predict", "/diagnose", "/metrics", "/read", "/examples")
)
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Counts:
    """The registry of one service.

    Args:
        workers: whose queues and work are shown.
    """

    def __init__(self, workers: Iterable[Worker]) -> None:
        self._registry = CollectorRegistry()
        labels = ("route", "method", "status")
        self._requests = Counter("forecast_requests", "Requests answered", labels, registry=self._registry)
        self._seconds = Histogram(
            "forecast_request_seconds", "Time to answer", ("route",), registry=self._registry, buckets=SECONDS
        )
        self._open = Gauge("forecast_requests_open", "Requests being answered", registry=self._registry)
        self._registry.register(_Work(tuple(workers)))

    def began(self) -> None:
        """A request came in."""
        self._open.inc()

    def ended(self, path: str, method: str, status: int, seconds: float) -> None:
        """A request was answered, with status 0 where nobody waited for the answer."""
        self._open.dec()
        route = _route(path)
        self._requests.labels(route, method if method in ("GET", "POST", "HEAD") else "other", status).inc()
        self._seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """Everything, in the text format of Prometheus."""
        return generate_latest(self._registry)


class _Work(Collector):
    """Queues and work of the models, read when somebody asks."""

    def __init__(self, workers: tuple[Worker, ...]) -> None:
        self._workers = workers

    def collect(self) -> Iterator[Metric]:
        waiting = GaugeMetricFamily("forecast_queue_length", "Requests that wait for a model", labels=["package"])
        sums = {
            name: CounterMetricFamily(f"forecast_model_{name}", text, labels=["package"])
            for name, text in (
                ("batches", "Micro-batches computed"),
                ("windows", "Windows forecast"),
                ("together", "Requests that shared a micro-batch"),
                ("busy", "Seconds spent on computing"),
            )
        }
        for worker in self._workers:
            waiting.add_metric([worker.served.address], worker.waiting)
            for name, family in sums.items():
                family.add_metric([worker.served.address], getattr(worker.tally, name))
        yield from (waiting, *sums.values())


def _route(path: str) -> str:
    """The path where it is a known one, so that nobody can make labels without end."""
    if path in ROUTES:
        return path
    if path.startswith("/viewer/"):
        return "/viewer/*"
    return "/examples/*" if path.startswith("/examples/") else "other"

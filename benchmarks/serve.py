"""Requests per second of the service, beside empty endpoints, an unbatched service and the Predictor alone.

    python benchmarks/serve.py                        # EGNN and SEGNN 64×4, scenes of 5 and 31 nodes
    python benchmarks/serve.py --rounds 5 --seconds 4 --json serve.json

Untrained weights of the published sizes; every scene has 4 frames and is forecast 10 steps ahead. The service runs in a
process of its own with one arithmetic thread, the clients in this one. Rounds alternate between the cases, and ratios are
medians of rounds, so that a machine with other work on it disturbs all alike.

- single: 64 connections, each asks for one scene (JSON) as soon as it has its answer. Beside `GET /health` of the service, which
  passes its gate alone; beside an endpoint of FastAPI that does nothing, with the same body, on the same server and on uvicorn as
  it comes alone (asyncio and h11); and beside the same service that computes every request by itself.
- bodies: 4 connections, 256 scenes as one Arrow body each. Beside `Predictor.batches` of the same scenes, held in memory.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from forecasting.graphs.build import schema_of
from forecasting.graphs.topology import Complete
from forecasting.inference.buckets import Limits as BatchLimits
from forecasting.inference.predictor import Predictor
from forecasting.models import build_model
from forecasting.numerics import configure
from forecasting.packages import Package, load_package, save_package
from forecasting.preparations import keep_few_preparations
from forecasting.service.carrying import JsonCarrier, TableCarrier
from forecasting.testing.scenes import random_scene
from forecasting.trajectories.dataset import build_dataset
from forecasting.trajectories.normalization import Normalization
from forecasting.trajectories.trajectory import Trajectory
from forecasting.trajectories.windows import WindowSpec

FRAMES, HORIZON, CLIENTS, PER_BODY, BODIES, FEWEST = 4, 10, 64, 256, 4, 12
MODELS = {"egnn": {"hidden": 64, "layers": 4}, "segnn": {"hidden": 64, "layers": 4}}


def scenes(nodes: int, count: int) -> list[Trajectory]:
    rng = np.random.default_rng(nodes)
    return [random_scene(rng, f"s{index}", frames=FRAMES, nodes=nodes, gaps=False) for index in range(count)]


def make_package(folder: Path, model: str) -> Path:
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    dataset = build_dataset(
        (random_scene(rng, f"s{index}", frames=20) for index in range(8)), folder.parent / f"{folder.name}-data"
    )
    spec = WindowSpec(FRAMES, tuple(range(1, HORIZON + 1)))
    schema = schema_of(dataset.manifest, spec, Complete())
    windows = dataset.windows(spec, dataset.anchors(spec))
    weights = build_model(model, schema, MODELS[model]).state_dict()
    made = Package(
        *(model, MODELS[model], schema, spec, "complete", {}, Normalization.fit(windows)),
        *(0.1, "m", dataset.manifest.frame, dataset.manifest.fields, weights),
    )
    return save_package(made, folder)


def serve(folders: Sequence[str], unbatched: bool) -> None:
    """Run the service; unbatched, every request is a micro-batch of its own."""
    keep_few_preparations()
    configure(1)
    from forecasting.service import shelf
    from forecasting.service.app import create_app
    from forecasting.service.limits import Limits
    from forecasting.service.server import listening, run

    if unbatched:
        shelf.AT_ONCE = BatchLimits(1, 1)
    app = create_app(shelf.Shelf([shelf.Served.load(folder) for folder in folders]), Limits(queue=1024), quiet=True)
    listener = listening("127.0.0.1", 0)
    print(listener.getsockname()[1], flush=True)
    run(app, listener, 5)


def serve_nothing(plain: bool) -> None:
    """Run an application of FastAPI with one endpoint, which looks at nothing and answers an empty object.

    Args:
        plain: without uvloop and httptools.
    """
    import uvicorn
    from fastapi import FastAPI

    from forecasting.service.server import listening

    app = FastAPI()

    @app.post("/predict")
    async def nothing() -> dict[str, str]:
        return {}

    listener = listening("127.0.0.1", 0)
    print(listener.getsockname()[1], flush=True)
    parts = ("asyncio", "h11") if plain else ("auto", "auto")
    config = uvicorn.Config(app, loop=parts[0], http=parts[1], log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[listener])


class Server:
    """A server in a process of its own; without folders, one that does nothing."""

    def __init__(self, folders: Sequence[Path] = (), *options: str) -> None:
        words = [sys.executable, __file__, *(["--serve", *map(str, folders)] if folders else ["--nothing"]), *options]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)


class Caller(asyncio.Protocol):
    """One connection that sends a request as soon as the last one is answered."""

    def __init__(self, requests: Sequence[bytes], counter: "Counter") -> None:
        self.requests, self.counter = requests, counter
        self.next, self.buffer, self.needed = 0, bytearray(), -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.send()

    def send(self) -> None:
        self.started = time.perf_counter()
        self.transport.write(self.requests[self.next % len(self.requests)])  # type: ignore[attr-defined]
        self.next += 1

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if self.needed < 0:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self.buffer[:end]).lower()
            assert head.startswith(b"http/1.1 200"), bytes(self.buffer[:2000])
            self.needed = end + 4 + int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        if len(self.buffer) >= self.needed:
            self.buffer.clear()
            self.needed = -1
            self.counter.answered(time.perf_counter() - self.started)
            if not self.counter.over:
                self.send()
            else:
                self.transport.close()


class Counter:
    """Answers after a warm-up, until the time is over and there are some."""

    def __init__(self, seconds: float) -> None:
        self.first = time.perf_counter() + seconds / 4
        self.last = self.first + seconds
        self.times: list[float] = []
        self.over = False

    def answered(self, seconds: float) -> None:
        now = time.perf_counter()
        if now < self.first or self.over:
            return
        self.times.append(seconds)
        self.over = now >= self.last and len(self.times) >= FEWEST
        self.last = max(self.last, now)

    def rate(self) -> float:
        return len(self.times) / (self.last - self.first)


def request(path: str, body: bytes = b"", kind: str = "", method: str = "POST") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "host: localhost"]
    lines += [f"content-type: {kind}", f"content-length: {len(body)}"] if body else []
    return "\r\n".join([*lines, "", ""]).encode() + body


def load(port: int, requests: Sequence[bytes], clients: int, seconds: float) -> Counter:
    """Answers per second."""

    async def run() -> Counter:
        counter, loop = Counter(seconds), asyncio.get_running_loop()
        callers = []
        for index in range(clients):
            rotated = [*requests[index % len(requests) :], *requests[: index % len(requests)]]
            made = await loop.create_connection(lambda rotated=rotated: Caller(rotated, counter), "127.0.0.1", port)  # type: ignore[misc]
            callers.append(made)
        while not counter.over:
            await asyncio.sleep(0.05)
        for transport, _ in callers:
            transport.close()
        return counter

    return asyncio.run(run())


def predictor_rate(predictor: Predictor, given: list[Trajectory], seconds: float) -> float:
    """Scenes per second of the Predictor's own batches."""
    list(predictor.batches(given))
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        for _ in predictor.batches(given):
            pass
        count += len(given)
    return count / (time.perf_counter() - start)


def measured(name: str, folder: Path, nodes: int, options: argparse.Namespace) -> dict[str, object]:
    predictor = Predictor(load_package(folder))
    given = scenes(nodes, PER_BODY)
    singles = [request("/predict", JsonCarrier().pack([one], None, None)[0], "application/json") for one in given[:CLIENTS]]
    body = TableCarrier().pack(given, None, None)[0]
    bodies = [request("/predict", body, "application/vnd.apache.arrow.stream")]
    empty = [request("/health", method="GET")]
    rows: list[dict[str, float]] = []
    batched, alone, nothing = Server([folder]), Server([folder], "--unbatched"), Server()
    plain = Server((), "--plain")
    try:
        for _ in range(options.rounds):
            single = load(batched.port, singles, CLIENTS, options.seconds)
            rows.append(
                {
                    "health": load(batched.port, empty, CLIENTS, options.seconds).rate(),
                    "FastAPI": load(nothing.port, singles, CLIENTS, options.seconds).rate(),
                    "FastAPI, h11": load(plain.port, singles, CLIENTS, options.seconds).rate(),
                    "single": single.rate(),
                    "p50 ms": 1e3 * float(np.quantile(single.times, 0.5)),
                    "p99 ms": 1e3 * float(np.quantile(single.times, 0.99)),
                    "unbatched": load(alone.port, singles, CLIENTS, options.seconds).rate(),
                    "bodies": PER_BODY * load(batched.port, bodies, BODIES, options.seconds).rate(),
                    "predictor": predictor_rate(predictor, given, options.seconds),
                }
            )
            rows[-1]["single / health"] = rows[-1]["single"] / rows[-1]["health"]
            rows[-1]["single / FastAPI"] = rows[-1]["single"] / rows[-1]["FastAPI"]
            rows[-1]["single / FastAPI, h11"] = rows[-1]["single"] / rows[-1]["FastAPI, h11"]
            rows[-1]["single / unbatched"] = rows[-1]["single"] / rows[-1]["unbatched"]
            rows[-1]["bodies / predictor"] = rows[-1]["bodies"] / rows[-1]["predictor"]
    finally:
        for server in (batched, alone, nothing, plain):
            server.stop()
    found = {key: statistics.median(row[key] for row in rows) for key in rows[0]}
    print(f"{name:8} {nodes:3} nodes: " + ", ".join(f"{key} {value:.4g}" for key, value in found.items()), flush=True)
    return {"model": name, "nodes": nodes, **found, "rounds": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--nodes", nargs="+", type=int, default=[5, 31])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--serve", nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--unbatched", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--nothing", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--plain", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.unbatched)
        return
    if options.nothing:
        serve_nothing(options.plain)
        return
    configure(1)
    with tempfile.TemporaryDirectory() as folder:
        found = [
            measured(name, make_package(Path(folder) / f"{name}-{nodes}", name), nodes, options)
            for name in options.models
            for nodes in options.nodes
        ]
    if options.json:
        options.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()

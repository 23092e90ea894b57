"""Minutes of mixed load on one service: nothing lost, nothing swapped, no crash, memory flat.

    python benchmarks/load.py 30                # minutes
    python benchmarks/load.py 3 --clients 64

64 clients ask one after the other: scenes of 5 nodes (small), of 31 (middle), and 64 and 256 scenes of 5 at once (many, bulk),
as JSON and Arrow; 10 % of what they send is malformed, 5 % is larger than the service takes, and 5 % of them leave before their
answer. Every accepted request carries scene names of its own, and every answer is compared, to the last bit, with what the
Predictor said.
Printed each minute: answers by status, memory of the service; at the end p50 and p99 of each size class.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from serve import Server, make_package, scenes

from forecasting.inference.predictor import Predictor
from forecasting.numerics import configure
from forecasting.packages import load_package
from forecasting.service.carrying import JsonCarrier, TableCarrier
from forecasting.trajectories.trajectory import Source, Trajectory

JSON, ARROW = "application/json", "application/vnd.apache.arrow.stream"
MALFORMED = (
    b"",
    b"{",
    b"[1,2]",
    b'{"scenes":[{"positions":[[[NaN,0,0]]]}]}',
    b'{"scenes":[{"positions":[[null]]}]}',
    b"\xff" * 100,
)
HUGE = 9 << 20


class Case:
    """A request that is to be accepted, and what its answer must be."""

    def __init__(self, kind: str, given: list[Trajectory], arrow: bool, predictor: Predictor) -> None:
        self.kind = f"{kind}, {'arrow' if arrow else 'json'}"
        self.type = ARROW if arrow else JSON
        self.body = (TableCarrier() if arrow else JsonCarrier()).pack(given, None, None)[0]
        self.names = [scene.scene for scene in given]
        self.expected = [one.positions for one in predictor.trajectories(given)]

    def check(self, answer: bytes) -> bool:
        if self.type == JSON:
            found = json.loads(answer)["forecasts"]
            return [one["scene"] for one in found] == self.names and all(
                np.array_equal(np.array(one["positions"]), two) for one, two in zip(found, self.expected, strict=True)
            )
        table = pa.ipc.open_stream(answer).read_all()
        places = np.stack([table[axis].to_numpy() for axis in "xyz"], axis=1)
        names = list(dict.fromkeys(table["scene"].to_pylist()))
        return names == self.names and np.array_equal(places, np.concatenate([one.reshape(-1, 3) for one in self.expected]))


def cases(predictor: Predictor) -> list[Case]:
    """Scenes with names that no other request has."""
    found = []
    for kind, nodes, count, copies in (("small", 5, 1, 40), ("middle", 31, 1, 20), ("many", 5, 64, 4), ("bulk", 5, 256, 2)):
        given = scenes(nodes, count * copies)
        for copy in range(copies):
            mine = [
                replace(scene, scene=f"{kind}-{copy}-{index}", source=Source())
                for index, scene in enumerate(given[copy * count : (copy + 1) * count])
            ]
            found.append(Case(kind, mine, copy % 2 == 1, predictor))
    return found


class Totals:
    """What happened."""

    def __init__(self) -> None:
        self.statuses: Counter[str] = Counter()
        self.times: dict[str, list[float]] = defaultdict(list)
        self.wrong: list[str] = []


async def ask(port: int, body: bytes, kind: str, leave: bool) -> tuple[int, bytes]:
    """One request on a connection of its own; status 0 where the client left."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        head = f"POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        if leave:
            await asyncio.sleep(random.uniform(0, 0.05))
            return 0, b""
        raw = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 120)
        length = int(raw.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        return int(raw.split()[1]), await asyncio.wait_for(reader.readexactly(length), 120)
    finally:
        writer.close()


async def client(port: int, known: list[Case], until: float, totals: Totals, rng: random.Random) -> None:
    huge = b" " * HUGE
    while time.monotonic() < until:
        draw, case = rng.random(), rng.choice(known)
        start = time.perf_counter()
        try:
            if draw < 0.10:
                status, _ = await ask(port, rng.choice(MALFORMED), rng.choice((JSON, ARROW)), False)
                good = status in (400, 422)
                name = f"malformed {status}"
            elif draw < 0.15:
                status, _ = await ask(port, huge, JSON, False)
                good, name = status == 413, f"huge {status}"
            elif draw < 0.20:
                status, _ = await ask(port, case.body, case.type, True)
                good, name = True, "left"
            else:
                status, answer = await ask(port, case.body, case.type, False)
                good = case.check(answer) if status == 200 else status in (429, 503)
                name = f"accepted {status}"
                if status == 200:
                    totals.times[case.kind].append(time.perf_counter() - start)
                else:
                    await asyncio.sleep(rng.uniform(0.2, 1.0))
        except (OSError, asyncio.IncompleteReadError, TimeoutError, ValueError, KeyError) as error:
            good, name = False, f"failed {type(error).__name__}"
        totals.statuses[name] += 1
        if not good:
            totals.wrong.append(f"{name}: {case.kind}")


def resident(pid: int) -> float:
    """[MB] of memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return float("nan")


async def watched(server: Server, minutes: float, totals: Totals) -> list[float]:
    """Memory each minute."""
    found, start = [resident(server.process.pid)], time.monotonic()
    while (passed := time.monotonic() - start) < 60 * minutes:
        await asyncio.sleep(min(60.0, 60 * minutes - passed))
        found.append(resident(server.process.pid))
        print(
            f"{(time.monotonic() - start) / 60:5.1f} min, {found[-1]:6.0f} MB, {dict(sorted(totals.statuses.items()))}",
            flush=True,
        )
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("minutes", type=float)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--model", default="egnn")
    options = parser.parse_args()
    configure(1)
    totals = Totals()
    with tempfile.TemporaryDirectory() as folder:
        package = make_package(Path(folder) / "load", options.model)
        known = cases(Predictor(load_package(package)))
        server = Server([package])

        async def run() -> list[float]:
            until = time.monotonic() + 60 * options.minutes
            clients = [client(server.port, known, until, totals, random.Random(seed)) for seed in range(options.clients)]
            memory, *_ = await asyncio.gather(watched(server, options.minutes, totals), *clients)
            return memory

        try:
            memory = asyncio.run(run())
            alive = server.process.poll() is None
        finally:
            server.stop()
    slow = []
    for kind, times in sorted(totals.times.items()):
        p50, p99 = np.quantile(times, [0.5, 0.99])
        print(f"{kind:14} {len(times):7} answers, p50 {1e3 * p50:8.1f} ms, p99 {1e3 * p99:8.1f} ms, p99/p50 {p99 / p50:5.1f}")
        slow += [kind] if p99 > 10 * p50 else []
    print(f"memory at the start {memory[0]:.0f} MB, after the first minute {memory[1]:.0f} MB, at the end {memory[-1]:.0f} MB")
    print(f"lost, swapped or wrong: {len(totals.wrong)} {Counter(totals.wrong).most_common(5)}")
    print(f"alive at the end: {alive}; exit code {server.process.returncode}")
    return int(bool(totals.wrong or not alive or slow))


if __name__ == "__main__":
    sys.exit(main())

"""The other processes of a run on this machine: started once, watched, and gone when the run is."""

import os
import subprocess
import sys
import threading
import time
from types import TracebackType

from forecasting.errors import UsageError

GRACE = 10.0
"""[s] given to processes to end by themselves when another one has."""
_POLL = 0.2


def is_first(world: int) -> bool:
    """Whether this process speaks and writes for a run of `world` processes, as far as the environment knows."""
    names = ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "SLURM_PROCID")
    return world == 1 or all(os.environ.get(name, "0") == "0" for name in names)


def check_launcher(devices: int, nodes: int) -> None:
    """See that the number of processes that torchrun started, if it did, is the one that the configuration names.

    Raises:
        UsageError: if not, or if several machines are meant and nothing says which of them this is.
    """
    world = devices * nodes
    if "TORCHELASTIC_RUN_ID" in os.environ:
        started = int(os.environ["WORLD_SIZE"])
        if started != world:
            here = int(os.environ.get("LOCAL_WORLD_SIZE", started))
            raise UsageError(
                f"torchrun started {started} processes, and training.devices × training.nodes is {devices} × {nodes}; "
                f"say training.devices={here} training.nodes={started // here}"
            )
    elif nodes > 1 and "SLURM_NTASKS" not in os.environ and not {"MASTER_ADDR", "NODE_RANK"} <= os.environ.keys():
        raise UsageError(
            f"training.nodes={nodes} needs a launcher on each machine: torchrun --nnodes={nodes} --nproc-per-node={devices} …, "
            "srun, or MASTER_ADDR, MASTER_PORT and NODE_RANK in the environment"
        )


class Companions:
    """Runs the command of this process again for ranks 1 … devices − 1, and ends them with it.

    Args:
        devices: processes on this machine; nodes: machines; node: number of this one.
        address, port: where the first process of all is found.
    """

    def __init__(self, devices: int, nodes: int, node: int, address: str, port: int) -> None:
        common = {"MASTER_ADDR": address, "MASTER_PORT": str(port), "NODE_RANK": str(node), "WORLD_SIZE": str(devices * nodes)}
        self._roles = [{**common, "LOCAL_RANK": str(rank)} for rank in range(devices)]
        self._others: list[subprocess.Popen[bytes]] = []
        self._before: dict[str, str] = {}
        self._over = threading.Event()

    def __enter__(self) -> "Companions":
        self._before = dict(os.environ)
        own, *others = self._roles
        self._others = [subprocess.Popen(_command(), env={**os.environ, **role}) for role in others]
        os.environ.update(own)
        threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        for key in self._roles[0]:
            os.environ.pop(key, None)
        os.environ.update(self._before)
        for other in self._others:
            try:
                other.wait(GRACE)
            except subprocess.TimeoutExpired:
                other.kill()
                other.wait()

    def ended(self, patience: float = 0.0) -> str:
        """What became of those that ended badly, or nothing; `patience` [s] waits for one that is about to."""
        until = time.monotonic() + patience
        while not any(other.poll() for other in self._others) and time.monotonic() < until:
            time.sleep(_POLL)
        codes = [(rank, other.poll()) for rank, other in enumerate(self._others, start=1)]
        return ", ".join(
            f"process {rank} {f'was killed by signal {-code}' if code < 0 else f'ended with code {code}'}"
            for rank, code in codes
            if code
        )

    def _watch(self) -> None:
        # While processes still look for each other, only this thread can tell that one will never come.
        while not self._over.wait(_POLL):
            if self.ended() and not self._over.wait(GRACE):
                print(f"forecast: error: {self.ended()}, so the run cannot go on", file=sys.stderr, flush=True)
                for other in self._others:
                    other.kill()
                os._exit(1)


def _command() -> list[str]:
    spec = sys.modules["__main__"].__spec__
    start = [os.path.abspath(sys.argv[0])] if spec is None else ["-m", spec.name]
    return [sys.executable, *start, *sys.argv[1:]]

"""Integration of a law of motion: velocity Verlet with steps that shrink in close encounters, each graph for itself."""

from dataclasses import dataclass

import torch
from torch import Tensor

from forecasting.models._newton_law import Law


@dataclass(frozen=True)
class Flow:
    """Where an adaptive run went.

    Attributes:
        moved: (N, H, 3) [L] displacement at each lead time; velocity: (N, 3) [L/τ] at the last.
        closest: (E, 1) [L²] smallest squared distance of each pair at any step.
        times: (S + 1, B) [τ] of every step; a graph that has arrived stays at its last lead time.
        steps: (B,) number of steps of each graph.
    """

    moved: Tensor
    velocity: Tensor
    closest: Tensor
    times: Tensor
    steps: Tensor


def step(law: Law, x: Tensor, v: Tensor, pull: Tensor, dt: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """One velocity Verlet step of (N, 1) `dt`: half a kick, what velocities cause together with the drift, half a kick.

    Returns:
        x, v, the pull there, strength and squared distance of the pairs (see `Law.pull`).
    """
    before = torch.addcmul(v, dt, pull, value=0.5)
    after = law.slowed(before, dt)
    x = torch.addcmul(x, dt, before + after, value=0.5)
    pull, strength, squared = law.pull(x)
    return x, torch.addcmul(after, dt, pull, value=0.5), pull, strength, squared


@torch.no_grad()
def adaptive(law: Law, x: Tensor, v: Tensor, lead: Tensor, accuracy: float, fewest: int, most: int) -> Flow:
    """Integrate to every lead time with a step of `accuracy` / rate of the quickest pair (see `Law.rate`).

    A step depends on the graph's own state only. Graphs that have arrived are put aside when half of those at hand have, which
    changes no number.

    Args:
        law: without gradients; x, v: (N, 3) at the anchor; lead: (B, H) [τ] ascending.
        accuracy: step in units of the shortest time scale.
        fewest, most: bounds of the number of steps from the anchor to the last lead time (lead times in between add some).
    """
    last, start = lead[:, -1], x
    t = torch.zeros_like(last)
    moved = x.new_zeros((len(x), lead.shape[1], 3))
    velocity, steps = v.clone(), torch.zeros_like(last)
    pull, strength, squared = law.pull(x)
    closest, times = squared.clone(), [t.clone()]
    graphs, nodes, edges = (torch.arange(count, device=x.device) for count in (law.graphs, len(x), len(law.source)))
    now, near, out, length = t.clone(), squared, moved.clone(), last
    while True:
        ahead = torch.where(lead > now[:, None], lead, torch.inf).amin(1)
        arrived = ahead.isinf()
        gone = int(arrived.sum())
        if gone and 2 * gone >= len(arrived):
            t[graphs], moved[nodes], velocity[nodes], closest[edges] = now, out, v, near
            stay = ~arrived
            if gone == len(arrived):
                break
            own, owned, tied = stay.nonzero()[:, 0], stay[law.graph].nonzero()[:, 0], stay[law.edge_graph].nonzero()[:, 0]
            law = law.of(own, owned, tied)
            graphs, nodes, edges = graphs[own], nodes[owned], edges[tied]
            now, lead, length, ahead, arrived = now[own], lead[own], length[own], ahead[own], arrived[own]
            x, v, pull, out, start = x[owned], v[owned], pull[owned], out[owned], start[owned]
            near, strength, squared = near[tied], strength[tied], squared[tied]
        wanted = accuracy * law.rate(strength, squared).clamp(min=1e-12).rsqrt()
        wanted = torch.minimum(torch.maximum(wanted, length / most), length / fewest)
        then = torch.where(arrived, now, torch.minimum(now + wanted, ahead))
        x, v, pull, strength, squared = step(law, x, v, pull, (then - now)[law.graph][:, None])
        out = torch.where((now[:, None] < lead)[law.graph][..., None], (x - start)[:, None], out)
        near = torch.minimum(near, squared)
        now = then
        t[graphs] = now
        steps[graphs] += ~arrived
        times.append(t.clone())
    return Flow(moved, velocity, closest, torch.stack(times), steps)


def thinned(times: Tensor, steps: Tensor, count: int) -> Tensor:
    """(count + 1, B) times that share the steps of an adaptive run (S + 1, B) evenly among `count` steps."""
    place = torch.linspace(0, 1, count + 1, dtype=times.dtype, device=times.device)[:, None] * steps
    before = place.floor().clamp(max=len(times) - 1)
    after = (before + 1).clamp(max=len(times) - 1).long()
    return torch.lerp(times.gather(0, before.long()), times.gather(0, after), place - before)


def along(law: Law, x: Tensor, v: Tensor, times: Tensor, lead: Tensor) -> Tensor:
    """(N, H, 3) displacement at each lead time with steps at given times (K + 1, B), with gradients.

    Lead times between two steps are read off the cubic through both states.
    """
    start = x
    pull, _, _ = law.pull(x)
    spans = times.diff(dim=0)[:, law.graph, None]
    states = [(x, v)]
    for dt in spans:
        x, v, pull, _, _ = step(law, x, v, pull, dt)
        states.append((x, v))
    if lead.shape[1] == 1:
        return (x - start)[:, None]
    where = torch.stack([torch.stack(state, 1) for state in states])
    columns = [_read(where, times, lead[:, index], law.graph) for index in range(lead.shape[1] - 1)]
    return torch.stack([*columns, x], dim=1) - start[:, None]


def _read(states: Tensor, times: Tensor, lead: Tensor, graph: Tensor) -> Tensor:
    """(N, 3) position at time (B,) from states (K + 1, N, 2, 3) by the cubic Hermite polynomial."""
    after = (times < lead).sum(0).clamp(1, len(times) - 1)
    begin = times.gather(0, after[None] - 1)[0]
    span = times.gather(0, after[None])[0] - begin
    s = ((lead - begin) / span.clamp(min=1e-9))[graph][:, None]
    dt, index = span[graph][:, None], after[graph]
    node = torch.arange(len(graph), device=graph.device)
    (x0, v0), (x1, v1) = states[index - 1, node].unbind(1), states[index, node].unbind(1)
    rise = s * s * (3 - 2 * s)
    return x0 + rise * (x1 - x0) + s * (1 - s) * dt * ((1 - s) * v0 - s * v1)

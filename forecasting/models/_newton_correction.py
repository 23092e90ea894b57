"""A small network of scalars and vectors that corrects an integrated forecast."""

import torch
from torch import Tensor, nn

from forecasting.models.aggregate import edge_sum
from forecasting.models.mlp import perceptron

_TINY = 1e-12
_APART = 1e-3  # what tells hypotheses apart at first


def squashed(vectors: Tensor) -> Tensor:
    """(…, 3) u / (1 + |u|)."""
    return vectors / (1 + (vectors.square().sum(-1, keepdim=True) + _TINY).sqrt())


class VectorRound(nn.Module):
    """One round of messages between nodes with scalars h and vectors V (after PaiNN, Schütt et al., ICML 2021).

    With d_ij the vectors of an edge and a_ij its scalars::

        m_ij = φ(W₁ h_i + W₂ h_j + W₃ a_ij)
        V_i += 1/deg(i) Σ_j (A m_ij) d_ij + (B m_ij) V_j        h_i += ψ(h_i, 1/deg(i) Σ_j m_ij, |V P|_i, ⟨V P, V Q⟩_i)
        V_i += (C h_i) (V_i R)

    Args:
        hidden: width of h; vectors: channels of V; scalars: width of a; directions: channels of d.
    """

    def __init__(self, hidden: int, vectors: int, scalars: int, directions: int) -> None:
        super().__init__()
        self.vectors, self.directions = vectors, directions
        self.ends = nn.Linear(hidden, 2 * hidden)
        self.edge = nn.Linear(scalars, hidden, bias=False)
        self.message = nn.Sequential(nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU())
        self.spread = nn.Linear(hidden, vectors * directions + vectors)
        self.mix = nn.Linear(vectors, 3 * vectors, bias=False)
        self.update = perceptron([2 * hidden + 2 * vectors, hidden, hidden + vectors])

    def forward(
        self, h: Tensor, V: Tensor, source: Tensor, target: Tensor, scalars: Tensor, directions: Tensor, inverse_degree: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Update h (N, F) and V (N, 3, C); scalars (E, …), directions (E, 3, D), inverse_degree (N, 1)."""
        own, other = self.ends(h).chunk(2, dim=-1)
        message = self.message(own[target] + other[source] + self.edge(scalars))
        split = [self.vectors * self.directions, self.vectors]
        along, carried = self.spread(message).split(split, dim=-1)
        moved = torch.bmm(directions, along.unflatten(-1, (self.directions, self.vectors))) + carried[:, None] * V[source]
        V = V + edge_sum(moved, target, len(h)) * inverse_degree[:, None]
        first, second, third = self.mix(V).chunk(3, dim=-1)
        length = (first.square().sum(1) + _TINY).sqrt()
        gathered = edge_sum(message, target, len(h)) * inverse_degree
        change = self.update(torch.cat([h, gathered, length, (first * second).sum(1)], dim=-1))
        change_h, gate = change.split([h.shape[1], self.vectors], dim=-1)
        return h + change_h, V + gate[:, None] * third


class Correction(nn.Module):
    """(N, K, H, 3) to be added to the integrated forecast; 0 at first, or nearly so where K > 1.

    Args:
        nodes: width of the scalars of nodes; edges: of edges.
        inputs: channels of vectors; shares: of which the last so many may leave as they came; directions: vectors of edges.
        hidden: width of scalars and number of vectors; layers: rounds; horizon: H; count: K.
    """

    def __init__(
        self,
        nodes: int,
        edges: int,
        inputs: int,
        shares: int,
        directions: int,
        hidden: int,
        layers: int,
        horizon: int,
        count: int = 1,
    ) -> None:
        super().__init__()
        self.count, self.shares = count, shares
        self.embedding = nn.Linear(nodes, hidden)
        self.start = nn.Linear(inputs, hidden, bias=False)
        self.rounds = nn.ModuleList(VectorRound(hidden, hidden, edges, directions) for _ in range(layers))
        self.gate = nn.Linear(hidden, count * horizon)
        self.out = nn.Linear(hidden, count * horizon, bias=False)
        self.share = nn.Linear(hidden, count * horizon * shares)
        for layer in (self.out, self.share):
            nn.init.zeros_(layer.weight)
        nn.init.zeros_(self.share.bias)
        if count > 1:
            nn.init.normal_(self.out.weight, std=_APART)

    def forward(
        self,
        scalars: Tensor,
        vectors: Tensor,
        edge_index: Tensor,
        edge_scalars: Tensor,
        directions: Tensor,
        inverse_degree: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Scalars (N, …), vectors (N, C, 3), edge scalars (E, …) and directions (E, D, 3).

        What leaves is gate · (V W) + Σ_c tanh(s_c(h)) u_c, with u the last vectors as they came, and h (N, F).
        """
        source, target = edge_index
        h = self.embedding(scalars)
        V = self.start(squashed(vectors).transpose(1, 2))
        ways = squashed(directions).transpose(1, 2).contiguous()
        for layer in self.rounds:
            h, V = layer(h, V, source, target, edge_scalars, ways, inverse_degree)
        gated = torch.sigmoid(self.gate(h))[:, None] * self.out(V)
        share: Tensor = torch.tanh(self.share(h)).view(len(h), self.out.out_features, self.shares)
        shared = torch.bmm(share, vectors[:, -self.shares :])
        return (gated.transpose(1, 2) + shared).reshape(len(h), self.count, self.out.out_features // self.count, 3), h

"""EGNN with velocity, written down equation by equation (Satorras et al. 2021, equations 3, 6, 7 with velocity), nothing shared
with the package: what our EGNN must equal."""

import torch
from torch import nn


class PlainEGNN(nn.Module):
    def __init__(self, node_inputs: int, edge_inputs: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.embedding = nn.Linear(node_inputs, hidden)
        self.layers = nn.ModuleList(PlainLayer(hidden, edge_inputs) for _ in range(layers))

    def forward(self, h, x, v, edge_index, a):
        h = self.embedding(h)
        for layer in self.layers:
            h, x = layer(h, x, v, edge_index, a)
        return x


class PlainLayer(nn.Module):
    def __init__(self, hidden: int, edge_inputs: int) -> None:
        super().__init__()
        self.phi_e = nn.Sequential(
            nn.Linear(2 * hidden + 1 + edge_inputs, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU()
        )
        self.phi_x = nn.Sequential(nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, 1, bias=False))
        self.phi_v = nn.Sequential(nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, 1))
        self.phi_h = nn.Sequential(nn.Linear(2 * hidden, hidden), nn.SiLU(), nn.Linear(hidden, hidden))
        nn.init.xavier_uniform_(self.phi_x[2].weight, gain=0.001)

    def forward(self, h, x, v, edge_index, a):
        i, j = edge_index[1], edge_index[0]
        squared = ((x[i] - x[j]) ** 2).sum(dim=1, keepdim=True)
        m = self.phi_e(torch.cat([h[i], h[j], squared, a], dim=1))
        degree = torch.zeros(len(x), 1, dtype=x.dtype, device=x.device).index_add_(0, i, torch.ones_like(squared))
        pull = torch.zeros_like(x).index_add_(0, i, (x[i] - x[j]) * self.phi_x(m))
        moved = x + pull / degree.clamp(min=1) + self.phi_v(h) * v
        gathered = torch.zeros_like(h).index_add_(0, i, m)
        return h + self.phi_h(torch.cat([h, gathered], dim=1)), moved


def same_weights(ours, plain: PlainEGNN) -> None:
    """Copy the weights of our EGNN into the plain one: one horizon step, and of several vectors the first.

    Nothing reads the plain model's last φ_h, which ours does not have.
    """
    plain.embedding.load_state_dict(ours.embedding.state_dict())
    with torch.no_grad():
        for mine, theirs in zip(ours.layers, plain.layers, strict=True):
            w, width = mine.weights(), mine.nodes.shape[1]
            from_source, from_target, own, *update = w.nodes.split(width)
            second, weigh, *update_matrices = w.matrices
            first_bias, own_bias, *biases = w.biases
            _fill(theirs.phi_e[0], torch.cat([from_target, from_source, w.pair], dim=1), first_bias)
            _fill(theirs.phi_e[2], second, biases[-3 if update else -2])
            _fill(theirs.phi_x[0], weigh, biases[-2 if update else -1])
            theirs.phi_x[2].weight.copy_(w.last)
            _fill(theirs.phi_v[0], own, own_bias)
            _fill(theirs.phi_v[2], w.push[:1], w.push_bias[:1])
            if update:
                _fill(theirs.phi_h[0], torch.cat([*update, update_matrices[0]], dim=1), biases[0])
                _fill(theirs.phi_h[2], update_matrices[1], biases[-1])


def _fill(layer: nn.Linear, weight: torch.Tensor, bias: torch.Tensor) -> None:
    layer.weight.copy_(weight)
    layer.bias.copy_(bias)

"""EGNO, written down equation by equation (Xu, Han, Lou et al. 2024: temporal convolutions by Fourier transforms, and between
them the equations of EGNN with velocity), nothing shared with the package: what our EGNO must equal."""

import torch
from torch import nn


class PlainEGNO(nn.Module):
    """(N, T, 3) positions of N nodes in T future frames.

    Args:
        node_inputs, edge_inputs, time_inputs: widths; vectors: channels of v; modes: of T frames.
    """

    def __init__(
        self, node_inputs: int, edge_inputs: int, time_inputs: int, hidden: int, layers: int, vectors: int, modes: int
    ) -> None:
        super().__init__()
        self.embedding = nn.Linear(node_inputs + time_inputs, hidden)
        self.conv_h = nn.ModuleList(Spectral(hidden, modes) for _ in range(layers))
        self.conv_x = nn.ModuleList(Spectral(1 + vectors, modes) for _ in range(layers))
        self.layers = nn.ModuleList(PlainLayer(hidden, edge_inputs, vectors) for _ in range(layers))

    def forward(self, h, x, v, edge_index, a, times):
        """h (N, inputs), x (N, 3), v (N, C, 3), a (E, inputs), times (T, N, inputs)."""
        frames, nodes, edges = len(times), len(h), edge_index.shape[1]
        shift = (torch.arange(frames) * nodes).repeat_interleave(edges)
        edge_index, a = edge_index.repeat(1, frames) + shift, a.repeat(frames, 1)
        h = self.embedding(torch.cat([h.expand(frames, -1, -1), times], dim=2))
        x, v = x.expand(frames, -1, -1), v.expand(frames, -1, -1, -1)
        for conv_h, conv_x, layer in zip(self.conv_h, self.conv_x, self.layers, strict=True):
            h = h + nn.functional.leaky_relu(conv_h(h))
            both = torch.cat([x[:, :, None], v], dim=2).transpose(2, 3)
            both = (both + conv_x(both)).transpose(2, 3)
            x, v = both[:, :, 0], both[:, :, 1:]
            h, x = layer(h.flatten(0, 1), x.flatten(0, 1), v.flatten(0, 1), edge_index, a)
            h, x = h.view(frames, nodes, -1), x.view(frames, nodes, 3)
        return x.transpose(0, 1)


class Spectral(nn.Module):
    """F⁻¹ W F over the first axis, for the first modes; W mixes the last axis."""

    def __init__(self, channels: int, modes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(modes, channels, channels, 2))

    def forward(self, values):
        spectrum = torch.fft.rfft(values, dim=0)[: len(self.weight)]
        mixed = torch.einsum("m...i,mio->m...o", spectrum, torch.view_as_complex(self.weight))
        return torch.fft.irfft(mixed, n=len(values), dim=0)


class PlainLayer(nn.Module):
    def __init__(self, hidden: int, edge_inputs: int, vectors: int) -> None:
        super().__init__()
        self.phi_e = nn.Sequential(
            nn.Linear(2 * hidden + 1 + edge_inputs, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU()
        )
        self.phi_x = nn.Sequential(nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, 1, bias=False))
        self.phi_v = nn.Sequential(nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, vectors))
        self.phi_h = nn.Sequential(nn.Linear(2 * hidden, hidden), nn.SiLU(), nn.Linear(hidden, hidden))

    def forward(self, h, x, v, edge_index, a):
        i, j = edge_index[1], edge_index[0]
        squared = ((x[i] - x[j]) ** 2).sum(dim=1, keepdim=True)
        m = self.phi_e(torch.cat([h[i], h[j], squared, a], dim=1))
        degree = torch.zeros(len(x), 1, dtype=x.dtype).index_add_(0, i, torch.ones_like(squared))
        pull = torch.zeros_like(x).index_add_(0, i, (x[i] - x[j]) * self.phi_x(m))
        moved = x + pull / degree.clamp(min=1) + (self.phi_v(h)[:, :, None] * v).sum(dim=1)
        gathered = torch.zeros_like(h).index_add_(0, i, m)
        return h + self.phi_h(torch.cat([h, gathered], dim=1)), moved


def same_weights(ours, plain: PlainEGNO) -> None:
    """Copy the weights of our EGNO into the plain one; nothing reads its last φ_h, nor some of its imaginary parts."""
    with torch.no_grad():
        _fill(plain.embedding, torch.cat([ours.embedding.weight, ours.time_embedding.weight], dim=1), ours.embedding.bias)
        for mine, theirs in zip([*ours.over_time, *ours.over_time_vectors], [*plain.conv_h, *plain.conv_x], strict=True):
            theirs.weight[..., 0] = mine.real
            theirs.weight[1 : 1 + len(mine.imaginary), ..., 1] = mine.imaginary
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
            _fill(theirs.phi_v[2], w.push, w.push_bias)
            if update:
                _fill(theirs.phi_h[0], torch.cat([*update, update_matrices[0]], dim=1), biases[0])
                _fill(theirs.phi_h[2], update_matrices[1], biases[-1])


def _fill(layer: nn.Linear, weight: torch.Tensor, bias: torch.Tensor) -> None:
    layer.weight.copy_(weight)
    layer.bias.copy_(bias)

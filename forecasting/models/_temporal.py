"""Convolutions over future frames in the Fourier domain, and embeddings of lead times (Xu, Han, Lou et al., ICML 2024).

With X_k = Σ_s x_s e^(−2πi k s/H) of H frames and a complex matrix W_k for each kept mode k, a convolution is

    y_t = Σ_k a_k Re(X_k W_k e^(2πi k t/H)) = Σ_k a_k Σ_s x_s (Re W_k cos(2πk(t − s)/H) − Im W_k sin(2πk(t − s)/H))

with a_k = 1/H for k = 0 and k = H/2, where Im W has no part, and 2/H otherwise. With few frames and modes, products with small
real matrices take less time than transforms.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

FASTEST, SLOWEST = 100.0, 0.01  # radians that the phases of an embedding turn per unit of lead time


class _Convolution(nn.Module):
    """Complex matrices for the first modes; parts of them that cannot matter do not exist.

    Args:
        channels: C; frames: H.
        modes: how many are kept, of the H/2 + 1 that there are.
        scale: entries of Re W and Im W start uniform in [0, scale), as published.
    """

    def __init__(self, channels: int, frames: int, modes: int, scale: float) -> None:
        super().__init__()
        kept = min(modes, frames // 2 + 1)
        self.turning = slice(1, kept - 1 if kept > 1 and 2 * (kept - 1) == frames else kept)
        count = len(range(kept)[self.turning])
        self.real = nn.Parameter(scale * torch.rand(kept, channels, channels))
        self.imaginary = nn.Parameter(scale * torch.rand(count, channels, channels))
        self._angle = 2 * math.pi / frames * torch.outer(torch.arange(kept), torch.arange(frames)).double()
        self._share = torch.full((kept, 1), 1 / frames, dtype=torch.float64)
        self._share[self.turning] *= 2


class TemporalScalars(_Convolution):
    """h ← h + LeakyReLU(y), y the convolution of h."""

    def forward(self, h: Tensor) -> Tensor:
        """(H, N, C) -> (H, N, C)."""
        kept, turning = len(self.real), self.turning
        cosines, sines = self._angle.cos(), self._angle[turning].sin()
        analysis = torch.cat([cosines, -sines]).to(h)
        synthesis = torch.cat([self._share * cosines, -self._share[turning] * sines]).T.to(h)
        modes = (analysis @ h.flatten(1)).view(len(analysis), *h.shape[1:])
        real, imaginary = modes[:kept], modes[kept:]
        out_real = torch.bmm(real, self.real)
        out_imaginary = torch.baddbmm(torch.bmm(real[turning], self.imaginary), imaginary, self.real[turning])
        turned = torch.baddbmm(out_real[turning], imaginary, self.imaginary, alpha=-1)
        out = torch.cat([out_real[:1], turned, out_real[turning.stop :], out_imaginary])
        return h + leaky_relu(synthesis @ out.flatten(1)).view_as(h)


class TemporalVectors(_Convolution):
    """v ← v + y, y the convolution of vector channels: linear in them, and so equivariant."""

    def forward(self, v: Tensor) -> Tensor:
        """(H, C, N, 3) -> (H, C, N, 3)."""
        between = self._angle[:, :, None] - self._angle[:, None, :]
        cosines, sines = self._share[..., None] * between.cos(), (self._share[..., None] * between.sin())[self.turning]
        kernel = torch.einsum("kts,kio->tosi", cosines.to(v), self.real)
        kernel = kernel - torch.einsum("kts,kio->tosi", sines.to(v), self.imaginary)
        size = v.shape[0] * v.shape[1]
        return v + (kernel.reshape(size, size) @ v.reshape(size, -1)).view_as(v)


def lead_embedding(lead: Tensor, width: int) -> Tensor:
    """(…, width) sines and cosines of lead times (…) in units of the normalization's time, at frequencies in geometric steps."""
    half = width // 2
    steps = torch.arange(half, dtype=lead.dtype, device=lead.device) / max(half - 1, 1)
    phase = lead[..., None] * FASTEST * (SLOWEST / FASTEST) ** steps
    return torch.cat([phase.sin(), phase.cos()], dim=-1)

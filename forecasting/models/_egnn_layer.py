"""One layer of EGNN."""

import torch
from torch import Tensor, nn
from torch.autograd.forward_ad import unpack_dual

from forecasting.models._edges import EdgeLayout
from forecasting.models._egnn_equations import LayerWeights, plain_update
from forecasting.models._egnn_gradient import EGNNUpdate

_SMALL = 1e-3  # gain of what should start near 0


class EGNNLayer(nn.Module):
    """One round of messages.

    With h_i node features, x_i position, v_ic vectors (velocities first), a_ij edge invariants::

        m_ij  = φ_e(h_i, h_j, |x_i − x_j|², a_ij)
        Δ_io  = Σ_c φ_v(h_i)_oc v_ic + 1/deg(i) Σ_j (x_i − x_j) φ_x(m_ij)_o
        h_i  += φ_h(h_i, Σ_j m_ij)

    With one vector and one output, x_i + Δ_i is the published update with v the initial velocity. The published program also
    clamps each term of the coordinate sum to ±100 per coordinate, which breaks rotations and is not part of the equations.
    φ have one hidden layer, φ_e also SiLU after its second. A product of an edge with h_i or h_j is taken once per node.

    Args:
        hidden: width F of h and m; edges: width of a; vectors: channels of v; outputs: o, displacements per node.
        bounded: differences are divided by 1 + their length (an option of the published program), squared distances enter as
            log(1 + d²), and φ_v starts near 0, as φ_x does; so far nodes do not make the layers blow up, and training starts
            from the forecast that the network corrects.
        last: nothing reads h after this layer, so there is no φ_h.
    """

    def __init__(self, hidden: int, edges: int, vectors: int, outputs: int, bounded: bool, last: bool) -> None:
        super().__init__()
        self.bounded = bounded
        message, own, update = 2 * hidden + 1 + edges, hidden, 2 * hidden
        slots, square = ([message, message, own], []) if last else ([message, message, own, update], [update, hidden])
        self.nodes = nn.Parameter(torch.cat([_uniform(fan, hidden, hidden) for fan in slots]))
        self.matrices = nn.Parameter(torch.stack([_uniform(fan, hidden, hidden) for fan in (hidden, hidden, *square)]))
        self.biases = nn.Parameter(torch.stack([_uniform(fan, hidden) for fan in (*slots[1:], hidden, hidden, *square[1:])]))
        self.pair = nn.Parameter(_uniform(message, hidden, 1 + edges))
        self.coordinate_net = nn.Parameter(nn.init.xavier_uniform_(torch.empty(outputs, hidden), gain=_SMALL))
        push = (outputs * vectors, hidden)
        self.push = nn.Parameter(nn.init.xavier_uniform_(torch.empty(push), gain=_SMALL) if bounded else _uniform(hidden, *push))
        self.push_bias = nn.Parameter(torch.zeros(push[0]) if bounded else _uniform(hidden, push[0]))

    def forward(self, h: Tensor, x: Tensor, vectors: Tensor, edges: Tensor, layout: EdgeLayout) -> tuple[Tensor | None, Tensor]:
        """Send messages, and update the nodes.

        Args:
            h: (N, F); x: (N, 3); vectors: (N, C, 3); edges: (E, width); layout: of the edges.

        Returns:
            (N, F) new h, None of a last layer, and (N, O, 3) Δ.
        """
        update = plain_update if _needs_plain(h, x, vectors) else EGNNUpdate.apply
        out: tuple[Tensor | None, Tensor] = update(h, x, vectors, edges, layout, self.bounded, *self.weights())
        return out

    def weights(self) -> LayerWeights:
        """All weights."""
        return LayerWeights(self.nodes, self.matrices, self.biases, self.pair, self.coordinate_net, self.push, self.push_bias)


def _needs_plain(*values: Tensor) -> bool:
    """Whether more than an ordinary gradient is asked for: a compiler, mixed precision, torch.func or forward mode is at work."""
    return (
        torch.compiler.is_compiling()
        or torch.is_autocast_enabled(values[0].device.type)
        or torch._C._are_functorch_transforms_active()
        or any(unpack_dual(value).tangent is not None for value in values)  # type: ignore[no-untyped-call]
    )


def _uniform(fan_in: int, *shape: int) -> Tensor:
    """What a linear layer of `fan_in` inputs starts from."""
    return (torch.rand(shape) * 2 - 1) * fan_in**-0.5

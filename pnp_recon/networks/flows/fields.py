"""Vector fields for vectors (…, d), each with what is proven of it.

The slopes of an activation lie in [0, 1], which is what the constants rest on; the same
activations serve convolutions, whose field is in `blocks`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pnp_recon.networks.flows.facts import Facts, gradient

# Elementwise, monotone, slopes in [0, 1].
SLOPES: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "leaky_relu": lambda z: F.leaky_relu(z, 0.1),
    "clip": F.hardtanh,
    "tanh": torch.tanh,
    "identity": lambda z: z,
}
# Relative allowance for the rounding of a singular value of a small matrix in float64.
ROUNDING = 1e-12


def matrix_norm_bound(weight: Tensor) -> float:
    """Proven upper bound of ‖W‖₂ in float64: the singular value plus its backward error.

    Raises:
        ValueError: not a finite matrix.
    """
    if weight.dim() != 2 or not bool(torch.isfinite(weight).all()):
        raise ValueError("expected a finite matrix")
    w = weight.detach().to("cpu", torch.float64)
    if not bool(w.any()):
        return 0.0
    size = ROUNDING * (1 + max(w.shape))
    # The error of a singular value is a multiple of the rounding unit times the Frobenius norm.
    return float(torch.linalg.matrix_norm(w, 2)) + size * float(torch.linalg.matrix_norm(w))


class Field(nn.Module, ABC):
    """A vector field x ↦ f(x) on vectors (…, d)."""

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor: ...

    @abstractmethod
    def facts(self) -> Facts:
        """What is proven of it for the weights held now."""

    def smoothness(self) -> Tensor | None:
        """L, differentiable, an estimate for training; None where no such number is known."""
        return None


class _Layer(Field):
    def __init__(self, dimension: int, hidden: int, activation: str) -> None:
        super().__init__()
        if activation not in SLOPES:
            raise ValueError(f"unknown activation {activation!r}; known: {', '.join(SLOPES)}")
        self.weight = nn.Parameter(torch.randn(hidden, dimension) / math.sqrt(dimension))
        self.bias = nn.Parameter(torch.zeros(hidden))
        self.activation = activation

    def act(self, x: Tensor) -> Tensor:
        return SLOPES[self.activation](F.linear(x, self.weight, self.bias))


class GradientField(_Layer):
    """f(x) = −Wᵀσ(Wx + b) − μx, the negative gradient of a convex function.

    With slopes of σ in [0, 1] it is (‖W‖² + μ)-smooth and μ-strongly convex (Celledoni et al.
    2021; Sherry et al. 2024).

    Args:
        dimension: d.
        hidden: rows of W, d where None.
        activation: a name of `SLOPES`.
        convexity: μ ≥ 0.
    """

    def __init__(
        self,
        dimension: int,
        hidden: int | None = None,
        activation: str = "relu",
        convexity: float = 0.0,
    ) -> None:
        super().__init__(dimension, hidden or dimension, activation)
        if convexity < 0:
            raise ValueError(f"convexity is {convexity}; expected at least 0")
        self.convexity = convexity

    def forward(self, x: Tensor) -> Tensor:
        return -F.linear(self.act(x), self.weight.T) - self.convexity * x

    def smoothness(self) -> Tensor:
        return torch.linalg.matrix_norm(self.weight, 2) ** 2 + self.convexity

    def facts(self) -> Facts:
        bound = matrix_norm_bound(self.weight) ** 2 * (1 + ROUNDING) + self.convexity
        return gradient(bound, self.convexity, "−∇ of a convex Σψ(Wx + b) + μ‖x‖²/2, ψ'' in [0, 1]")


class LayerField(_Layer):
    """f(x) = σ(Kx + b), the field of a residual network: ‖K‖-Lipschitz, and no more is proven.

    Source: Haber & Ruthotto 2017; E 2017.
    """

    def __init__(self, dimension: int, activation: str = "tanh") -> None:
        super().__init__(dimension, dimension, activation)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(x)

    def facts(self) -> Facts:
        norm = matrix_norm_bound(self.weight)
        return Facts(lipschitz=norm, one_sided=norm, source="σ(Kx + b), slopes in [0, 1]")

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
from torch.nn.utils import parametrizations

from pnp_recon.networks.flows.facts import Facts, gradient
from pnp_recon.networks.flows.matrices import ROUNDING, layer_one_sided, matrix_norm_bound

# Elementwise, monotone, slopes in [0, 1].
SLOPES: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "leaky_relu": lambda z: F.leaky_relu(z, 0.1),
    "clip": F.hardtanh,
    "tanh": torch.tanh,
    "identity": lambda z: z,
}


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


class OrthogonalField(GradientField):
    """A `GradientField` with a square orthogonal W (Cayley transform), so that L = 1 + μ.

    Near the step 2/L an Euler step with ReLU is x − 2Wᵀmax(Wx + b, 0): a reflection of the
    coordinates of Wx that are positive, which keeps the length of every gradient. What is proven
    rests on W as it is, and not on its being orthogonal.

    Args:
        dimension, activation, convexity: see `GradientField`.
    """

    def __init__(self, dimension: int, activation: str = "relu", convexity: float = 0.0) -> None:
        super().__init__(dimension, dimension, activation, convexity)
        nn.init.orthogonal_(self.weight)
        parametrizations.orthogonal(self, "weight", orthogonal_map="cayley")

    def smoothness(self) -> Tensor:
        return torch.ones((), dtype=self.bias.dtype, device=self.bias.device) + self.convexity


class LayerField(_Layer):
    """f(x) = σ(Kx + b), the field of a residual network: ‖K‖-Lipschitz, ν as `layer_one_sided`.

    Source: Haber & Ruthotto 2017; E 2017.
    """

    def __init__(self, dimension: int, activation: str = "tanh") -> None:
        super().__init__(dimension, dimension, activation)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(x)

    def facts(self) -> Facts:
        norm, one_sided = matrix_norm_bound(self.weight), layer_one_sided(self.weight)
        return Facts(norm, one_sided, source="σ(Kx + b), slopes in [0, 1]")


class AntisymmetricField(_Layer):
    """f(x) = σ((S − Sᵀ − γI)x + b), by which ‖x‖ was hoped to be kept (Chang et al. 2019).

    Eigenvalues of D(S − Sᵀ) lie on the imaginary axis, but that is no bound of a solution:
    explicit Euler grows by √(1 + h²λ²) a step for the linear one, and γ > 0 does not make ν ≤ 0
    (`matrices.layer_one_sided`).

    Args:
        dimension: d.
        activation: a name of `SLOPES`.
        damping: γ ≥ 0.
    """

    def __init__(self, dimension: int, activation: str = "tanh", damping: float = 0.0) -> None:
        super().__init__(dimension, dimension, activation)
        if damping < 0:
            raise ValueError(f"damping is {damping}; expected at least 0")
        self.damping = damping

    def matrix(self) -> Tensor:
        """S − Sᵀ − γI."""
        eye = torch.eye(len(self.weight), dtype=self.weight.dtype, device=self.weight.device)
        return self.weight - self.weight.T - self.damping * eye

    def forward(self, x: Tensor) -> Tensor:
        return SLOPES[self.activation](F.linear(x, self.matrix(), self.bias))

    def facts(self) -> Facts:
        a = self.matrix().detach().double()
        source = "σ(Ax + b), A skew up to −γI, slopes in [0, 1]"
        return Facts(matrix_norm_bound(a), layer_one_sided(a), source=source)

"""Fields of two halves x = (q, p), each moved by a function of the other: q̇ = v(p), ṗ = g(q).

Explicit steps of `splitting` are made of shears, so that they have an inverse and keep the volume
whatever v and g are. Where both are gradients, H(q, p) = T(p) + V(q), the flow is Hamiltonian and
the steps are symplectic: the Jacobian J has JᵀΩJ = Ω, hence a largest singular value of at least 1,
and gradients through any number of layers do not vanish.
"""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pnp_recon.networks.flows.facts import Facts
from pnp_recon.networks.flows.fields import SLOPES, Field
from pnp_recon.networks.flows.matrices import ROUNDING, matrix_norm_bound


class SeparableField(Field):
    """f(q, p) = (v(p), g(q)) on vectors (…, d), q their first d − d//2 entries."""

    @abstractmethod
    def velocity(self, p: Tensor) -> Tensor:
        """v: vectors (…, d//2) to (…, d − d//2)."""

    @abstractmethod
    def force(self, q: Tensor) -> Tensor:
        """g: vectors (…, d − d//2) to (…, d//2)."""

    def forward(self, x: Tensor) -> Tensor:
        q, p = halves(x)
        return torch.cat([self.velocity(p), self.force(q)], -1)


def halves(x: Tensor) -> tuple[Tensor, Tensor]:
    """(q, p), p the last d//2 entries."""
    count = x.shape[-1] - x.shape[-1] // 2
    return x[..., :count], x[..., count:]


class SymplecticField(SeparableField):
    """q̇ = Aᵀdiag(u)σ(Ap + a), ṗ = −Bᵀdiag(v)σ(Bq + b): Hamiltonian.

    H = Σ uᵢψ((Ap + a)ᵢ) + Σ vᵢψ((Bq + b)ᵢ) with ψ' = σ. A symplectic Euler step is the symplectic
    network of Jin et al. 2020; u = v = 1, kept, the Hamiltonian network of Chang et al. 2018.

    Args:
        dimension: even.
        hidden: rows of A and B, dimension/2 where None.
        activation: a name of `SLOPES`.
        scaled: u and v are learned; else they are 1.

    Raises:
        ValueError: an odd dimension, or an unknown activation.
    """

    def __init__(
        self,
        dimension: int,
        hidden: int | None = None,
        activation: str = "tanh",
        scaled: bool = True,
    ) -> None:
        super().__init__()
        half = _half(dimension)
        self.activation = _known(activation)
        hidden = hidden or half
        self.first, self.second = _weight(hidden, half), _weight(hidden, half)
        self.first_bias = nn.Parameter(torch.zeros(hidden))
        self.second_bias = nn.Parameter(torch.zeros(hidden))
        self.first_scale = nn.Parameter(torch.ones(hidden), requires_grad=scaled)
        self.second_scale = nn.Parameter(torch.ones(hidden), requires_grad=scaled)

    def velocity(self, p: Tensor) -> Tensor:
        act = SLOPES[self.activation](F.linear(p, self.first, self.first_bias))
        return F.linear(self.first_scale * act, self.first.T)

    def force(self, q: Tensor) -> Tensor:
        act = SLOPES[self.activation](F.linear(q, self.second, self.second_bias))
        return -F.linear(self.second_scale * act, self.second.T)

    def facts(self) -> Facts:
        parts = ((self.first, self.first_scale), (self.second, self.second_scale))
        v, g = (
            matrix_norm_bound(w) ** 2 * float(u.detach().abs().max()) * (1 + ROUNDING)
            for w, u in parts
        )
        return _separable(v, g, "gradients of T(p) and −V(q), slopes in [0, 1]", hamiltonian=True)


class SecondOrderField(SeparableField):
    """q̈ = −Aᵀσ(Aq + b), as q̇ = p, ṗ = −Aᵀσ(Aq + b): Hamiltonian, V convex.

    Source: Ruthotto & Haber 2020, hyperbolic networks.

    Args:
        dimension: even, that of (q, p).
        hidden: rows of A, dimension/2 where None.
        activation: a name of `SLOPES`.
    """

    def __init__(self, dimension: int, hidden: int | None = None, activation: str = "tanh") -> None:
        super().__init__()
        half = _half(dimension)
        self.activation = _known(activation)
        self.weight = _weight(hidden or half, half)
        self.bias = nn.Parameter(torch.zeros(hidden or half))

    def velocity(self, p: Tensor) -> Tensor:
        return p

    def force(self, q: Tensor) -> Tensor:
        return -F.linear(
            SLOPES[self.activation](F.linear(q, self.weight, self.bias)), self.weight.T
        )

    def facts(self) -> Facts:
        g = matrix_norm_bound(self.weight) ** 2 * (1 + ROUNDING)
        return _separable(1.0, g, "q̈ = −∇V(q), slopes in [0, 1]", hamiltonian=True)


class ShearField(SeparableField):
    """q̇ = σ(Ap + a), ṗ = σ(Bq + b): it keeps the volume, and nothing else.

    With `tied` B = −Aᵀ, the network of Haber & Ruthotto 2017, (ż, ẇ) = σ([0 A; −Aᵀ 0](z, w) + b).
    That matrix is skew, but the field is not Hamiltonian in general.

    Args:
        dimension: d ≥ 2; q has d − d//2 entries.
        activation: a name of `SLOPES`.
        tied: B = −Aᵀ.
    """

    def __init__(self, dimension: int, activation: str = "tanh", tied: bool = False) -> None:
        super().__init__()
        if dimension < 2:
            raise ValueError(f"dimension is {dimension}; expected at least 2, to split it")
        low, self.activation = dimension // 2, _known(activation)
        high = dimension - low
        self.first = _weight(high, low)
        self.second = None if tied else _weight(low, high)
        self.first_bias = nn.Parameter(torch.zeros(high))
        self.second_bias = nn.Parameter(torch.zeros(low))

    def matrices(self) -> tuple[Tensor, Tensor]:
        """A and B."""
        return self.first, -self.first.T if self.second is None else self.second

    def velocity(self, p: Tensor) -> Tensor:
        return SLOPES[self.activation](F.linear(p, self.matrices()[0], self.first_bias))

    def force(self, q: Tensor) -> Tensor:
        return SLOPES[self.activation](F.linear(q, self.matrices()[1], self.second_bias))

    def facts(self) -> Facts:
        v, g = (matrix_norm_bound(matrix) for matrix in self.matrices())
        return _separable(v, g, "layers of the other half, slopes in [0, 1]")


def _separable(v: float, g: float, source: str, hamiltonian: bool = False) -> Facts:
    # ‖(v(p), g(q)) − …‖ ≤ max(v, g)‖Δx‖, and ⟨Δf, Δx⟩ ≤ (v + g)‖Δq‖‖Δp‖.
    one_sided = (v + g) / 2 * (1 + ROUNDING)
    return Facts(max(v, g), one_sided, source=source, halves=(v, g), hamiltonian=hamiltonian)


def _half(dimension: int) -> int:
    if dimension < 2 or dimension % 2:
        raise ValueError(f"dimension is {dimension}; expected an even one, for (q, p)")
    return dimension // 2


def _known(activation: str) -> str:
    if activation not in SLOPES:
        raise ValueError(f"unknown activation {activation!r}; known: {', '.join(SLOPES)}")
    return activation


def _weight(rows: int, columns: int) -> nn.Parameter:
    return nn.Parameter(nn.init.normal_(torch.empty(rows, columns), std=1 / math.sqrt(columns)))

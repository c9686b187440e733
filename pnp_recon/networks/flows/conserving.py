"""Fields that keep a function of the state: a sum, a length, an energy.

f(x) = S(x)g(x) with S(x) skew keeps every function whose gradient is g, since gᵀSg = 0: g = 1 gives
the sum of the entries (mass), g = x the length, g = ∇H an energy. Integrators say which of them a
step keeps: a sum every Runge–Kutta method, a length those with BA + AᵀB = bbᵀ, an energy a discrete
gradient.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

from pnp_recon.errors import InputError
from pnp_recon.networks.flows.facts import NORM, RODS, SUM, Facts
from pnp_recon.networks.flows.fields import SLOPES, Field
from pnp_recon.networks.flows.matrices import ROUNDING


class _SkewField(Field):
    """A skew S(x) from a small network: its entries above the diagonal."""

    def __init__(self, dimension: int, hidden: int = 16, activation: str = "tanh") -> None:
        super().__init__()
        if dimension < 2:
            raise ValueError(f"dimension is {dimension}; expected at least 2")
        if activation not in SLOPES:
            raise ValueError(f"unknown activation {activation!r}; known: {', '.join(SLOPES)}")
        self.activation = activation
        self.inner = nn.Linear(dimension, hidden)
        self.outer = nn.Linear(hidden, dimension * (dimension - 1) // 2)
        rows, columns = torch.triu_indices(dimension, dimension, 1)
        self.register_buffer("rows", rows)
        self.register_buffer("columns", columns)
        self.dimension = dimension

    rows: Tensor
    columns: Tensor

    def skew(self, x: Tensor) -> Tensor:
        """S(x), (…, d, d)."""
        entries = self.outer(SLOPES[self.activation](self.inner(x)))
        # By matrices, so that derivatives of any kind go through.
        eye = torch.eye(self.dimension, dtype=entries.dtype, device=entries.device)
        upper = torch.einsum("...k,ki,kj->...ij", entries, eye[self.rows], eye[self.columns])
        return upper - upper.mT


class MassField(_SkewField):
    """f(x) = S(x)·1, S skew: the sum of the entries stays.

    The rate Sᵢⱼ is what goes from entry j to entry i, as in compartment models (SIR).

    Args:
        dimension, hidden: d, and the width of the network behind S.
        activation: a name of `SLOPES`.
    """

    def forward(self, x: Tensor) -> Tensor:
        return self.skew(x).sum(-1)

    def facts(self) -> Facts:
        return Facts(
            source="S(x)·1, S skew: of its size nothing is proven", linear=frozenset({SUM})
        )


class NormField(_SkewField):
    """f(x) = S(x)x, S skew: the length stays.

    Args:
        dimension, hidden: d, and the width of the network behind S.
        activation: a name of `SLOPES`.
    """

    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum("...ij,...j->...i", self.skew(x), x)

    def facts(self) -> Facts:
        source = "S(x)x, S skew: of its size nothing is proven"
        return Facts(source=source, quadratic=frozenset({NORM}))


class TransportField(Field):
    """f(x)ᵢ = Σₖ wₖ(x_{i+k} − x_{i−k}), circular: linear and skew, as advection is.

    It keeps sum and length. ν = 0, and ℓ ≤ 2Σ|wₖ|.

    Args:
        reach: how many neighbours on each side.
    """

    def __init__(self, reach: int = 1) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(reach))

    def forward(self, x: Tensor) -> Tensor:
        pairs = [x.roll(-k, -1) - x.roll(k, -1) for k in range(1, len(self.weights) + 1)]
        return torch.einsum("k,k...->...", self.weights, torch.stack(pairs))

    def facts(self) -> Facts:
        size = 2 * float(self.weights.detach().double().abs().sum()) * (1 + ROUNDING)
        return Facts(size, 0.0, source="skew circulant", linear=frozenset({SUM}),
                     quadratic=frozenset({NORM}))  # fmt: skip


class EnergyField(Field):
    """f(x) = S(x)∇H(x) with a skew matrix S."""

    @abstractmethod
    def energy(self, x: Tensor) -> Tensor:
        """H: vectors (…, d) to numbers (…)."""

    @abstractmethod
    def structure(self, x: Tensor) -> Tensor:
        """S, (d, d), or (…, d, d) where it depends on x; in dtype and device of x."""

    def slope(self, x: Tensor) -> Tensor:
        """∇H, (…, d)."""
        flat = x.reshape(-1, x.shape[-1])
        return torch.func.vmap(torch.func.grad(self.energy))(flat).view_as(x)

    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum("...ij,...j->...i", self.structure(x), self.slope(x))


class HamiltonianField(EnergyField):
    """f = (∂H/∂p, −∂H/∂q) of any differentiable function H of (q, p).

    Args:
        energy: H, vectors (…, d) to numbers (…), d even; a module's parameters are learned.
        degree: H is a polynomial of at most this degree, which is declared; None: unknown.
    """

    def __init__(self, energy: Callable[[Tensor], Tensor], degree: int | None = None) -> None:
        super().__init__()
        self.function, self.degree = energy, degree

    def energy(self, x: Tensor) -> Tensor:
        return self.function(x)

    def structure(self, x: Tensor) -> Tensor:
        return canonical(x.shape[-1]).to(x)

    def facts(self) -> Facts:
        source = "S∇H: of its size nothing is proven"
        return Facts(source=source, hamiltonian=True, energy=True, degree=self.degree)


class RodField(EnergyField):
    """Rods that turn in a plane, each about the end of another: pendulums of any number of joints.

    x = (u₁ … u_k, p₁ … p_k) with uᵢ = (cos θᵢ, sin θᵢ) and the momenta pᵢ of the angles θᵢ:
    u̇ᵢ = ∂H/∂pᵢ·Juᵢ, ṗᵢ = −⟨∂H/∂uᵢ, Juᵢ⟩, J the turn by 90°. Every |uᵢ| stays, whatever H is. A step
    at the midpoint turns uᵢ by a Cayley transform, so that it stays there, too.

    Args:
        energy: H, vectors (…, 3k) to numbers (…); a module's parameters are learned.
    """

    def __init__(self, energy: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = energy

    def energy(self, x: Tensor) -> Tensor:
        return self.function(x)

    def structure(self, x: Tensor) -> Tensor:
        count, rest = divmod(x.shape[-1], 3)
        if rest:
            raise InputError(f"found {x.shape[-1]} numbers a state; expected three for each rod")
        u = x[..., : 2 * count].unflatten(-1, (count, 2))
        turned = torch.stack([-u[..., 1], u[..., 0]], -1)
        eye = torch.eye(count, dtype=x.dtype, device=x.device)
        upper = torch.einsum("...ic,ij->...icj", turned, eye).flatten(-3, -2)
        rows = torch.cat([upper.new_zeros(*upper.shape[:-1], 2 * count), upper], -1)
        below = torch.cat([-upper.mT, upper.new_zeros(*upper.shape[:-2], count, count)], -1)
        return torch.cat([rows, below], -2)

    def facts(self) -> Facts:
        source = "S(x)∇H: of its size nothing is proven"
        kept = frozenset({RODS})
        return Facts(source=source, quadratic=kept, casimirs=kept, energy=True)


def canonical(dimension: int) -> Tensor:
    """Ω = [0 I; −I 0], float64 (d, d).

    Raises:
        ValueError: an odd dimension.
    """
    if dimension % 2:
        raise ValueError(f"dimension is {dimension}; expected an even one, for (q, p)")
    eye = torch.eye(dimension // 2, dtype=torch.float64)
    zero = torch.zeros_like(eye)
    return torch.cat([torch.cat([zero, eye], 1), torch.cat([-eye, zero], 1)])

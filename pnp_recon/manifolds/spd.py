"""Sym⁺(n), symmetric positive definite matrices, with the affine-invariant metric.

⟨X, Y⟩_A = tr(A⁻¹XA⁻¹Y) is kept by A ↦ BABᵀ for every invertible B. With A = LLᵀ and the
eigenvalues w, vectors U of L⁻¹BL⁻ᵀ, geodesics and logarithms are LU f(w) (LU)ᵀ, and
d(A, B)² = Σ log² w. It is a Hadamard manifold: complete, simply connected, of sectional curvature
in [−½, 0] (Bhatia 2007, ch. 6; Pennec, Fillard & Ayache 2006).
"""

from __future__ import annotations

import torch
from torch import Tensor

from pnp_recon.errors import InputError
from pnp_recon.manifolds.base import Manifold
from pnp_recon.solvers.core.theorem import Premise

# Of two such matrices L⁻¹BL⁻ᵀ has a condition up to 1e8, and float64 gives its logarithm to 1e-8.
CONDITION = 1e4


class PositiveDefinite(Manifold):
    """Points (..., n, n), tangent vectors (..., n, n), symmetric."""

    name = "Sym⁺"
    point_axes = tangent_axes = 2

    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        frame, w = _relative(x, v)
        return _symmetric(frame, w.exp())

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        frame, w = _relative(x, y)
        return _symmetric(frame, w.log())

    def logs(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        # In the frame LU, x is 1 and y is diag(w): the logarithm at y is −w log w.
        frame, w = _relative(x, y)
        there, back = _symmetric(frame, w.log()), _symmetric(frame, -w * w.log())
        return there, back, w.log().norm(dim=-1)

    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        return torch.linalg.eigvalsh(_whitened(x, y)[1]).log().norm(dim=-1)

    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        factor, white = _whitened(x, u)
        return (white * _inside(factor, v)).sum((-2, -1))

    def shaped(self, shape: tuple[int, ...]) -> bool:
        return len(shape) >= 2 and shape[-1] == shape[-2]

    def off(self, x: Tensor) -> Tensor:
        size = x.abs().amax((-2, -1))
        skew = (x - x.mT).abs().amax((-2, -1)) / size
        if not bool(skew.isfinite().all()):
            return torch.where(skew.isfinite(), skew, torch.inf)
        w = torch.linalg.eigvalsh(x)
        return torch.where(w[..., 0] > 0, skew, torch.inf)

    def require(self, x: Tensor, name: str = "y") -> None:
        super().require(x, name)
        if not x.numel():
            return
        w = torch.linalg.eigvalsh(x)
        worst = float((w[..., -1] / w[..., 0]).max())
        if not worst <= CONDITION:
            raise InputError(
                f"{name} has tensors of condition {worst:.3g}; expected at most {CONDITION:g}, so "
                "that logarithms keep eight digits: raise the least eigenvalues"
            )

    def convexity(self, y: Tensor) -> Premise | str:
        words = "Sym⁺ with the affine-invariant metric is a Hadamard manifold (Bhatia 2007, ch. 6)"
        return Premise(words)


def log_euclidean(x: Tensor) -> Tensor:
    """Matrix logarithms (..., n, n): the flat coordinates of Arsigny et al. (2006)."""
    w, frame = torch.linalg.eigh(x)
    return _symmetric(frame, w.log())


def exp_euclidean(x: Tensor) -> Tensor:
    """Matrix exponentials of symmetric matrices (..., n, n)."""
    w, frame = torch.linalg.eigh(x)
    return _symmetric(frame, w.exp())


def _inside(factor: Tensor, v: Tensor) -> Tensor:
    """L⁻¹vL⁻ᵀ."""
    half = torch.linalg.solve_triangular(factor, v, upper=False)
    return torch.linalg.solve_triangular(factor, half.mT, upper=False)


def _whitened(x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """L and L⁻¹vL⁻ᵀ with x = LLᵀ."""
    factor = torch.linalg.cholesky(x)
    return factor, _inside(factor, v)


def _relative(x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """The frame LU and the eigenvalues w, with v = LU diag(w) (LU)ᵀ and x = LU (LU)ᵀ."""
    factor, white = _whitened(x, v)
    w, rotation = torch.linalg.eigh((white + white.mT) / 2)
    return factor @ rotation, w


def _symmetric(frame: Tensor, w: Tensor) -> Tensor:
    """F diag(w) Fᵀ, symmetric to the last bit."""
    made = (frame * w[..., None, :]) @ frame.mT
    return (made + made.mT) / 2

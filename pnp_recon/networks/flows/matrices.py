"""Constants of σ(Ax + b) and its like from the matrix, proven in float64."""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor

# Relative allowance for the rounding of an eigenvalue or singular value of a small matrix.
ROUNDING = 1e-12
# Rows up to which all 2ⁿ patterns of slopes are tried.
CORNERS = 12


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


def layer_one_sided(weight: Tensor) -> float:
    """Upper bound of ν for x ↦ σ(Ax + b), slopes of σ in [0, 1]: sup over D of λ_max(sym(DA)).

    D is diagonal with entries in [0, 1]. The largest eigenvalue is convex in D, so that up to 12
    rows all corners decide; beyond, Gershgorin's discs bound it: rows of ½ max(|aᵢⱼ|, |aⱼᵢ|,
    |aᵢⱼ + aⱼᵢ|), for a skew A half its largest row sum. Never above ‖A‖.

    Args:
        weight: A, square (n, n).

    Raises:
        ValueError: not a finite square matrix.
    """
    if weight.dim() != 2 or weight.shape[0] != weight.shape[1]:
        raise ValueError(f"expected a square matrix, found the shape {tuple(weight.shape)}")
    a = weight.detach().to("cpu", torch.float64)
    norm = matrix_norm_bound(a)
    if len(a) > CORNERS:
        return min(_discs(a), norm)
    corners = torch.tensor(list(product((0.0, 1.0), repeat=len(a))), dtype=torch.float64)
    scaled = corners[:, :, None] * a
    found = float(torch.linalg.eigvalsh((scaled + scaled.mT) / 2)[:, -1].max())
    return min(max(found, 0.0) + ROUNDING * len(a) * (1 + norm), norm)


def _discs(a: Tensor) -> float:
    pairs = torch.stack([a.abs(), a.T.abs(), (a + a.T).abs()]).amax(0) / 2
    rows = pairs.sum(1) - pairs.diagonal() + a.diagonal().clamp_min(0)
    return float(rows.max()) * (1 + ROUNDING * len(a))

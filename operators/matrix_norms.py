"""Proven bounds of the norm of a matrix whose entries are there.

Everything is computed in float64 with an allowance for its rounding, and rounded up. Products of
matrices are sums of products, in whatever order (Higham 2002, Accuracy and Stability of Numerical
Algorithms, §3.5): an entry of n terms is off by n ε/(1 − n ε) times what the absolute values give.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from operators.norms import EPS, NormBound, round_down, round_up

# Up to so many rows or columns, whichever are fewer, a Gram matrix is squared: seconds.
LARGEST_GRAM = 1024
# Entries of a matrix that is written out for it.
LARGEST_DENSE = 25_000_000
SQUARINGS = 9


def schur_bound(matrix: Tensor) -> NormBound:
    """‖M‖ ≤ √(‖M‖₁‖M‖_∞), the largest sums of absolute values of a column and of a row.

    Schur 1911; Horn & Johnson 2013, Matrix Analysis, section 5.6. `matrix` (m, n) is dense or
    sparse, float64.
    """
    rows, columns = absolute_sums(matrix)
    terms = sum(matrix.shape)
    largest = float(rows.max()) * float(columns.max()) if min(matrix.shape) else 0.0
    widened = largest * (1 + 2 * (terms + 8) * EPS)
    return NormBound(
        round_up(math.sqrt(widened)),
        0.0,
        "root of the largest absolute column sum times the largest absolute row sum",
        "Schur 1911; Horn & Johnson 2013, Matrix Analysis, section 5.6",
    )


def absolute_sums(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Sums of the absolute values of rows (m,) and of columns (n,)."""
    size = absolute(matrix)
    if size.layout == torch.strided:
        return size.sum(1), size.sum(0)
    one = [torch.ones(n, 1, dtype=size.dtype, device=size.device) for n in size.shape]
    coo = size.to_sparse_coo()
    return torch.mv(size, one[1][:, 0]), torch.mv(coo.t().to_sparse_csr(), one[0][:, 0])


def absolute(matrix: Tensor) -> Tensor:
    """|M| entry by entry, in the layout of M."""
    if matrix.layout == torch.strided:
        return matrix.abs()
    return torch.sparse_csr_tensor(
        matrix.crow_indices(), matrix.col_indices(), matrix.values().abs(), matrix.shape
    )


def gram_bound(matrix: Tensor) -> NormBound | None:
    """‖M‖² = λ_max(G) ≤ ‖G^p‖_F^(1/p) for the smaller Gram matrix G of M, p = 2⁹.

    It is too large by a factor of n^(1/2p) for λ at most, 0.4 % of the norm for n = 1000. None for
    a matrix that is too large to be squared.

    With T_0 = G/c_0 and T_{k+1} = T_k²/c_{k+1} the computed P_k has ‖T_k − P_k‖ ≤ e_k, where
    e_{k+1} = (e_k (2‖P_k‖ + e_k) + γ_n ‖P_k‖_F²)/c_{k+1} and a rounding; c_{k+1} is the Frobenius
    norm of the square, so that all numbers stay near 1.
    """
    n, inner = min(matrix.shape), max(matrix.shape)
    if not 0 < n <= LARGEST_GRAM or n * inner > LARGEST_DENSE:
        return None
    wide = matrix if matrix.layout == torch.strided else matrix.to_dense()
    wide = wide if wide.shape[0] == n else wide.T
    gram = wide @ wide.T
    size = float(torch.linalg.matrix_norm(wide)) ** 2  # ‖|M|‖_F² bounds ‖|M||M|ᵀ‖_F
    scale = float(torch.linalg.matrix_norm(gram))
    if not (0 < scale < math.inf and size < math.inf):
        return None
    p, slack = gram / scale, 4.0 * (n + 8) * EPS  # of a Frobenius norm and of a division
    error = (2 * inner + 8) * EPS * size / scale + slack
    logarithm, power = math.log(scale), 1.0
    for _ in range(SQUARINGS):
        square = p @ p
        norm = float(torch.linalg.matrix_norm(square))
        error = (error * (2 + 2 * slack + error) + (2 * n + 8) * EPS * (1 + slack)) / norm + slack
        p, power = square / norm, power / 2
        logarithm += power * math.log(norm)
    # λ(T_last) ≤ ‖T_last‖_F ≤ 1 + slack + e; each scale is exact, as it defines T.
    logarithm += power * math.log1p(slack + error)
    value = math.exp(logarithm / 2) * (1 + 64 * EPS * (1 + abs(logarithm)))
    # ‖T‖_F ≤ √n λ(T), and what is left of 0.1 % is far more than all roundings.
    lower = 0.999 * value * n ** (-power / 2) if error < 0.1 else 0.0
    return NormBound(
        round_up(value),
        round_down(lower),
        f"root of the Frobenius norm of the Gram matrix to the power {2**SQUARINGS}",
        "Horn & Johnson 2013, Matrix Analysis, section 5.6 (spectral radius and norms of powers)",
    )

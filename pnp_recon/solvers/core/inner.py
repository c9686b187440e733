"""Tolerances of inner solves: summable over a run, down to what rounding leaves."""

from __future__ import annotations

import math

import torch
from torch import Tensor

# First tolerance of an inner solve relative to ‖z‖; it falls like 1/(k+1)², hence is summable.
INNER_TOLERANCE = 1e-3
# Share of the last residual that an error may have, which falls like 1/(k+1)^1.1.
RELATIVE, RELATIVE_EXPONENT = 0.1, 1.1
# What conjugate gradients can reach in the precision at hand, in machine epsilons.
INNER_FLOOR_UNITS = 8.0
# Iteration number whose inner tolerance the returned picture is solved to: the floor.
LAST = 10_000


def inner_tolerance(z: Tensor, iteration: int, floor: float = 0.0) -> float:
    """Absolute tolerance of an inner solve: falls like 1/k², hence is summable, down to a floor.

    The floor is that of rounding, or `floor` (relative to ‖z‖) if that is higher.
    """
    least = max(floor, INNER_FLOOR_UNITS * torch.finfo(z.dtype).eps)
    size = math.sqrt(z[0].numel()) / 2  # a typical norm of a picture, no synchronisation
    return max(INNER_TOLERANCE / (iteration + 1) ** 2, least) * size


def relative_tolerance(residual: Tensor, iteration: int) -> Tensor:
    """Absolute tolerance (B,) of an inner solve from the last residual (B,) of the iteration.

    Far from a fixed point an error of this size does no harm. Errors e_k ≤ c_k r_{k−1} with Σ c_k
    finite have a finite sum: r_k ≤ 2‖z_k − z*‖ ≤ 2(‖z₀ − z*‖ + Σ_{j<k} e_j) + e_k, and Gronwall's
    lemma bounds that. So the theorems of summable errors cover it (Combettes 2004, Thm 3.1).
    """
    return RELATIVE * residual / (iteration + 1) ** RELATIVE_EXPONENT

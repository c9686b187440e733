"""Conjugate gradients for pictures, without a look at a number: capturable in a CUDA graph."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


@torch.no_grad()
def solve(H: Callable[[Tensor], Tensor], b: Tensor, iterations: int) -> Tensor:
    """About H⁻¹ b for a symmetric positive definite H; each picture of the batch by itself."""
    v, r, p = torch.zeros_like(b), b, b
    size = r.square().sum((1, 2, 3), keepdim=True)
    for _ in range(iterations):
        Hp = H(p)
        step = size / ((p * Hp).sum((1, 2, 3), keepdim=True) + 1e-20) * (size > 0)
        v, r = v + step * p, r - step * Hp
        new = r.square().sum((1, 2, 3), keepdim=True)
        p, size = r + new / (size + 1e-20) * p, new
    return v

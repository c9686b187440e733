"""Conjugate gradients for a batch of images, each with its own coefficients."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from operators.values import values_like

# Reading a residual makes the host wait for the device; a few iterations too many cost less.
CHECK_EVERY = 5


def per_image(values: Tensor, like: Tensor) -> Tensor:
    """Values (B,) or (1,) shaped so that they multiply tensors (B, ...)."""
    return values.reshape(-1, *(1,) * (like.ndim - 1))


def image_dots(a: Tensor, b: Tensor) -> Tensor:
    """Inner product of each image with its partner, (B,)."""
    return (a * b).flatten(1).sum(1)


def image_norms(a: Tensor) -> Tensor:
    """Euclidean norm of each image, (B,)."""
    return torch.linalg.vector_norm(a.flatten(1), dim=1)


def conjugate_gradient(
    apply: Callable[[Tensor], Tensor],
    b: Tensor,
    x0: Tensor,
    *,
    tol: float | Tensor,
    max_iter: int,
    precondition: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Solve apply(x) = b for a symmetric positive semi-definite map, image by image.

    Hestenes & Stiefel (1952). An image whose residual has reached `tol` (absolute, Euclidean, a
    number or (B,)) is frozen while the others go on. From x0 = 0 and b in the range the limit is
    the solution of smallest norm. The residual of the recurrence decides when to stop; whoever
    needs the true one computes it from the result. `precondition` is symmetric positive definite
    and close to the inverse of `apply`: it saves iterations and does not move the solution.
    """
    threshold = values_like(tol, b) ** 2
    x = x0
    r = b - apply(x)
    q = r if precondition is None else precondition(r)
    p = q
    rho, size = image_dots(r, q), image_dots(r, r)
    for iteration in range(max_iter):
        active = size > threshold
        if iteration % CHECK_EVERY == 0 and not bool(active.any()):
            break
        q = apply(p)
        curvature = image_dots(p, q)
        active = active & (curvature > 0)  # zero curvature: p lies in the kernel, nothing to gain
        one = torch.ones_like(rho)
        alpha = torch.where(active, rho / torch.where(active, curvature, one), 0 * one)
        x = x + per_image(alpha, x) * p
        r = r - per_image(alpha, r) * q
        q = r if precondition is None else precondition(r)
        rho_next = image_dots(r, q)
        beta = torch.where(active, rho_next / torch.where(active, rho, one), 0 * one)
        p = q + per_image(beta, p) * p
        rho = torch.where(active, rho_next, rho)
        size = torch.where(active, image_dots(r, r), size)
    return x

"""Conjugate gradients for a batch of images, each with its own coefficients."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from operators.deadlines import expired
from operators.errors import OperatorError
from operators.progress import tell
from operators.values import values_like

# Reading a residual makes the host wait for a device; a few iterations too many cost less. On the
# CPU there is nothing to wait for.
CHECK_EVERY = {"cpu": 1}
CHECK_EVERY_ELSEWHERE = 5
# The residual is computed afresh every so many iterations.
AFRESH_EVERY = 20
# Below so many roundings of ‖b‖ + ‖M‖‖x‖ a residual is noise (Greenbaum 1997, SIAM J. Matrix
# Anal. Appl. 18, "Estimating the attainable accuracy of recursively computed residual methods").
ROUNDINGS = 2.0
# Far below rounding: a cosine of r and Pr that no positive definite P has.
INDEFINITE = -1e-3


def per_image(values: Tensor, like: Tensor) -> Tensor:
    """Values (B,) or (1,) shaped so that they multiply tensors (B, ...)."""
    return values.reshape(-1, *(1,) * (like.ndim - 1))


def image_dots(a: Tensor, b: Tensor) -> Tensor:
    """Inner product of each image with its partner, (B,)."""
    return (a * b).flatten(1).sum(1)


def image_norms(a: Tensor) -> Tensor:
    """Euclidean norm of each image, (B,)."""
    return torch.linalg.vector_norm(a.flatten(1), dim=1)


def best_factor(a: Tensor, b: Tensor) -> Tensor:
    """The t (B,) with the least ‖ta − b‖ for each image; 1 where a is zero."""
    size = image_norms(a)
    inner = image_dots(a, b) / size.clamp_min(torch.finfo(a.dtype).tiny) / size
    return torch.where(size > 0, inner, 1.0)


def conjugate_gradient(
    apply: Callable[[Tensor], Tensor],
    b: Tensor,
    x0: Tensor,
    *,
    tol: float | Tensor,
    max_iter: int,
    precondition: Callable[[Tensor], Tensor] | None = None,
    eps: float | None = None,
) -> Tensor:
    """Solve apply(x) = b for a symmetric positive semi-definite map, image by image.

    Hestenes & Stiefel (1952). An image whose residual has reached `tol` (absolute, Euclidean, a
    number or (B,)) is frozen while the others go on. From x0 = 0 and b in the range the limit is
    the solution of smallest norm. The residual of the recurrence decides when to stop; whoever
    needs the true one computes it from the result. `precondition` is symmetric positive definite
    and close to the inverse of `apply`: it saves iterations and does not move the solution.

    It also stops where the arithmetic of `apply`, with rounding `eps` (default: that of b), allows
    no more: at a residual of a few eps (‖b‖ + ‖M‖‖x‖), with the largest Rayleigh quotient met for
    ‖M‖; where the true residual, looked at now and then, has come to rest while the recurrence
    runs ahead of it; and at a `deadlines.deadline`.

    Raises:
        OperatorError: `precondition` is seen not to be positive definite (looked for on the CPU).
    """
    eps = torch.finfo(b.dtype).eps if eps is None else eps
    goal = values_like(tol, b).expand(len(b))
    data = image_norms(b)
    x = x0
    every = CHECK_EVERY.get(b.device.type, CHECK_EVERY_ELSEWHERE)
    # From zero the residual is known, where looking costs nothing.
    r = b if every == 1 and not bool(x0.any()) else b - apply(x)
    q = r if precondition is None else precondition(r)
    p = q
    rho, size = image_dots(r, q), image_dots(r, r)
    largest, last = torch.zeros_like(rho), torch.full_like(rho, torch.inf)
    resting = torch.zeros_like(rho, dtype=torch.bool)
    for iteration in range(max_iter):
        if iteration % every == 0:
            tell(f"data, inner step {iteration}")
            if iteration and iteration % AFRESH_EVERY == 0:
                true = image_norms(b - apply(x))
                resting = resting | ((true > 0.5 * last) & (true > 2 * size.sqrt()))
                last = true
            noise = ROUNDINGS * eps * (data + largest * image_norms(x))
            threshold = torch.maximum(goal, noise) ** 2
            if not bool(((size > threshold) & ~resting).any()):
                break
        if every == 1 and bool((rho < INDEFINITE * size.sqrt() * image_norms(q)).any()):
            raise OperatorError(
                "the preconditioner of conjugate gradients is not positive definite: <r, Pr> is "
                f"{float(rho.min()):.2g}; give one that is, or None"
            )
        if expired():
            break
        active = (size > threshold) & ~resting
        q = apply(p)
        curvature = image_dots(p, q)
        active = active & (curvature > 0)  # zero curvature: p lies in the kernel, nothing to gain
        one = torch.ones_like(rho)
        if iteration % every == 0:
            quotient = curvature / torch.where(active, image_dots(p, p), one)
            largest = torch.where(active, torch.maximum(largest, quotient), largest)
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

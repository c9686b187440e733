"""The Wasserstein-1 distance through 1-Lipschitz functions (Kantorovich & Rubinstein 1958).

For probability measures P and Q, W₁(P, Q) = sup E_P f − E_Q f over 1-Lipschitz f: whatever proven
1-Lipschitz critic is taken, its value never exceeds W₁. Between two points the distance to one of
them attains it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pnp_recon.errors import InputError


def wasserstein_bound(
    critic: Callable[[Tensor], Tensor],
    first: Tensor,
    second: Tensor,
    constant: float = 1.0,
    first_weights: Tensor | None = None,
    second_weights: Tensor | None = None,
) -> Tensor:
    """(E_P f − E_Q f)/L, at most W₁(P, Q) for an L-Lipschitz f; differentiable.

    Args:
        critic: f, points (n, d) to values (n,) or (n, 1).
        first, second: the points of P (n, d) and of Q (m, d).
        constant: a proven L > 0.
        first_weights, second_weights: probabilities (n,) and (m,); equal ones where None.

    Raises:
        InputError: a constant that is not positive, or weights that do not sum to one.
    """
    if not 0 < constant < float("inf"):
        raise InputError(f"the critic's constant is {constant}; expected a positive number")
    p, q = (
        _probabilities(points, weights)
        for points, weights in ((first, first_weights), (second, second_weights))
    )
    gain = (p * critic(first).reshape(-1)).sum() - (q * critic(second).reshape(-1)).sum()
    return gain / constant


def distance_critic(points: Tensor) -> Callable[[Tensor], Tensor]:
    """f(x) = −min over the points of ‖x − pᵢ‖, 1-Lipschitz; exact where P is one point.

    Args:
        points: those of P, (n, d).
    """

    def critic(x: Tensor) -> Tensor:
        return -torch.cdist(x, points).amin(1)

    return critic


def _probabilities(points: Tensor, weights: Tensor | None) -> Tensor:
    if weights is None:
        return points.new_full((len(points),), 1 / len(points))
    low, total = float(weights.min()), float(weights.sum())
    if weights.shape != points.shape[:1] or low < 0 or abs(total - 1) > 1e-6:
        raise InputError(
            f"weights of the shape {tuple(weights.shape)} from {low:g} that sum to {total:g}; "
            f"expected {len(points)} of at least 0 that sum to 1"
        )
    return weights.to(points)

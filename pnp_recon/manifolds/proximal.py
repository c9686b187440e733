"""Proximal maps of the two terms of a variation, and cyclic sweeps of them.

Both run along geodesics, by closed forms (Weinmann, Demaret & Storath 2014). On a Hadamard
manifold they are firmly nonexpansive, and sweeps with steps λ_k, Σλ_k = ∞, Σλ_k² < ∞, converge to
a minimiser (Bačák 2014, cyclic order; the space is locally compact, and the terms are Lipschitz on
the ball around the data that no sweep leaves). That gives no rate, and descent is faster; but the
bar of `denoising` holds at every point, that of a sweep as well.
"""

from __future__ import annotations

from torch import Tensor

from pnp_recon.manifolds.base import Manifold
from pnp_recon.manifolds.variation import Variation


def towards(space: Manifold, x: Tensor, y: Tensor, step: float) -> Tensor:
    """Proximal map of step·½d(·, y)² at x (..., *point)."""
    return space.geodesic(x, y, step / (1 + step))


def together(
    space: Manifold, x: Tensor, z: Tensor, step: float, knee: float
) -> tuple[Tensor, Tensor]:
    """Proximal map of step·h(d(·, ·)) at the pair (x, z), each (..., *point).

    Both move by s along their geodesic, to the minimum of step·h(d − 2s) + s².
    """
    ahead, back, found = space.logs(x, z)
    s = (step * found / (knee + 2 * step)).clamp_max(step)
    share = s / found.clamp_min(1e-300)
    return space.exp(x, space.scaled(ahead, share)), space.exp(z, space.scaled(back, share))


def sweep(energy: Variation, x: Tensor, step: float) -> Tensor:
    """One cycle: the data, then neighbours at even and at odd places, of rows and of columns."""
    x = towards(energy.space, x, energy.y, step)
    weight = step * energy.strength
    for axis in (1, 0):
        for begin in (0, 1):
            end = begin + (x.shape[axis] - begin) // 2 * 2
            first, second = (
                (slice(None),) * axis + (slice(start, end, 2),) for start in (begin, begin + 1)
            )
            moved = together(energy.space, x[first], x[second], weight, energy.knee)
            x = x.clone()
            x[first], x[second] = moved
    return x


def swept(energy: Variation, x: Tensor, sweeps: int, first: float = 1.0) -> Tensor:
    """Sweeps with the steps first/k, k = 1, 2, ..."""
    for k in range(1, sweeps + 1):
        x = sweep(energy, x, first / k)
    return x

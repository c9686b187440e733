"""The maps of plug-and-play iterations as pure functions: solvers iterate them, training
differentiates them.

`prox` takes z and gives prox_{γf}(z) with a bound (B,) of its error; `denoise` is any map of
pictures. Each function gives the next z and a bound of its error, if `denoise` is 1-Lipschitz.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

Prox = Callable[[Tensor], tuple[Tensor, Tensor]]
Denoise = Callable[[Tensor], Tensor]


def into_box(x: Tensor) -> Tensor:
    """Projection onto [0, 1]; ±inf becomes NaN (x − x), so that clamping hides no divergence."""
    return x.clamp(0, 1) + (x - x)


def hqs(
    prox: Prox, denoise: Denoise, z: Tensor, project: Denoise = into_box
) -> tuple[Tensor, Tensor]:
    """P D prox_{γf}(z), P the projection onto the box [0, 1] or a part of it; z is the picture."""
    x, error = prox(z)
    return project(denoise(x)), error


def drs(prox: Prox, denoise: Denoise, z: Tensor, relaxation: float) -> tuple[Tensor, Tensor]:
    """(1−λ)z + λ·P D(2 prox_{γf}(z) − z); the picture of z is prox_{γf}(z)."""
    x, error = prox(z)
    reflected = into_box(denoise(2 * x - z))
    # The reflection doubles the inner error, the 1-Lipschitz P∘D keeps it.
    return z + relaxation * (reflected - z), 2 * relaxation * error

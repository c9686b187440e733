"""`reconstruct(y, A, denoiser, ...)`: the one function that commands and benchmark both call."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from operators.base import LinearOperator
from pnp_recon.denoisers import Denoiser
from pnp_recon.solvers import Look, Solution, Stopping


def reconstruct(
    y: Tensor,
    A: LinearOperator,
    denoiser: Denoiser | str = "auto",
    *,
    noise_level: float | None = None,
    solver: str = "auto",
    strength: float = 1.0,
    step: float | None = None,
    gamma: float | None = None,
    denoiser_level: float | None = None,
    relaxation: float | None = None,
    stopping: Stopping | None = None,
    allow_uncertified: bool = False,
    start: Tensor | None = None,
    reference: Tensor | None = None,
    callback: Callable[[Look], None] | None = None,
) -> Solution:
    """Placeholder signature; the body follows."""
    raise NotImplementedError

"""`reconstruct(y, A, denoiser, ...)`: the one function that commands and benchmark both call."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from operators.base import LinearOperator
from pnp_recon.defaults import automatic
from pnp_recon.denoisers import Denoiser
from pnp_recon.errors import InputError
from pnp_recon.fidelity import LeastSquares
from pnp_recon.noise import estimate_noise_level
from pnp_recon.solvers import (
    PLUG_AND_PLAY,
    Look,
    Plugged,
    PnPDRS,
    PnPHQS,
    PnPPGD,
    Solution,
    Solver,
    Stopping,
    iterate,
)
from pnp_recon.weights import AUTO, load_denoiser


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
    denoiser_scaling: float = 1.0,
    relaxation: float | None = None,
    stopping: Stopping | None = None,
    allow_uncertified: bool = False,
    start: Tensor | None = None,
    reference: Tensor | None = None,
    callback: Callable[[Look], None] | None = None,
) -> Solution:
    """Reconstructs pictures from y = A x + noise, with a certificate.

    Args:
        y: measurements (B, C, h, w), pictures in [0, 1].
        A: forward operator; see `operators.from_deepinv` for deepinv's.
        denoiser: a `Denoiser`, the name or path of a model, or "auto" (the shipped model for
            the picture's channels).
        noise_level: standard deviation of the noise in y on the [0, 1] scale; estimated where
            it is None.
        solver: a name from `PLUG_AND_PLAY`, or "auto".
        strength: multiplies the weight of the denoiser against the data (1: tuned choice). For
            PnP-PGD, whose coupling the theorem ties to the step, it multiplies the level.
        step: PnP-PGD only: step size τ in (0, 2/‖A‖²).
        gamma: PnP-HQS and PnP-DRS: coupling γ > 0; overrides `strength`.
        denoiser_level: level at which the denoiser runs, [0, 1] scale.
        denoiser_scaling: c of D_c(x) = D(cx)/c.
        relaxation: λ; see the solver.
        stopping: tolerance and limits.
        allow_uncertified: run outside the theorem's range, and say so in the certificate.
        start: (B, C, H, W); default: `A.initial_guess(y)`.
        reference: the true picture; adds the PSNR to the history.
        callback: called at every look with a `Look`.

    Returns:
        The `Solution`; its certificate says what was proven and what was observed.

    Raises:
        InputError: arguments that do not fit together.
        StepSizeError: parameters outside the proven range, unless allowed.
    """
    if not strength > 0:
        raise InputError(f"strength must be positive, found {strength}")
    if noise_level is None:
        noise_level = estimate_noise_level(y)
    with torch.no_grad():
        start = A.initial_guess(y) if start is None else start
    if isinstance(denoiser, str):
        name = AUTO.get(start.shape[1], AUTO[1]) if denoiser == "auto" else denoiser
        denoiser = load_denoiser(name, device=str(y.device), dtype=y.dtype)
    choice = automatic(noise_level, solver)
    if choice.solver not in PLUG_AND_PLAY:
        raise InputError(f"unknown solver {solver!r}; known: auto, {', '.join(PLUG_AND_PLAY)}")
    is_pgd = choice.solver == PnPPGD.name
    if is_pgd and gamma is not None:
        raise InputError("gamma belongs to pnp-drs and pnp-hqs; pnp-pgd takes step")
    if not is_pgd and step is not None:
        raise InputError(f"step belongs to pnp-pgd; {choice.solver} takes gamma or strength")
    if gamma is not None and not gamma > 0:
        raise InputError(f"gamma must be positive, found {gamma}")
    if denoiser_level is None:
        low, high = denoiser.sigma_range
        level = min(max(choice.level * (strength if is_pgd else 1.0), low), high)
    else:
        level = denoiser_level
    fidelity = LeastSquares(A, y)
    plugged = Plugged(denoiser, level, denoiser_scaling)
    weight = choice.relaxation if relaxation is None else relaxation
    shared = (fidelity, plugged, weight, start, allow_uncertified)
    chosen: Solver
    if is_pgd:
        chosen = PnPPGD(*shared, choice.coupling / fidelity.lipschitz if step is None else step)
    else:
        splitting = PnPHQS if choice.solver == PnPHQS.name else PnPDRS
        chosen = splitting(*shared, choice.coupling / strength if gamma is None else gamma)
    return iterate(chosen, stopping, reference=reference, callback=callback)

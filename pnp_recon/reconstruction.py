"""`reconstruct(y, A, prior, ...)`: the one function that commands and benchmark both call.

It fills in what was not given and builds the solver; the loop is `solvers.iterate`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor

from operators.base import LinearOperator
from pnp_recon.errors import InputError
from pnp_recon.estimation.noise import estimate_noise_level
from pnp_recon.fidelity import Fidelity, LeastSquares
from pnp_recon.models.load import load_prior
from pnp_recon.priors.denoiser import Denoiser
from pnp_recon.priors.unrolled import LearnedReconstruction
from pnp_recon.proximal import Regulariser, TotalVariation
from pnp_recon.solvers import (
    ACCELERATIONS,
    RED,
    SOLVERS,
    Anderson,
    Look,
    Plugged,
    PnPFISTA,
    PnPPGD,
    Solution,
    Solver,
    Stopping,
    Wrapped,
    iterate,
    refuse_settings,
    run_learned,
    variational_solver,
)
from pnp_recon.solvers.catalogue import solvers_for
from pnp_recon.solvers.tuning import automatic, total_variation_weight

Prior = Denoiser | Regulariser | LearnedReconstruction | str
# Priors that are no model's name.
WORDS = ("auto", "tv")

ALGEBRAIC, VARIATIONAL = solvers_for("none"), solvers_for("functional")
DENOISING = solvers_for("denoiser")
# Solvers whose coupling γ to the data is free; the others of the family take a step size.
COUPLED = ("pnp-hqs", "pnp-drs")
# Steps in units of 1/L, of a range (0, 2/L).
LANDWEBER_STEP, RED_STEP = 1.9, 1.9


def reconstruct(
    y: Tensor,
    A: LinearOperator,
    prior: Prior = "auto",
    *,
    fidelity: Fidelity | None = None,
    noise_level: float | None = None,
    solver: str = "auto",
    acceleration: str = "auto",
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
        y: measurements (B, *A.measurement_shape) of pictures in [0, 1].
        A: forward operator; see `operators.from_deepinv` for deepinv's.
        prior: what is known of pictures. A `Denoiser`; the name or path of a model, or the name of
            a classical denoiser ("nlm"); "auto" (the
            shipped model for the picture's channels, or none for `solver` "landweber", "sirt" or
            "cgls"); a `Regulariser`; "tv": total variation with an automatic weight, vectorial
            for three channels; a `LearnedReconstruction`, or the name or path of one: then the
            network reconstructs, no solver runs, and none of the settings below but `noise_level`,
            `allow_uncertified`, `reference` and `callback` may be given.
        fidelity: how misfit is measured, made of the same y and A; None: least squares.
        noise_level: standard deviation of the noise in y, in the units of y; estimated where it
            is None. With a `fidelity` of your own the data count as scaled to noise of level 1.
        solver: a name from `SOLVERS`, or "auto": pnp-hqs for denoisers, `automatic_name` for
            regularisers (pdhg for functionals of a gradient, FISTA or drs for others).
        acceleration: "none", a name from `ACCELERATIONS`, or "auto": Anderson's where a denoiser
            makes the iterated map averaged, none elsewhere. Safeguarded, the theorem stays.
        strength: multiplies the weight of the prior against the data (1: tuned choice). For
            PnP-PGD, whose coupling the theorem ties to the step, it multiplies the level.
        step: step size of the solvers that take one; inside the proven range by default.
        gamma: coupling γ > 0 of splitting methods; overrides `strength`.
        denoiser_level: level at which the denoiser runs, [0, 1] scale.
        denoiser_scaling: c of D_c(x) = D(cx)/c.
        relaxation: λ; see the solver.
        stopping: tolerance and limits.
        allow_uncertified: run outside the theorem's range, and say so in the certificate.
        start: (B, C, H, W); default: `A.initial_guess(y)`, zero for `ALGEBRAIC` solvers.
        reference: the true picture; adds the PSNR to the history.
        callback: called at every look with a `Look`.

    Returns:
        The `Solution`; its certificate says what was proven and what was observed.

    Raises:
        InputError: arguments that do not fit together.
        StepSizeError: parameters outside the proven range, unless allowed.
    """
    if isinstance(prior, str) and prior not in WORDS:
        like = y if start is None else start
        prior = load_prior(prior, A.image_shape[0], device=str(like.device), dtype=like.dtype)
    if isinstance(prior, LearnedReconstruction):
        refuse_settings(
            prior,
            fidelity=fidelity is not None,
            solver=solver != "auto",
            acceleration=acceleration != "auto",
            strength=strength != 1,
            step=step is not None,
            gamma=gamma is not None,
            denoiser_level=denoiser_level is not None,
            denoiser_scaling=denoiser_scaling != 1,
            relaxation=relaxation is not None,
            stopping=stopping is not None,
            start=start is not None,
        )
        return run_learned(prior, y, A, reference=reference, callback=callback)
    if not strength > 0:
        raise InputError(f"strength must be positive, found {strength}")
    if gamma is not None and not gamma > 0:
        raise InputError(f"gamma must be positive, found {gamma}")
    if solver != "auto" and solver not in SOLVERS:
        raise InputError(f"unknown solver {solver!r}; known: auto, {', '.join(SOLVERS)}")
    with torch.no_grad():
        if start is None:
            # The classical iterations start from nothing: an early stop is their regularisation.
            empty = solver in ALGEBRAIC
            start = y.new_zeros(y.shape[0], *A.image_shape) if empty else A.initial_guess(y)
    problem = _Problem(
        LeastSquares(A, y) if fidelity is None else fidelity,
        start,
        noise_level if fidelity is None else 1.0,
        strength,
        allow_uncertified,
    )
    chosen = _solver(
        problem,
        _prior(prior, solver, problem),
        solver,
        _Knobs(step, gamma, relaxation, denoiser_level, denoiser_scaling),
    )
    wrapper = _wrapper(acceleration, chosen)
    if wrapper is not None:
        chosen = wrapper(chosen)
    return iterate(chosen, stopping, reference=reference, callback=callback)


def _wrapper(acceleration: str, solver: Solver) -> type[Wrapped] | None:
    if acceleration == "auto":
        plain = solver.name in DENOISING and not isinstance(solver, Wrapped)
        return Anderson if plain and solver.check().guarantee.is_averaged else None
    if acceleration == "none":
        return None
    if acceleration not in ACCELERATIONS:
        known = ", ".join(ACCELERATIONS)
        raise InputError(f"unknown acceleration {acceleration!r}; known: auto, none, {known}")
    wrapper: type[Wrapped] = ACCELERATIONS[acceleration].load()
    return wrapper


@dataclass(frozen=True)
class _Knobs:
    """What the caller sets of the solver; None: the default."""

    step: float | None
    gamma: float | None
    relaxation: float | None
    level: float | None
    scaling: float


@dataclass
class _Problem:
    """What every family of solvers is built from."""

    fidelity: Fidelity
    start: Tensor
    given_noise: float | None
    strength: float
    allow_uncertified: bool

    @property
    def noise_level(self) -> float:
        if self.given_noise is None:
            self.given_noise = estimate_noise_level(self.fidelity.y)
        return self.given_noise

    @property
    def scale(self) -> float:
        return _scale(self.fidelity)


def total_variation(fidelity: Fidelity, noise_level: float) -> TotalVariation:
    """The prior "tv": a weight that fits the noise, vectorial for three channels.

    Args:
        fidelity: what it is weighed against.
        noise_level: of the data, in their units; 1 where the fidelity divides by it.
    """
    weight = total_variation_weight(noise_level, _scale(fidelity))
    colour = fidelity.A.image_shape[0] == 3
    return TotalVariation(weight, "vectorial" if colour else "isotropic", box=(0.0, 1.0))


def _scale(fidelity: Fidelity) -> float:
    """√L of the fidelity, ‖A‖ for least squares; 1 where none is proven."""
    smoothness = fidelity.lipschitz if fidelity.A.has_norm_bound else 1.0
    return math.sqrt(smoothness) if 0 < smoothness < math.inf else 1.0


def _prior(
    prior: Denoiser | Regulariser | str, solver: str, problem: _Problem
) -> Denoiser | Regulariser | None:
    """The prior as an object; None for solvers that know none."""
    if solver in ALGEBRAIC:
        if isinstance(prior, str) and prior == "auto":
            return None
        raise InputError(f"solver {solver} has no prior; leave the prior out, or take another")
    if not isinstance(prior, str):
        return prior
    if prior == "tv" or (prior == "auto" and solver in VARIATIONAL):
        found = total_variation(problem.fidelity, problem.noise_level)
        return replace(found, weight=problem.strength * found.weight)
    start = problem.start
    device = str(start.device)
    return cast(Denoiser, load_prior(prior, start.shape[1], device=device, dtype=start.dtype))


def _solver(
    problem: _Problem,
    prior: Denoiser | Regulariser | None,
    name: str,
    knobs: _Knobs,
) -> Solver:
    if isinstance(prior, Denoiser):
        if name in VARIATIONAL or name in ALGEBRAIC:
            known = ", ".join(DENOISING)
            raise InputError(f"solver {name} takes no denoiser; a denoiser goes into {known}")
        return _denoising(problem, prior, name, knobs)
    if name in DENOISING:
        raise InputError(f"solver {name} takes a denoiser; found {prior}")
    if prior is None:
        given = {"step_size": knobs.step, "relaxation": knobs.relaxation}
        chosen = {key: value for key, value in given.items() if value is not None}
        if name == "landweber":
            chosen.setdefault("step_size", LANDWEBER_STEP / problem.scale**2)
        try:
            found: Solver = SOLVERS[name].load()(problem.fidelity, problem.start, **chosen)
            return found
        except TypeError:
            raise InputError(f"solver {name} does not take {', '.join(chosen)}") from None
    return _variational(problem, prior, name, knobs)


def _denoising(problem: _Problem, denoiser: Denoiser, solver: str, knobs: _Knobs) -> Solver:
    base = {"red": "pnp-hqs", "pnp-fista": "pnp-pgd"}.get(solver, solver)
    choice = automatic(problem.noise_level, base, problem.scale)
    name = choice.solver if solver == "auto" else solver
    coupled = choice.solver in COUPLED
    if name not in COUPLED and knobs.gamma is not None:
        raise InputError(f"gamma belongs to {' and '.join(COUPLED)}; {name} takes step")
    if name in COUPLED and knobs.step is not None:
        raise InputError(f"step belongs to pnp-pgd; {name} takes gamma or strength")
    level = knobs.level
    if level is None:
        low, high = denoiser.sigma_range
        level = min(max(choice.level * (1.0 if coupled else problem.strength), low), high)
    shared = (
        problem.fidelity,
        Plugged(denoiser, level, knobs.scaling),
        choice.relaxation if knobs.relaxation is None else knobs.relaxation,
        problem.start,
        problem.allow_uncertified,
    )
    coupling = choice.coupling / problem.strength if knobs.gamma is None else knobs.gamma
    if name in COUPLED:
        splitting: Solver = SOLVERS[name].load()(*shared, coupling)
        return splitting
    if name == "red":
        # w(I − D_s) is about w s² times the gradient of the log-density: w = 1/γ as in pnp-hqs.
        smoothness = problem.scale**2 + 2 / coupling
        return RED(*shared, knobs.step or RED_STEP / smoothness, 1 / coupling)
    step = choice.coupling / problem.scale**2 if knobs.step is None else knobs.step
    descent = PnPPGD(*shared, step)
    return PnPFISTA(descent) if name == "pnp-fista" else descent


def _variational(problem: _Problem, prior: Regulariser, solver: str, knobs: _Knobs) -> Solver:
    return variational_solver(
        solver,
        problem.fidelity,
        prior,
        problem.start,
        step=knobs.step,
        gamma=knobs.gamma,
        relaxation=knobs.relaxation,
        allow_uncertified=problem.allow_uncertified,
    )

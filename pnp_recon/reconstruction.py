"""`reconstruct(y, A, prior, ...)`: the one function that commands and benchmark both call.

It fills in what was not given, in three steps: which prior, which solver, how it runs. What a
solver makes of the settings is its own (`configure`); the loop is `solvers.iterate`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from torch import Tensor

from pnp_recon.errors import CertificateError, InputError, StepSizeError
from pnp_recon.fidelity import Fidelity
from pnp_recon.priors.denoiser import Denoiser
from pnp_recon.priors.energies.base import LearnedEnergy
from pnp_recon.priors.unrolled import LearnedReconstruction
from pnp_recon.problems.brought import taken_array, taken_operator
from pnp_recon.problems.numbers import checked_flag
from pnp_recon.problems.problem import Problem
from pnp_recon.proximal import Regulariser
from pnp_recon.solvers.catalogue import SOLVERS
from pnp_recon.solvers.choice import accelerated, configured
from pnp_recon.solvers.core.loop import iterate
from pnp_recon.solvers.core.solution import Look, Solution
from pnp_recon.solvers.core.solver import Solver
from pnp_recon.solvers.core.stopping import Stopping
from pnp_recon.solvers.core.strength import Strength, Trial
from pnp_recon.solvers.core.unsettled import UnsettledWarning, unsettled
from pnp_recon.solvers.in_time import in_time, levels
from pnp_recon.solvers.knobs import Knobs
from pnp_recon.solvers.priors import (
    WORDS,
    Prior,
    box_of,
    loaded,
    resolve,
    taken_prior,
    total_variation,
)
from pnp_recon.solvers.unrolled import refuse_settings, run_learned
from pnp_recon.strength.rule import weighing_of
from pnp_recon.strength.search import automatic, heeded
from pnp_recon.strength.window import window

# Callers find the choice of the prior here as well.
__all__ = ["WORDS", "Prior", "reconstruct", "resolve", "total_variation"]


def reconstruct(
    y: Tensor | np.ndarray,
    A: Any,
    prior: Prior | Callable[..., Any] = "auto",
    *,
    fidelity: Fidelity | None = None,
    noise_level: float | Tensor | np.ndarray | None = None,
    solver: str = "auto",
    acceleration: str = "auto",
    strength: float | Literal["auto"] | None = None,
    step: float | None = None,
    gamma: float | None = None,
    denoiser_level: float | None = None,
    denoiser_scaling: float | None = None,
    relaxation: float | None = None,
    coupling: float | None = None,
    continuation: float | None = None,
    ridge: float | None = None,
    keep_total: bool = False,
    stopping: Stopping | None = None,
    allow_uncertified: bool = False,
    require_certificate: bool = False,
    start: Tensor | np.ndarray | None = None,
    reference: Tensor | np.ndarray | None = None,
    callback: Callable[[Look], None] | None = None,
    on_trial: Callable[[Trial], None] | None = None,
) -> Solution:
    """Reconstructs pictures from y = A x + noise, with a certificate.

    Args:
        y: measurements (B, *A.measurement_shape) of pictures in [0, 1], finite, in float32 or
            float64, which is the precision of the run; a tensor, or an array of NumPy, as `start`
            and `reference` may be.
        A: forward operator; a linear physics of deepinv or an operator of pylops with `dims` is
            taken by `from_deepinv` or `from_scipy`, with nothing declared.
        prior: what is known of pictures. A `Denoiser`, or a module or function of a picture and a
            noise level, of which nothing is known (see `wrap`); the name or path of a model, or the
            name of a classical denoiser ("nlm"); "auto" (the
            shipped model for the picture's channels, or none for `solver` "landweber", "sirt" or
            "cgls"); a `Regulariser`; "tv": total variation with an automatic weight, vectorial
            for three channels; a `LearnedReconstruction`, or the name or path of one: then the
            network reconstructs, no solver runs, and none of the settings below but `noise_level`,
            `allow_uncertified`, `reference` and `callback` may be given.
        fidelity: how misfit is measured, made of the same y and A; None: least squares.
        noise_level: standard deviation of the noise in y, in the units of y; estimated where it
            is None. With a `fidelity` of your own the data count as scaled to noise of level 1.
            One for each datum, shaped like y, is for `Stopping(least_error=True)` alone.
        solver: a name from `solvers.catalogue`, or "auto": pnp-hqs for denoisers, for regularisers
            pdhg for functionals of a gradient, FISTA or drs for others.
        acceleration: "none", a name from `solvers.catalogue`, or "auto": Anderson's where a
            denoiser makes the iterated map averaged, none elsewhere. Safeguarded, the theorem
            stays.
        strength: multiplies the weight of the prior against the data (1: the tuned choice, by the
            noise level alone). For PnP-PGD, whose coupling the theorem ties to the step, it
            multiplies the level. "auto": chosen from the data by a few trials before the run
            (`pnp_recon.strength`), one number for all pictures of y; the run is then that of this
            number, bit for bit. None: "auto", but 1 for a `Regulariser`, which has its weight.
        step: step size of the solvers that take one; inside the proven range by default.
        gamma: coupling γ > 0 of splitting methods; overrides `strength`.
        denoiser_level: level at which the denoiser runs, [0, 1] scale.
        denoiser_scaling: c of D_c(x) = D(cx)/c.
        relaxation: λ; see the solver.
        coupling: c of γ = c·(denoiser_level/noise_level)²/strength for pnp-hqs and pnp-drs, so that
            the coupling follows a `denoiser_level` of yours and `strength` still counts.
        continuation: level at which the continuation begins with which a descent starts, [0, 1]
            scale. Lower than by default it keeps more of a good `start`.
        ridge: weight of ridge/2·‖x − ½‖² that is added to the fidelity, in its units. The iterated
            map is then a contraction for every operator: one fixed point, a linear rate and an
            error bar; docs/theory.md tells its price. None: no ridge.
        keep_total: the picture explains the total of the data exactly, Σ A x = Σ y, channel by
            channel where each has data of its own: the mean grey value of a blurred picture, the
            mass of a scan. The certificate says so, and whether the picture does. For
            energies, and denoisers in pnp-hqs, pnp-pgd, pnp-fista or red; docs/hamiltonian.md tells
            its worth.
        stopping: tolerance and limits.
        allow_uncertified: run outside the theorem's range, and say so in the certificate.
        require_certificate: refuse before the first step what no theorem covers, and afterwards
            a run that broke a law of its theorem.
        start: (B, C, H, W); default: `A.initial_guess(y)`, zero for solvers without a prior.
        reference: the true picture; adds the PSNR to the history.
        callback: called at every look with a `Look`.
        on_trial: called after every trial of an automatic strength with a `Trial`.

    Returns:
        The `Solution`; its certificate says what was proven and what was observed, its `strength`
        what was chosen and why.

    Raises:
        InputError: arguments that do not fit together, see `Problem.check`; data in another range
            than the pictures of the prior; counts that no picture explains.
        StepSizeError: parameters outside the proven range, unless allowed.
        OperatorError: an operator of your own whose maps give what they must not.
        CertificateError: a certificate was required and cannot be given.
        KeyboardInterrupt: Ctrl-C while the strength is chosen; later it returns what there is.

    Warns:
        UnsettledWarning: nothing is proven of the iteration, and it did not come to rest.
    """
    entry = None if solver == "auto" else SOLVERS.find(solver, "auto")
    prior = taken_prior(prior)
    if not (stopping is None or isinstance(stopping, Stopping)):
        raise InputError(
            f"stopping is a {type(stopping).__name__}; expected Stopping(tol=..., max_iter=...)"
        )
    checked_flag("keep_total", keep_total)
    checked_flag("allow_uncertified", allow_uncertified)
    checked_flag("require_certificate", require_certificate)
    asked = _strength(strength, prior)
    fixed = 1.0 if asked == "auto" else asked
    knobs = Knobs(
        fixed,
        step,
        gamma,
        relaxation,
        denoiser_level,
        denoiser_scaling,
        allow_uncertified,
        continuation,
        coupling,
        keep_total or None,
    )
    data = taken_array("y", y)
    operator = taken_operator(A, data)
    begin, truth = taken_array("start", start), taken_array("reference", reference)
    level, shares = levels(taken_array("noise_level", noise_level), data, stopping)
    problem = Problem(operator, data, level, truth, begin, fidelity, ridge)
    problem.check_operator()
    if isinstance(prior, str) and prior not in WORDS:
        prior = loaded(prior, problem)
    if isinstance(prior, LearnedReconstruction):
        refuse_settings(
            prior,
            fidelity=fidelity is not None,
            solver=solver != "auto",
            acceleration=acceleration != "auto",
            strength=strength not in (None, "auto", 1),
            step=step is not None,
            gamma=gamma is not None,
            denoiser_level=denoiser_level is not None,
            denoiser_scaling=denoiser_scaling is not None,
            relaxation=relaxation is not None,
            coupling=coupling is not None,
            continuation=continuation is not None,
            ridge=ridge is not None,
            keep_total=keep_total,
            stopping=stopping is not None,
            start=start is not None,
        )
        if require_certificate:
            raise CertificateError(
                f"a certificate was required, but {prior.name} has none: {prior.guarantee}; take "
                "a denoiser, or do without a certificate"
            )
        problem.check_range()
        return run_learned(prior, data, operator, reference=truth, callback=callback)
    known = resolve(prior, entry, problem)
    if (box := box_of(known)) is not None:
        problem.check_range(*box)

    def configure(given: Problem, value: float, knobs: Knobs = knobs) -> Solver:
        made = accelerated(
            configured(known, entry, given, replace(knobs, strength=value)), acceleration
        )
        if stopping is None or not stopping.least_error:
            return made
        return in_time(made, given.noise(), step is not None, shares)

    free = replace(knobs, keep_total=None)  # a window has a total of its own
    tried = SOLVERS[entry.tried_with] if entry is not None and entry.tried_with else None

    def attempt(given: Problem, value: float) -> Solver:
        """What strengths are tried with."""
        if tried is None:
            return configure(given, value, free)
        return configured(known, tried, given, replace(free, strength=value))

    found = Strength(fixed)
    try:
        chosen = configure(problem, fixed)
        if require_certificate:
            _require(chosen, known)
        if asked == "auto":
            found, stopping = _from_data(problem, known, attempt, stopping, on_trial)
            chosen = configure(problem, found.value)
            if require_certificate:
                _require(chosen, known)
        elif fixed != 1:
            weighing = weighing_of("none" if known is None else known.kind)
            found = heeded(fixed, chosen, configure(problem, 1.0), weighing)
    except StepSizeError as error:
        if require_certificate:
            raise CertificateError(f"a certificate was required: {error}") from error
        raise
    solution = iterate(chosen, stopping, reference=truth, callback=callback)
    solution = replace(solution, strength=found)
    if require_certificate:
        _require_after(solution)
    if words := unsettled(solution):
        warnings.warn(words, UnsettledWarning, stacklevel=2)
    return solution


def _strength(strength: float | Literal["auto"] | None, prior: object) -> float | Literal["auto"]:
    """The strength that was asked for; None by the kind of the prior.

    Raises:
        InputError: another word.
    """
    if strength is None:
        return 1.0 if isinstance(prior, Regulariser) else "auto"
    if isinstance(strength, str) and strength != "auto":
        raise InputError(f"strength is {strength!r}; expected a number above 0, or 'auto'")
    return strength


def _from_data(
    problem: Problem,
    prior: Denoiser | LearnedEnergy | Regulariser | None,
    configure: Callable[[Problem, float], Solver],
    stopping: Stopping | None,
    told: Callable[[Trial], None] | None,
) -> tuple[Strength, Stopping | None]:
    """The automatic strength, and what it leaves of the limits."""
    weighing = weighing_of("none" if prior is None else prior.kind)
    # An energy costs several times what a denoiser does.
    part = window(problem) if isinstance(prior, LearnedEnergy) else None
    found = automatic(part or problem, configure, stopping or Stopping(), told, weighing)
    if part is not None:
        found = replace(found, where=f"in a window of {part.y.shape[-1]} × {part.y.shape[-2]}")
    if stopping is None or stopping.time_limit is None:
        return found, stopping
    # What was not kept of the search's share costs the run no more than all but a tenth.
    left = max(stopping.time_limit - found.seconds, 0.1 * stopping.time_limit)
    return found, replace(stopping, time_limit=left)


def _require_after(solution: Solution) -> None:
    """Refuses a run that broke a law, or that checked none because nothing ran.

    Raises:
        CertificateError: saying which.
    """
    if not solution.certificate.holds:
        raise CertificateError(
            f"a certificate was required: {solution.certificate.verdict}; the run "
            f"{solution.status.value}"
        )


def _require(solver: Solver, prior: Denoiser | LearnedEnergy | Regulariser | None) -> None:
    """Refuses a solver that no theorem covers.

    Raises:
        CertificateError: saying what is missing.
    """
    theorem = solver.theorem()
    if not theorem.holds:
        subject = "" if prior is None else f" with {prior.name}"
        raise CertificateError(
            f"a certificate was required, but there is none{subject}: {theorem.why_not}; take "
            "another prior or solver, or do without a certificate"
        )

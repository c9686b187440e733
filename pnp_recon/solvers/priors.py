"""Which prior: what was given, or the one that a name stands for, as the solver takes it."""

from __future__ import annotations

import os
from typing import cast

from torch import nn

from operators.base import LinearOperator
from pnp_recon.errors import InputError
from pnp_recon.models.load import load_prior
from pnp_recon.priors.denoiser import Denoiser, wrap
from pnp_recon.priors.energies.base import LearnedEnergy
from pnp_recon.priors.unrolled import LearnedReconstruction
from pnp_recon.problems.problem import Problem
from pnp_recon.proximal import Box, Composite, Regulariser, TotalVariation
from pnp_recon.solvers.catalogue import SolverEntry
from pnp_recon.solvers.tuning import total_variation_weight

Prior = Denoiser | LearnedEnergy | Regulariser | LearnedReconstruction | str
# Priors that are no model's name.
WORDS = ("auto", "tv")


def taken_prior(prior: object) -> Prior:
    """A prior of the package; a function or a module of two arguments is wrapped as a denoiser.

    Of such a one nothing is known, and the certificate says so.

    Raises:
        InputError: it is something else; the message says what to give, or how it becomes one.
    """
    if isinstance(prior, os.PathLike):
        return os.fspath(prior)
    if isinstance(prior, Denoiser | LearnedEnergy | Regulariser | LearnedReconstruction | str):
        return prior
    name = getattr(prior, "__name__", type(prior).__name__)
    operator = hasattr(prior, "matvec") or callable(getattr(prior, "A", None))
    if operator or isinstance(prior, LinearOperator):
        raise InputError(f"prior is {name}, an operator; it belongs to A: reconstruct(y, A, prior)")
    if isinstance(prior, nn.Module) and hasattr(prior, "prox"):
        inside = hasattr(prior, "denoiser")
        instead = "take its `denoiser`" if inside else "take one of pnp_recon.proximal"
        raise InputError(f"prior is {name}, which gives values and no pictures; {instead}")
    if callable(prior) and not isinstance(prior, type):
        return wrap(prior)
    what = "None" if prior is None else f"{name}, no prior of the package"
    what += ", but a class: make one of it" if isinstance(prior, type) else ""
    raise InputError(
        f"prior is {what}; expected a name, a Denoiser, an energy (load_energy, energy_from), a "
        "Regulariser, a LearnedReconstruction, or a function(x, sigma), of arrays by "
        "pnp_recon.wrap(function, arrays=True)"
    )


def loaded(name: str, problem: Problem) -> Denoiser | LearnedEnergy | LearnedReconstruction:
    """The model of that name or path, on the device and in the precision of a problem."""
    like = problem.y if problem.start is None else problem.start
    return load_prior(name, problem.A.image_shape[0], device=str(like.device), dtype=like.dtype)


def resolve(
    prior: Denoiser | LearnedEnergy | Regulariser | str,
    entry: SolverEntry | None,
    problem: Problem,
) -> Denoiser | LearnedEnergy | Regulariser | None:
    """The prior as an object; None for solvers that know none."""
    if entry is not None and "none" in entry.prior_kinds:
        if isinstance(prior, str) and prior == "auto":
            return None
        raise InputError(f"solver {entry.name} has no prior; leave the prior out, or take another")
    if not isinstance(prior, str):
        return _fitting(prior, entry)
    functional = entry is not None and "functional" in entry.prior_kinds
    if prior == "tv" or (prior == "auto" and functional):
        return total_variation(problem)
    return _fitting(cast("Denoiser | LearnedEnergy", loaded(prior, problem)), entry)


def _fitting(
    prior: Denoiser | LearnedEnergy | Regulariser, entry: SolverEntry | None
) -> Denoiser | LearnedEnergy | Regulariser:
    """An energy's denoiser, where the solver takes denoisers and no energies."""
    if entry is None or not isinstance(prior, LearnedEnergy) or prior.denoiser is None:
        return prior
    return prior.denoiser if "denoiser" in entry.prior_kinds else prior


def total_variation(problem: Problem) -> TotalVariation:
    """The prior "tv": a weight that fits the noise, vectorial for three channels.

    The two parts of a complex picture are better by themselves once its phase is taken away.
    """
    weight = total_variation_weight(problem.noise(), problem.scale, problem.evenness)
    colour = problem.A.image_shape[0] == 3
    return TotalVariation(weight, "vectorial" if colour else "isotropic", box=(0.0, 1.0))


def box_of(prior: Denoiser | LearnedEnergy | Regulariser | None) -> tuple[float, float] | None:
    """Where the pictures of a prior lie, or None: [0, 1] for denoisers."""
    if isinstance(prior, Denoiser | LearnedEnergy):
        return 0.0, 1.0
    box = prior.domain if isinstance(prior, Composite) else prior
    return (box.low, box.high) if isinstance(box, Box) else None

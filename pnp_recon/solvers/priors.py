"""Which prior: what was given, or the one that a name stands for, as the solver takes it."""

from __future__ import annotations

from typing import cast

from pnp_recon.errors import InputError
from pnp_recon.models.load import load_prior
from pnp_recon.priors.denoiser import Denoiser
from pnp_recon.priors.energies.base import LearnedEnergy
from pnp_recon.priors.unrolled import LearnedReconstruction
from pnp_recon.problems.problem import Problem
from pnp_recon.proximal import Box, Composite, Regulariser, TotalVariation
from pnp_recon.solvers.catalogue import SolverEntry
from pnp_recon.solvers.tuning import total_variation_weight

Prior = Denoiser | LearnedEnergy | Regulariser | LearnedReconstruction | str
# Priors that are no model's name.
WORDS = ("auto", "tv")


def check_prior(prior: object) -> None:
    """Refuses what is no prior.

    Raises:
        InputError: saying how a function becomes one.
    """
    if isinstance(prior, Denoiser | LearnedEnergy | Regulariser | LearnedReconstruction | str):
        return
    what = getattr(prior, "__name__", type(prior).__name__)
    raise InputError(
        f"prior is {'None' if prior is None else f'{what}, no prior of the package'}; expected a "
        "name, a Denoiser, an energy (load_energy, energy_from), a Regulariser or a "
        "LearnedReconstruction. "
        "pnp_recon.wrap makes a Denoiser of any function(x, sigma), also of a "
        "compiled one"
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

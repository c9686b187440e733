"""Plug-and-play image reconstruction that can be proven to converge.

    from pnp_recon import load_denoiser, reconstruct
    from pnp_recon.operators import Convolution, kernels

Names are resolved when they are first used (PEP 562), so that a command can print its help
without loading torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pnp_recon import operators as operators
    from pnp_recon.models.load import load_denoiser, load_energy, load_unrolled
    from pnp_recon.priors.denoiser import Denoiser, wrap
    from pnp_recon.priors.energies.base import LearnedEnergy, energy_from
    from pnp_recon.priors.unrolled import LearnedReconstruction
    from pnp_recon.reconstruction import reconstruct
    from pnp_recon.report.solution_file import load_solution, save_solution
    from pnp_recon.solvers import Certificate, Solution, Status, Stopping

__version__ = "0.1.0"

__all__ = [
    "Certificate",
    "Denoiser",
    "LearnedEnergy",
    "LearnedReconstruction",
    "Solution",
    "Status",
    "Stopping",
    "energy_from",
    "load_denoiser",
    "load_energy",
    "load_solution",
    "load_unrolled",
    "operators",
    "reconstruct",
    "save_solution",
    "wrap",
]

_HOMES = {
    "Denoiser": "priors.denoiser",
    "LearnedEnergy": "priors.energies.base",
    "energy_from": "priors.energies.base",
    "load_energy": "models.load",
    "wrap": "priors.denoiser",
    "load_denoiser": "models.load",
    "LearnedReconstruction": "priors.unrolled",
    "load_unrolled": "models.load",
    "reconstruct": "reconstruction",
    "load_solution": "report.solution_file",
    "save_solution": "report.solution_file",
    "Certificate": "solvers",
    "Solution": "solvers",
    "Status": "solvers",
    "Stopping": "solvers",
}


def __getattr__(name: str) -> Any:
    if name == "operators":
        return import_module(f"{__name__}.operators")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """The public names, without what this module needs to find them."""
    return sorted([*__all__, "__version__"])

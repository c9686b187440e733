"""What options of `pnp-ct` cannot mean, or cannot mean together. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pnp_recon.errors import InputError

if TYPE_CHECKING:
    from pnp_recon.cli.ct.options import CtOptions


def check_numbers(options: CtOptions) -> None:
    """Numbers that are not finite, or not above zero."""
    given = {
        "--span": options.span,
        "--detector-mm": options.detector_mm,
        "--pixel-mm": options.pixel_mm,
        "--source-radius": options.source_radius,
        "--incident": options.incident,
        "--photons": options.photons,
        "--noise": options.noise,
        "--cutoff": options.cutoff,
    }
    for option, value in given.items():
        if value is not None and not 0 < value < math.inf and (option, value) != ("--noise", 0):
            raise InputError(f"{option} is {value}; expected a finite number above 0")
    if options.cutoff > 1:
        raise InputError(f"--cutoff is {options.cutoff}; expected at most 1")


def check_pairs(options: CtOptions) -> None:
    """What does not go together."""
    by_flags = {
        "--beam": options.beam,
        "--views": options.views,
        "--span": options.span,
        "--detector-mm": options.detector_mm,
        "--pixel-mm": options.pixel_mm,
        "--source-radius": options.source_radius,
        "--detector-radius": options.detector_radius,
    }
    _refuse(options.geometry is not None, "--geometry, which says all", by_flags)
    fan = options.beam is not None and options.beam.is_fan
    radii = {k: v for k, v in by_flags.items() if k.endswith("-radius")}
    if not fan:
        _refuse(True, "a parallel beam; add --beam fan-flat or fan-curved", radii)
    elif None in radii.values():
        raise InputError(f"--beam {options.beam} needs --source-radius and --detector-radius (mm)")
    of_files = {
        "--key": options.key,
        "--order": options.order,
        "--kind": options.kind,
        "--incident": options.incident,
        "--size": options.size,
        "--sigma": options.sigma,
        "--slice": None if options.slices == "all" else options.slices,
    }
    _refuse(options.simulate, "--simulate", of_files)
    of_simulation = {
        "--index": options.index,
        "--noise": options.noise,
        "--photons": options.photons,
    }
    _refuse(not options.simulate, "a measured scan; add --simulate", of_simulation)
    _refuse(options.photons is not None, "--photons, give one", {"--noise": options.noise})
    method = options.method
    of_prior = {
        "--denoiser": None if options.denoiser == "auto" else options.denoiser,
        "--strength": None if options.strength == "auto" else options.strength,
        "--solver": None if options.solver == "auto" else options.solver,
        "--weighted": options.weighted or None,
    }
    _refuse(not method.has_prior, f"--method {method.value}", of_prior)
    _refuse(options.model is not None, "--model", {"--weighted": options.weighted or None})
    classical = options.solver.value in ("landweber", "sirt", "cgls")
    solver = f"--solver {options.solver.value}"
    _refuse(classical, solver, {"--weighted": options.weighted or None})


def _refuse(when: bool, subject: str, given: Mapping[str, object]) -> None:
    found = [option for option, value in given.items() if value is not None]
    if when and found:
        raise InputError(f"{found[0]} does not go with {subject}")

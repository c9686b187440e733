"""`pnp-ct --simulate`: from a clean slice to line integrals.

Imported after parsing: it loads torch.
"""

from __future__ import annotations

from pathlib import Path

from operators import RayTransform, attenuation
from pnp_recon.cli.ct.geometry import simulated_geometry
from pnp_recon.cli.ct.measurement import Measurement, storage_of
from pnp_recon.cli.ct.options import DEFAULT_NOISE, CtOptions
from pnp_recon.errors import InputError
from pnp_recon.problems.noise import command_counts, command_noise
from pnp_recon.problems.simulate import photon_tomography, tomography
from pnp_recon.report import SourceFile
from pnp_recon.scans import (
    Slice,
    hounsfield_window,
    read_slice,
    statistical_weights,
)
from pnp_recon.scans.slices import Unit as SliceUnit


def simulated(source: Path, options: CtOptions) -> Measurement:
    """A clean slice, projected, with Gaussian or photon noise drawn on the CPU."""
    stated: dict[str, SliceUnit] = {"hu": "HU", "mu": "1/mm"}
    found = read_slice(source, options.index, unit=stated.get(options.unit.value))
    if found.unit == "picture" and source.suffix.lower() == ".npy":
        raise InputError(
            f"{source} holds values from {float(found.values.min()):.4g} to "
            f"{float(found.values.max()):.4g}, of a unit that nothing says; give --unit mu for "
            "attenuation in 1/mm, or --unit hu"
        )
    if found.unit == "HU":
        truth = attenuation(found.values)
    else:
        truth = (
            found.values if found.unit == "1/mm" else hounsfield_window().from_unit(found.values)
        )
    height, width = truth.shape[-2:]
    located = simulated_geometry(options, (height, width), found.pixel_mm)
    if located.geometry.kind == "cone":
        raise InputError("--simulate projects a single slice; --geometry describes a cone beam")
    weights, storage = None, storage_of(options, located.geometry)
    if options.photons is not None:
        counted = command_counts(options.photons, options.seed)
        problem, counts = photon_tomography(
            truth, located.geometry, options.photons, counted, storage
        )
        weights = statistical_weights(counts)
        said = f"{options.photons:g} photons for each ray, {float(counts.min()):g} at least arrive"
    else:
        share = DEFAULT_NOISE if options.noise is None else options.noise
        drawn = command_noise(options.seed)
        problem = tomography(truth, located.geometry, share, drawn, storage)
        said = f"{share:.3g} of the sinogram's maximum"
    file = SourceFile("input", source, found.sha256, (height, width))
    assert isinstance(problem.A, RayTransform)
    return Measurement(
        problem.y,
        problem.A,
        problem.noise(),
        "simulated",
        weights,
        truth,
        file,
        lines=(
            *located.lines,
            *_unknown_pixels(found, options),
            f"simulated: {found.name}, {said}",
        ),
        warnings=(*found.doubts, *located.warnings),
    )


def _unknown_pixels(found: Slice, options: CtOptions) -> tuple[str, ...]:
    """A line where pixels of attenuating matter are taken to be of 1 mm."""
    known = (found.pixel_mm, options.pixel_mm, options.geometry)
    if found.unit == "picture" or any(one is not None for one in known):
        return ()
    return (f"pixels: taken to be 1 mm wide, {found.name} does not say; --pixel-mm does",)

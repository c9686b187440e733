"""`pnp-ct`: what is said of a measurement, and what the report keeps of it.

Imported after parsing: it loads torch.
"""

from __future__ import annotations

from pathlib import Path

from pnp_recon.cli.ct.geometry import describe
from pnp_recon.cli.ct.measurement import Measurement
from pnp_recon.cli.ct.options import CtMethod, CtOptions
from pnp_recon.cli.ct.view import View
from pnp_recon.cli.run.plan import Job
from pnp_recon.files import sha256_of
from pnp_recon.report import PhysicsRecord, SourceFile


def files(found: Measurement, job: Job, options: CtOptions) -> tuple[SourceFile, ...]:
    """What was read, with hashes."""
    out = [found.input_file]
    if options.geometry is not None:
        out.append(SourceFile("geometry", options.geometry, sha256_of(options.geometry), ()))
    if job.reference is not None:
        shape = tuple(found.y.shape[:1]) + tuple(found.A.image_shape[1:])
        out.append(SourceFile("reference", job.reference, sha256_of(job.reference), shape))
    return tuple(out)


def lines(
    found: Measurement, view: View, picture: Path | None, count: int, radius: float | None
) -> tuple[str, ...]:
    """What is said of a scan before it is reconstructed.

    Args:
        found, view, picture: see `case_of`.
        count: slices.
        radius: the object's, in mm at the detector, where it goes on beyond the ends; else None.
    """
    height, width = found.A.image_shape[1:]
    pixel = found.A.geometry.pixel_mm
    length = "mm" if found.length == "mm" else "detector pixels"
    slices = "1 slice" if count == 1 else f"{count} slices"
    out = [
        f"scan: {describe(found.A.geometry, found.length)}",
        *found.lines,
        f"result: {slices} of {width}×{height} pixels of {pixel:.4g} {length}, "
        f"{'in Hounsfield units' if view.in_hounsfield else 'attenuation in ' + view.unit}",
        f"window: {view.words}; the picture is the attenuation in it, from 0 to 1",
    ]
    if radius is not None:
        wide = 2 * radius / found.A.geometry.detector_mm
        out.append(
            "truncated: the object goes on beyond the detector's ends; filtered back-projection "
            f"continues it like a disc, {wide:.0f} detector pixels wide (a guess, by the profile)"
        )
    if picture is not None:
        out.append(f"picture: {picture}" + ("" if count == 1 else " (the middle slice)"))
    return tuple(out)


def physics(found: Measurement, view: View, options: CtOptions) -> PhysicsRecord:
    """The measurement, for the report; its picture is the sinogram of the middle slice."""
    scan = found.A.geometry
    shown = view.shown
    parameters: dict[str, float | int | str | None] = {
        "views": len(scan.angles),
        "detector_count": scan.detector_count,
        "detector_mm": scan.detector_mm,
        "pixel_mm": scan.pixel_mm,
        "axis_offset_mm": scan.axis_offset,
        "slices": max(found.y.shape[0], found.A.image_shape[0]),
        "first_slice": found.first,
        "window_low": shown.low,
        "window_high": shown.high,
        "unit": view.unit,
        "filter": options.filter.value,
        "noise_in_line_integrals": found.noise,
        **found.defects,
    }
    sinogram = found.y[len(found.y) // 2]
    is_cone = scan.kind == "cone"
    plane = sinogram[:, sinogram.shape[1] // 2] if is_cone else sinogram[len(sinogram) // 2]
    low, high = float(plane.min()), float(plane.max())
    words = (
        f"{'A clean slice was projected on purpose' if options.simulate else 'A scan was made'}: "
        f"{describe(scan, found.length)}. Values are shown and denoised in the window {view.words}."
    )
    is_fbp = options.method == CtMethod.fbp
    shown_as = "back-projection without a filter" if is_fbp else "filtered back-projection"
    return PhysicsRecord(
        scan.kind.replace("_", " "),
        parameters,
        words,
        shown=shown_as,
        picture=((plane - low) / max(high - low, 1e-30)).cpu(),
        caption="sinogram: a row for each view",
    )

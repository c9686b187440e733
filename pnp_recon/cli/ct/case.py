"""`pnp-ct`: from line integrals to the case A u = y + noise for u in [0, 1].

The unknown u is the attenuation in a window: x = low + (high − low) u. The operator, its norm and
whatever is proven stay the same; data and noise are divided by the window's width.

Imported after parsing: it loads torch.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from operators import RayTransform, StripeFilter, hounsfield
from operators.filtered_back_projection import mean_of_rays
from pnp_recon.cli.ct.ahead import of_back_projections
from pnp_recon.cli.ct.data import measured
from pnp_recon.cli.ct.light import by_photons
from pnp_recon.cli.ct.measurement import Measurement, on_device
from pnp_recon.cli.ct.options import CtMethod, CtOptions
from pnp_recon.cli.ct.simulated import simulated
from pnp_recon.cli.ct.told import files, lines, physics
from pnp_recon.cli.ct.view import (
    View,
    at_the_ends,
    choose_view,
    outside,
    picture_target,
    writer,
)
from pnp_recon.cli.run.case import Case, early_stopped
from pnp_recon.cli.run.effort import time_lines
from pnp_recon.cli.run.plan import Job
from pnp_recon.cli.run.session import Session
from pnp_recon.errors import InputError
from pnp_recon.fidelity import WeightedLeastSquares
from pnp_recon.models import load, store
from pnp_recon.scans.truncation import beside_the_slice, object_radius
from pnp_recon.solvers import Certificate, History, Solution, Status
from pnp_recon.solvers.catalogue import solvers_for
from pnp_recon.solvers.core.theorem import unproven

# See `auto_denoiser`.
MODEL = "euler_ct"
# Slices at a time: more of them are no faster, and their memory grows.
AT_ONCE = {"cpu": 2, "cuda": 16}

WHY = "for filtered back-projections, by a few views; "
TOO_SMALL = (
    "the object goes on beyond the slice of {side} pixels; what is missing there is put at its "
    "rim, which also takes long to settle: give --size {needed}"
)
# Of a measured scan of 332 pixels 64² and 128² took more than six times what was foretold.
SLOWER = "a slice that does not hold the object settles late"
FORMULA = "filtered back-projection is a formula, not an iteration; it has no convergence to prove"


def auto_denoiser() -> str:
    """What --denoiser auto means where a map is iterated; the model for grey pictures where the
    one for slices does not ship."""
    return MODEL if MODEL in store.shipped_models() else load.AUTO[1]


def make_case(job: Job, session: Session[CtOptions]) -> Case:
    """Line integrals, operator and window; in a simulation also the noise."""
    options = session.options
    if options.simulate:
        found = simulated(job.source, options)
    else:
        found = measured(job.source, job.reference, options)
    session.watch.to("estimate")
    count = max(found.y.shape[0], found.A.image_shape[0])
    picture = picture_target(job, options, count)
    case = case_of(on_device(found, session), job, session, picture)
    if len(found.y) == 1:
        return case
    words = (
        f"slices: {len(found.y)} are one run in memory with one certificate; --slices, with an s, "
        "makes a volume on disk with a certificate for each"
    )
    return replace(case, lines=(*case.lines, words))


def case_of(
    found: Measurement,
    job: Job,
    session: Session[CtOptions],
    picture: Path | None = None,
    view: View | None = None,
) -> Case:
    """The case of a measurement.

    Args:
        found: on the session's device.
        job: names the files that were read.
        session: options, and a network of --model.
        picture: where the middle slice is written as a picture.
        view: the window, where it is known; None: it is chosen.
    """
    options, A, y = session.options, found.A, found.y
    count = max(y.shape[0], A.image_shape[0])
    radius = object_radius(y, A.geometry)
    for line in time_lines(of_back_projections(found) if session.heard else None, WHY):
        session.say(line)
    direct = _fbp(found, options, radius)
    model = session.learned()
    trained = None if model is None else model.trained_on.window_hu
    view = view or choose_view(found, direct, options, radius, trained)
    window = view.window
    start = window.to_unit(direct)
    truth = None if found.truth is None else window.to_unit(found.truth)
    needed = _needed(found, radius, options)
    is_formula = options.method == CtMethod.fbp  # which no data in the window are needed for
    share = found.noise / float(y.abs().max().clamp_min(1e-30))
    case = Case(
        y=found.clean if is_formula else window.measurements(A, found.clean, found.lengths),
        A=A,
        noise_level=window.noise_level(found.noise),
        noise_origin=found.origin,
        noise_words=f"{found.noise:.3g} in the line integrals, {share:.2%} of the largest "
        f"({found.origin})",
        degraded=_middle(start),
        show=_middle,
        write=writer(view, picture, options),
        doubts=lambda image: at_the_ends(image, view),
        reference=None if truth is None else _middle(truth).clamp(0, 1),
        files=files(found, job, options),
        lines=lines(found, view, picture, count, radius),
        warnings=(
            *found.warnings,
            *outside(found, direct, view, options),
            *(() if needed is None else (TOO_SMALL.format(side=_side(A), needed=needed),)),
        ),
        physics=physics(found, view, options),
        facts={
            "window_hu": tuple(hounsfield(limit) for limit in (window.low, window.high)),
            "incident": options.photons or options.incident,
        },
        model=auto_denoiser(),
        energy=None if found.calmer else load.ENERGIES[1],
        # A matrix in float32 is there, as much again is taken by its coefficients in float64.
        slower="" if needed is None else SLOWER,
        operator_bytes=A.memory_bytes / (2 if A.storage == "matrix" else 1),
    )
    return _with_method(case, found, start, view, options)


def _with_method(
    case: Case, found: Measurement, start: Tensor, view: View, options: CtOptions
) -> Case:
    """The case as the method wants it."""
    method = options.method
    if method == CtMethod.fbp:
        held = Certificate(unproven(FORMULA))
        numbers = {"cutoff": options.cutoff}
        solution = Solution(start, Status.DIRECT, held, History(), method.value, numbers)
        if options.report is not None or case.reference is not None:
            # What was there before: the same without the filter.
            case = replace(case, degraded=_middle(view.window.to_unit(_smeared(found))))
        return replace(
            case,
            solve=lambda: solution,
            doubts=lambda _: (),  # it knows no box
        )
    if found.stripes is not None and options.model is None:
        # The stripes are eliminated, not taken out: see the operator.
        stripes = StripeFilter(found.A.measurement_shape, found.ridge)
        y = view.window.measurements(found.A, found.y, found.lengths)
        case = replace(case, A=stripes @ found.A, y=stripes.A(y))
    classical = options.named_solver
    if classical in solvers_for("none"):
        case = early_stopped(case, classical, view.window.to_unit(torch.zeros_like(start)))
        return by_photons(case, found, view) if options.ends_in_time else case
    counted = found.weights is not None if options.weighted is None else options.weighted
    if counted and found.weights is None:
        raise InputError(
            "--weighted needs counts; the scan holds line integrals, leave it out, or say --kind "
            "counts or --incident N"
        )
    case = replace(case, arguments={"start": start.clamp(0, 1)})
    weights = found.weights_for(counted)
    if weights is None or options.model is not None:
        return _in_parts(case, None)
    if counted:
        case = replace(case, noise_words=f"{case.noise_words}; each ray weighs as its photons say")
    return _in_parts(case, view.window.weights(weights))


def _fbp(found: Measurement, options: CtOptions, radius: float | None) -> Tensor:
    """(slices, 1, H, W), or (1, depth, H, W), in 1/mm."""
    with torch.no_grad():
        return found.A.fbp(found.clean, options.filter.value, options.cutoff, radius)


def _side(A: RayTransform) -> int:
    return min(A.image_shape[1:])


def _needed(found: Measurement, radius: float | None, options: CtOptions) -> int | None:
    """The side of a slice that would hold the object, where this one does not: iterations put the
    rest at its rim."""
    if options.method == CtMethod.fbp:
        return None
    scan = found.A.geometry
    beside = beside_the_slice(found.y, found.lengths, scan, found.noise)
    reach = max(0 if radius is None else radius / scan.magnification, beside or 0)
    needed = math.ceil(2 * reach / scan.pixel_mm) + 4
    return None if needed <= _side(found.A) else needed


def _smeared(found: Measurement) -> Tensor:
    """Back-projection without a filter: every pixel the mean attenuation of its rays."""
    A, lengths = found.A, found.lengths
    seen = lengths > 1e-3 * lengths.max()
    means = torch.where(seen, found.clean / lengths.clamp_min(1e-30), 0.0)
    size = A.image_shape if A.geometry.kind == "cone" else A.image_shape[1:]
    return mean_of_rays(A.geometry, means, size)


def _middle(image: Tensor) -> Tensor:
    """The slice (1, 1, H, W) that stands for a stack or a volume."""
    if len(image) > 1:
        return image[len(image) // 2][None]
    place = image.shape[1] // 2
    return image[:, place : place + 1]


def _in_parts(case: Case, scaled: Tensor | None) -> Case:
    """Weights as a fidelity, and a stack of slices in parts of a few."""

    def arguments(part: slice) -> dict[str, Any]:
        out = {"start": case.arguments["start"][part]}
        if scaled is not None:
            out["fidelity"] = WeightedLeastSquares(case.A, case.y[part], scaled[part])
        return out

    count, step = len(case.y), AT_ONCE[case.y.device.type]
    if count <= step:
        return replace(case, arguments=arguments(slice(None)))
    places = [slice(first, first + step) for first in range(0, count, step)]
    parts = tuple(replace(case, y=case.y[place], arguments=arguments(place)) for place in places)
    # A prior for all is chosen by the first of them.
    return replace(case, parts=parts, arguments=parts[0].arguments)

"""`pnp-mri`: from k-space to the case A u = y + noise for complex u in [0, 1]².

Maps and phase go into the operator; the unknown u is the picture without that phase, in a window.
Operator, norm and whatever is proven stay the same; data and noise are divided by its width.

Imported after parsing: it loads torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from operators import MRI
from operators.mri import centred_ifft, to_complex
from pnp_recon.cli.mri.data import Measurement, measured, on_device, simulated, stacked
from pnp_recon.cli.mri.options import MriMethod, MriOptions, Phase
from pnp_recon.cli.mri.view import View, picture_target, writer
from pnp_recon.cli.run.case import Case, early_stopped
from pnp_recon.cli.run.plan import Job
from pnp_recon.cli.run.session import Session
from pnp_recon.cli.run.solve import prior_name
from pnp_recon.kspace import (
    centre_side,
    estimated_maps,
    global_phase,
    low_resolution,
    root_sum_of_squares,
    smooth_phase,
    window_for,
)
from pnp_recon.kspace.calibration import LEAST
from pnp_recon.models import load
from pnp_recon.reconstruction import reconstruct
from pnp_recon.report import PhysicsRecord
from pnp_recon.solvers import Certificate, History, Solution, Status, Stopping
from pnp_recon.solvers.catalogue import solvers_for
from pnp_recon.solvers.core.theorem import unproven

FORMULA = "{} is a formula, not an iteration; it has no convergence to prove"
# The modulus is taken to be at most so many times the largest of the zero-filled picture.
MARGIN = 1.5
# Its picture is the proximal point, which keeps to what was measured; pnp-hqs is 1.5 dB worse.
SOLVER = "pnp-drs"
# Levels of the prior in units of the noise. A frequency that was not measured knows the prior
# alone, and the tuned levels for blurs cost 1 to 2 dB here. Found on three slices of the CT train
# split and three pictures of val without BSD68, as stand-ins.
LEVEL: dict[str, float] = {"denoiser": 0.75, "energy": 0.8}
LEAST_LEVEL = 1 / 255
# Where a map is iterated the coupling follows that level, by this factor at strength 1.
COUPLING = 4.0
# An energy descends from the picture of total variation, whose aliases are few, by a continuation
# that begins at so many times its level and leaves that picture's structure: on these pictures it
# ends at lower energies, and up to 10 dB better, than one from the zero-filled picture.
CONTINUATION, START_TOLERANCE = 4.0, 1e-3
# What is not measured moves by the prior alone, in small steps, where a map is iterated.
TOLERANCE = 1e-5
# More of the pixels than this at the ends of the window is said.
ENDS = 0.001


def make_case(job: Job, session: Session[MriOptions]) -> Case:
    """k-space, operator and window; in a simulation also the noise."""
    options = session.options
    if options.simulate:
        found = simulated(job.source, options)
    else:
        found = measured(job.source, job.reference, options)
    session.watch.to("estimate")
    picture = picture_target(job, options)
    found = on_device(found, session)
    A, nearly_real, words, warnings = _operator(found, options)
    y = stacked(found)
    with torch.no_grad():
        direct = A.A_adjoint(y)
    largest = float(to_complex(direct).abs().max())
    scale = options.scale or MARGIN * largest
    view = View(window_for(scale, nearly_real), found.full or largest, A.phase)
    start = view.window.to_unit(direct)
    noise = view.window.noise_level(found.noise)
    case = Case(
        y=view.window.measurements(A, y),
        A=A,
        noise_level=noise,
        noise_origin=found.origin,
        noise_words=f"{found.noise:.3g} in each part of k-space ({found.origin}), "
        f"{found.noise / view.full:.2%} of white",
        degraded=view.show(start),
        show=view.show,
        write=writer(view, picture, options),
        doubts=lambda u: _ends(u, view) if options.method in (MriMethod.pnp, MriMethod.tv) else (),
        reference=None if found.truth is None else (found.truth / view.full).clamp(0, 1),
        files=found.files,
        lines=(
            *found.lines,
            *_lines(A, view, words),
            *([] if picture is None else [f"picture: {picture}"]),
        ),
        warnings=(*found.warnings, *warnings),
        physics=_physics(found, A, view, options),
        arguments={"start": start.clamp(0, 1)},
        model=load.AUTO[1],
        energy=load.ENERGIES[1],
    )
    return _with_method(case, found, start, view, session)


def _operator(found: Measurement, options: MriOptions) -> tuple[MRI, bool, list[str], list[str]]:
    """The operator with maps and phase, whether its pictures are nearly real, what maps and phase
    are in words, and warnings."""
    words: list[str] = []
    warnings: list[str] = []
    maps, centred = found.maps, centre_side(found.mask) >= LEAST
    low = low_resolution(found.data, found.mask) if centred or _needs_maps(found) else None
    estimated = found.coils and maps is None
    if estimated:
        assert low is not None
        maps = estimated_maps(low)
        words.append(
            f"coil maps: estimated from the {centre_side(found.mask)}² frequencies of the centre, "
            "over their root sum of squares (a heuristic)"
        )
    elif maps is not None:
        words.append(f"coil maps: {found.maps_origin}")
    if options.phase == Phase.none or (estimated and options.phase == Phase.centre):
        words.append(f"phase: {'in the coil maps' if estimated else 'left in the picture'}")
        return MRI(found.mask, maps), options.phase == Phase.centre, words, warnings
    if options.phase == Phase.centre and low is not None:
        words.append("phase: that of the centre of k-space, taken away (a heuristic)")
        return MRI(found.mask, maps, smooth_phase(low, maps)), True, words, warnings
    if options.phase == Phase.centre:
        warnings.append(
            "the centre of k-space is not sampled, so that the phase of the picture is not known; "
            "one number is taken for it (--phase global)"
        )
    plain = MRI(found.mask, maps)
    with torch.no_grad():
        angle = global_phase(to_complex(plain.A_adjoint(stacked(found))))
    words.append(f"phase: one for the whole picture, {angle:.3g} rad")
    turned = torch.full(found.mask.shape, angle, dtype=torch.float64, device=found.mask.device)
    return MRI(found.mask, maps, turned), False, words, warnings


def _needs_maps(found: Measurement) -> bool:
    return found.coils and found.maps is None


def _with_method(
    case: Case, found: Measurement, start: Tensor, view: View, session: Session[MriOptions]
) -> Case:
    """The case as the method wants it."""
    options = session.options
    method = options.method
    if method.is_formula:
        image = start
        if method == MriMethod.rss:
            modulus = root_sum_of_squares(centred_ifft(found.data))
            image = view.window.to_unit(torch.stack([modulus, 0 * modulus])[None])
        held = Certificate(unproven(FORMULA.format(method.value)))
        solution = Solution(image, Status.DIRECT, held, History(), method.value, {})
        return replace(case, solve=lambda: solution)
    classical = options.named_solver
    if classical in solvers_for("none"):
        return early_stopped(case, classical, view.window.to_unit(torch.zeros_like(start)))
    if options.method != MriMethod.pnp:
        return case
    return replace(case, solver=SOLVER, **_tuned(case, session))


def _tuned(case: Case, session: Session[MriOptions]) -> Mapping[str, Any]:
    """The level of the prior, and the tolerance that its small steps need."""
    options = session.options
    if options.model is not None or options.named_solver is not None:
        return {}
    prior = session.prior(prior_name(case, options))
    low, high = prior.sigma_range
    level = min(max(LEVEL[prior.kind] * case.noise_level, low, LEAST_LEVEL), high)
    arguments = {**case.arguments, "denoiser_level": level}
    if prior.kind == "energy":
        stopping = Stopping(tol=START_TOLERANCE)
        first = reconstruct(
            case.y,
            case.A,
            "tv",
            noise_level=case.noise_level,
            stopping=stopping,
            start=arguments["start"],
        )
        arguments |= {"start": first.image, "continuation": CONTINUATION * level}
        return {"arguments": arguments}
    arguments |= {"coupling": COUPLING}
    return {"arguments": arguments, "limits": {"tol": TOLERANCE}}


def _ends(u: Tensor, view: View) -> tuple[str, ...]:
    """Why a result at the ends of the window is not to be trusted."""
    share = float(((u <= 0) | (u >= 1)).any(1).double().mean())
    if share <= ENDS:
        return ()
    return (
        f"{share:.1%} of the pixels lie at the ends of the window ({view.window.words}), which the "
        "result does not pass; give a larger --scale, or --phase none",
    )


def _lines(A: MRI, view: View, words: list[str]) -> tuple[str, ...]:
    share = float(A.mask.double().mean())
    return (
        f"measured: {share:.1%} of k-space",
        *words,
        f"window: {view.window.words}; both parts are in it, from 0 to 1 for the prior",
    )


def _physics(found: Measurement, A: MRI, view: View, options: MriOptions) -> PhysicsRecord:
    share = float(found.mask.double().mean())
    coils = len(found.data)
    parameters: dict[str, float | int | str | None] = {
        "measured_share": share,
        "coils": coils,
        "phase": options.phase.value,
        "real_from": view.window.real,
        "imaginary_from": view.window.imaginary,
        "window_width": view.window.width,
        "white": view.full,
        "noise_in_k_space": found.noise,
    }
    what = "A clean picture was measured on purpose" if options.simulate else "A scan was made"
    words = (
        f"{what}: {share:.1%} of k-space with {'one coil' if coils == 1 else f'{coils} coils'}. "
        "The modulus of the complex picture is shown."
    )
    return PhysicsRecord(
        "Cartesian magnetic resonance",
        parameters,
        words,
        shown="zero-filled",
        picture=found.mask.float().cpu(),
        caption="k-space: white is measured",
    )

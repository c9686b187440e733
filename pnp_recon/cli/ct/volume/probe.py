"""`pnp-ct --slices`: what all slices share, found on the first, the middle and the last.

The rotation axis, the window, the strength of the prior, and what a slice takes. Imported after
parsing: it loads torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from operators._memory import available_bytes
from pnp_recon.cli.ct.case import case_of
from pnp_recon.cli.ct.data import measurement_of, read
from pnp_recon.cli.ct.measurement import Measurement, on_device
from pnp_recon.cli.ct.options import CtOptions
from pnp_recon.cli.ct.view import View, choose_view
from pnp_recon.cli.ct.volume import across
from pnp_recon.cli.ct.volume.worker import joined, part_of
from pnp_recon.cli.run.case import Case
from pnp_recon.cli.run.large import LOOSE
from pnp_recon.cli.run.memory import needed_bytes, room
from pnp_recon.cli.run.plan import Job
from pnp_recon.cli.run.session import Session
from pnp_recon.cli.run.solve import choose_prior, model_warnings, prior_name, solve
from pnp_recon.errors import InputError
from pnp_recon.scans import Scan, Window
from pnp_recon.scans.truncation import object_radius
from pnp_recon.solvers import Status
from pnp_recon.volumes.plan import probes

Say = Callable[[str], None]


@dataclass(frozen=True)
class Probed:
    """What holds for all slices.

    Attributes:
        axis: the detector pixel of the rotation axis, as --axis has it.
        view: the window.
        strength: the prior's; None: it is not searched.
        strengths: what the slices that were tried speak for.
        denoiser: the prior's name, which is one for all slices; None: as asked for.
        norm_bound: a proven bound of the ray transform's norm; None where there is none.
        shape: (rows, columns) of a slice.
        values: numbers of a slice in the file, to be read.
        working: bytes that one slice takes beside what is read.
    """

    axis: float
    view: View
    strength: float | None
    strengths: tuple[float, ...]
    denoiser: str | None
    norm_bound: float | None
    shape: tuple[int, int]
    values: int
    working: int

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, found: dict[str, Any]) -> Probed:
        kept = dict(found["view"])
        view = View(**{**kept, "window": Window(**kept["window"])})
        height, width = found["shape"]
        more = {"strengths": tuple(found["strengths"]), "shape": (height, width)}
        return cls(**{**found, "view": view, **more})

    def options(self, asked: CtOptions) -> CtOptions:
        """What was asked for, with what was found."""
        strength = asked.strength if self.strength is None else repr(self.strength)
        denoiser = self.denoiser or asked.denoiser
        return replace(asked, axis=repr(self.axis), strength=strength, denoiser=denoiser)


def probe(
    source: Path, options: CtOptions, slices: range, sha256: str, say: Say, warn: Say
) -> Probed:
    """Looks at the first, the middle and the last of them; `say` and `warn` get lines of text.

    Raises:
        InputError: none of them can be used, or the scan is a cone beam's.
    """
    session = Session(options)
    scans = _readable(source, options, probes(slices), sha256)
    together = joined(scans)
    found = on_device(measurement_of(together, None, options), session)
    A = found.A
    shape, data = (A.image_shape[1], A.image_shape[2]), math.prod(together.data.shape[1:])
    needs = None
    if options.across is not None:
        needs = room(shape, data, options)
        for device in places(session.device):
            across.refuse_too_large(needs, slices, shape, free_bytes(device), device)
    for line in found.lines:
        say(line)
    for words in found.warnings:
        warn(words)
    radius = object_radius(found.y, A.geometry)
    with torch.no_grad():
        direct = A.fbp(found.clean, options.filter.value, options.cutoff, radius)
    model = session.learned()
    trained = None if model is None else model.trained_on.window_hu
    view = choose_view(found, direct, options, radius, trained)
    axis = _axis(found, options)
    settled = replace(options, axis=repr(axis))
    session.options = settled
    cases = _cases(source, scans, session, view, found.calmer)
    denoiser = None
    if options.prior_kind == "denoiser" and options.model is None:
        denoiser = prior_name(cases[len(cases) // 2], options)
        session.options = replace(settled, denoiser=denoiser)
    for words in model_warnings(cases[0], session):
        warn(words)
    # Before the memory is looked at: it loads what projects.
    norm_bound = A.norm_bound if A.has_norm_bound else None
    if needs is None:
        strengths, working = _strengths(cases, session), _working(cases[0], session)
    else:
        strengths = across.strength(source, session, slices, sha256, view)
        working = max(needs.bytes(len(slices)), _peak())
    return Probed(
        axis,
        view,
        sorted(strengths)[len(strengths) // 2] if strengths else None,
        tuple(strengths),
        denoiser,
        norm_bound,
        shape,
        data,
        working,
    )


def places(device: torch.device) -> tuple[str, ...]:
    """Whose memory a volume has to fit into: the machine's, which reads it, and the device's."""
    return tuple(dict.fromkeys(("cpu", device.type)))


def free_bytes(device: str = "cpu") -> int:
    return available_bytes(device)


def _readable(source: Path, options: CtOptions, numbers: Sequence[int], sha256: str) -> list[Scan]:
    """The slices that can be read; the others fail in their turn, where it is said."""
    found, last = [], None
    for number in numbers:
        try:
            found.append(read(source, options, slice(number, number + 1), sha256))
        except InputError as error:
            last = error
    if not found:
        assert last is not None
        raise last
    return found


def _axis(found: Measurement, options: CtOptions) -> float:
    """The detector pixel of the axis, counted as in the file."""
    scan = found.A.geometry
    away = scan.axis_offset / scan.detector_mm
    return (scan.detector_count - 1) / 2 + (-away if options.flip_detector else away)


def _cases(
    source: Path, scans: Sequence[Scan], session: Session[CtOptions], view: View, calmer: bool
) -> list[Case]:
    """A case for each slice; one that is refused alone (empty, say) speaks for nobody.

    `calmer` as of all together: the prior is one for all, and it was said which.
    """
    cases, last = [], None
    for scan in scans:
        try:
            alone = measurement_of(part_of(scan, 0), None, session.options)
            found = replace(alone, calmer=calmer)
            made = case_of(on_device(found, session), Job(source, source), session, view=view)
        except InputError as error:
            last = error
        else:
            cases.append(made)
    if not cases:
        assert last is not None
        raise last
    return cases


def _strengths(cases: Sequence[Case], session: Session[CtOptions]) -> list[float]:
    """What each case's data speak for; nothing where it is given, or there is no prior."""
    options, found = session.options, []
    if options.asked_strength != "auto" or options.model is not None:
        return []
    for case in cases:
        prior = choose_prior(case, session)
        if prior is None:
            return []
        loose = replace(options, tol=LOOSE, require_certificate=False)
        solution = solve(case, prior, loose, lambda _: None, lambda _: None)
        if solution.status is Status.INTERRUPTED:
            raise KeyboardInterrupt
        if solution.strength is not None:
            found.append(solution.strength.value)
    return found


def _working(case: Case, session: Session[CtOptions]) -> int:
    """What a process holds while it works on a slice: as counted, or as it was in the trials."""
    prior = choose_prior(case, session)
    return int(max(needed_bytes(case, prior, session.options), _peak()))


def _peak() -> int:
    """The most that this process has held; 0 where the system does not say."""
    try:
        with open("/proc/self/status", encoding="ascii") as lines:
            found = next(line for line in lines if line.startswith("VmHWM"))
        return 1024 * int(found.split()[1])
    except (OSError, StopIteration, ValueError):
        return 0

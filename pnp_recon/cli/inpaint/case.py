"""`pnp-inpaint`: from a picture and a mask to the case y = A x + noise.

Imported after parsing: it loads torch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from operators.sampling import Inpainting
from pnp_recon.cli.inpaint.options import InpaintOptions
from pnp_recon.cli.run.case import Case
from pnp_recon.cli.run.pictures import (
    part_of,
    range_lines,
    read_input,
    read_reference,
    source_file,
    writer,
)
from pnp_recon.cli.run.plan import Job
from pnp_recon.cli.run.region import Region
from pnp_recon.cli.run.session import Session
from pnp_recon.errors import InputError
from pnp_recon.estimation.noise import NoiseEstimate, estimate_noise
from pnp_recon.files import sha256_of
from pnp_recon.pictures.files import Picture
from pnp_recon.pictures.gaps import MaskSizeError
from pnp_recon.pictures.masks import read_mask
from pnp_recon.problems.masks import command_mask
from pnp_recon.problems.noise import command_noise
from pnp_recon.problems.problem import Problem
from pnp_recon.problems.simulate import inpainting
from pnp_recon.report import PhysicsRecord, SourceFile

# Its picture is the proximal point, which holds to known pixels without noise; that of pnp-hqs is
# a denoised one, about 1 dB worse at 50 % missing.
SOLVER = "pnp-drs"
# The noise estimate looks at windows of 5×5 known pixels; with fewer of them it says nothing.
NOISE_WINDOW, NOISE_ENOUGH = 5, 256
# Pixels around a region that are restored with it: as far as the shipped denoisers look.
MARGIN = 32


@dataclass(frozen=True, eq=False)
class Mask:
    """Known pixels (1 or C, H, W), boolean, and where they come from."""

    known: Tensor
    origin: str
    parameters: dict[str, float | int | str | None]
    file: SourceFile | None = None

    @property
    def missing(self) -> float:
        return 1 - float(self.known.double().mean())


def make_case(job: Job, session: Session[InpaintOptions]) -> Case:
    """Mask, operator and noise level; in a simulation also the degraded picture."""
    options = session.options
    mask = _mask_in_file(options.mask_file(job.source))
    hidden = None if mask is None or options.simulate else mask.known
    try:
        picture = read_input(job.source, hidden)
    except MaskSizeError as error:
        raise InputError(f"{options.mask_file(job.source)}: {error}") from error
    reference = None
    if job.reference is not None:
        reference = read_reference(job.reference, picture, "missing pixels")
    mask = _drawn(picture, options) if mask is None else mask
    _check_fit(mask, picture)
    x = session.tensor(picture.pixels)
    known = mask.known.to(session.device)
    if options.simulate:
        sigma, draw = options.simulated_level, command_noise(options.seed)
        problem = inpainting(x, known, sigma, draw)
    else:
        A = Inpainting(known, x.shape[1:])
        truth = None if reference is None else session.tensor(reference.pixels)
        problem = Problem(A, A.A(x), options.noise_level, truth)
    session.watch.to("estimate")
    y = problem.y
    level = options.noise_level
    origin = "given" if options.sigma is not None else "assumed: known pixels count as exact"
    origin = "simulated" if options.simulate else origin
    if level is None:
        found = _estimated(y, known, picture)
        level, origin = found.level, found.words

    files = [source_file("input", picture)]
    if reference is not None:
        files.append(source_file("reference", reference))
    if mask.file is not None:
        files.append(mask.file)
    warnings = (*picture.notes, *_warnings(job, mask, options))
    return _case(
        _Facts(problem, known, mask, picture, tuple(files), warnings, level, origin, options)
    )


@dataclass(frozen=True, eq=False)
class _Facts:
    """What the case of a picture, or of a part of it, is made of."""

    problem: Problem
    known: Tensor
    mask: Mask
    picture: Picture
    files: tuple[SourceFile, ...]
    warnings: tuple[str, ...]
    level: float
    origin: str
    options: InpaintOptions
    # Of what is solved, what is shown.
    shown: Region | None = None


def _case(facts: _Facts) -> Case:
    """The case of these facts: what is solved, and what is shown of it."""
    y, known, options = facts.problem.y, facts.known, facts.options
    part = (...,) if facts.shown is None else facts.shown.slices
    truth = facts.problem.truth

    def show(image: Tensor) -> Tensor:
        return (torch.where(known, y, image) if options.keep_known else image)[part]

    return Case(
        y=y,
        A=facts.problem.A,
        noise_level=facts.level,
        noise_origin=facts.origin,
        degraded=y[part],
        show=show,
        write=writer(facts.picture, show, options.overwrite),
        reference=None if truth is None else truth[part],
        files=facts.files,
        lines=(
            *range_lines(facts.picture),
            f"missing: {facts.mask.missing:.1%} of the pixels ({facts.mask.origin})",
        ),
        warnings=facts.warnings,
        physics=_physics(facts.mask, options),
        solver=SOLVER,
        excerpt=None if facts.shown is not None else partial(_excerpt, facts),
    )


def _excerpt(facts: _Facts, region: Region) -> Case:
    """A part, with as much around it as holes are filled in from.

    Raises:
        InputError: no pixel of it is known.
    """
    size = tuple(facts.known.shape[-2:])
    around = region.grown((MARGIN, MARGIN), (size[0], size[1]))
    known, problem = facts.known[around.slices], facts.problem
    if not bool(known.any()):
        raise InputError(
            f"{facts.picture.source}: no pixel of the region {region} is known; give another --crop"
        )
    y, truth = problem.y[around.slices].contiguous(), problem.truth
    cut = None if truth is None else truth[around.slices].contiguous()
    return _case(
        replace(
            facts,
            problem=Problem(Inpainting(known, y.shape[1:]), y, problem.noise_level, cut),
            known=known,
            mask=replace(facts.mask, known=facts.mask.known[region.slices]),
            picture=part_of(facts.picture, region, (size[0], size[1])),
            shown=region.within(around),
        )
    )


def _mask_in_file(path: Path | None) -> Mask | None:
    if path is None:
        return None
    known = read_mask(path)
    known = known if known.ndim == 3 else known[None]
    if not bool(known.any()):
        raise InputError(
            f"the mask {path} is black everywhere, so all pixels are missing; white marks known "
            "pixels, it may have to be inverted"
        )
    height, width = known.shape[-2:]
    file = SourceFile("mask", path, sha256_of(path), (height, width))
    return Mask(known, str(path), {"mask": path.name}, file)


def _drawn(picture: Picture, options: InpaintOptions) -> Mask:
    size = tuple(picture.pixels.shape[-2:])
    known = command_mask(options.kind.value, size, options.missing_share, options.seed)
    origin = f"{options.kind.value} drawn with seed {options.seed}"
    return Mask(known[None], origin, {"kind": options.kind.value, "seed": options.seed})


def _check_fit(mask: Mask, picture: Picture) -> None:
    """Refuses a mask of another size than the picture."""
    channels, height, width = mask.known.shape
    size = tuple(picture.pixels.shape[-2:])
    if (height, width) != size or channels not in (1, picture.pixels.shape[1]):
        raise InputError(
            f"the mask {mask.origin} is {width}×{height}"
            f"{'' if channels == 1 else f' with {channels} channels'} but {picture.source} is "
            f"{size[1]}×{size[0]}; expected a mask of the same size"
        )


def _estimated(y: Tensor, known: Tensor, picture: Picture) -> NoiseEstimate:
    """The noise level of y where whole windows are known, or of its file."""
    holes = (~known).float()[None]
    whole = functional.max_pool2d(holes, NOISE_WINDOW, stride=1) == 0
    found = int(whole.sum())
    if found < NOISE_ENOUGH:
        raise InputError(
            f"--sigma auto: only {found} windows of {NOISE_WINDOW}×{NOISE_WINDOW} pixels are known "
            f"as a whole, expected at least {NOISE_ENOUGH} to estimate the noise; give its level"
        )
    return estimate_noise(y.masked_fill(~known, math.nan), jpeg=picture.jpeg, stored=picture.pixels)


def _warnings(job: Job, mask: Mask, options: InpaintOptions) -> list[str]:
    out = []
    if mask.missing == 0:
        out.append(
            f"{job.source}: no pixel is missing in the mask ({mask.origin}); there is nothing to "
            "fill in"
        )
    if options.without_prior and mask.missing > 0:
        out.append(
            f"{job.source}: {options.named_solver} has no prior, so that the missing pixels stay "
            "as they were at the start; take one with a prior to fill them in"
        )
    if options.keep_known:
        out.append(
            f"{job.target}: the known pixels were put back (--keep-known); what was written is not "
            "the fixed point that the certificate is about"
        )
    return out


def _physics(mask: Mask, options: InpaintOptions) -> PhysicsRecord:
    share = f"{mask.missing:.1%} of the pixels"
    words = f"{share} are missing; a mask says which."
    if options.simulate:
        words = f"{share} of a clean picture were removed on purpose ({mask.origin})."
    return PhysicsRecord(
        "inpainting",
        {"missing": mask.missing, **mask.parameters},
        words,
        shown="missing pixels are black",
        picture=mask.known.float().mean(0).cpu(),
        caption="mask: white is known",
    )

"""`pnp-jpeg`: from a JPEG file to the case y = A x + error, |error| at most half a cell and
what the encoder rounded before it.

Imported after parsing: it loads torch.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from pnp_recon.cli.jpeg.facts import FileFacts, file_facts
from pnp_recon.cli.jpeg.options import DEFAULT_QUALITY, JpegOptions
from pnp_recon.cli.run.case import Case
from pnp_recon.cli.run.pictures import (
    part_of,
    read_input,
    read_reference,
    source_file,
    writer,
)
from pnp_recon.cli.run.plan import Job
from pnp_recon.cli.run.region import Region
from pnp_recon.cli.run.session import Session
from pnp_recon.cli.shell import parse_positive
from pnp_recon.errors import CertificateError
from pnp_recon.fidelity.cells import CellDistance
from pnp_recon.models import load
from pnp_recon.pictures.coefficients import read_coefficients
from pnp_recon.pictures.files import Picture
from pnp_recon.pictures.sources import read_bytes
from pnp_recon.report import PhysicsRecord, SourceFile
from pnp_recon.solvers.core.strength import Rule, Strength

# Found on six crops of val without BSD68. The truth lies anywhere in its cell, or hardly outside;
# a prior that may use all of it goes to the edge, one that may use a fifth stays nearer (narrow
# quantisation constraints: Park & Lee 1999). The level is that of the error, as estimated, times
# LEVEL; the weight makes leaving the narrow cells dear.
NARROW, LEVEL, WEIGHT = 0.2, 0.7, 20.0
LEAST_LEVEL = 0.5 / 255


def make_case(job: Job, session: Session[JpegOptions]) -> Case:
    """Cells, operator and level of a file; in a simulation the file is made first."""
    options = session.options
    data = read_bytes(job.source)
    if options.simulate:
        clean = read_input(job.source)
        data = _encoded(clean, options.quality or DEFAULT_QUALITY)
        facts = file_facts(read_coefficients(job.source, data))
        picture, truth = clean, clean.pixels
    else:
        # Said before the picture is: only a JPEG file has cells.
        facts = file_facts(read_coefficients(job.source, data))
        picture, truth = read_input(job.source), None
    if job.reference is not None:
        reference = read_reference(job.reference, picture, "artefacts")
        truth = reference.pixels
    files = [source_file("input", picture)]
    if job.reference is not None:
        files.append(source_file("reference", reference))
    session.watch.to("estimate")
    return _case(facts, picture, truth, tuple(files), session)


def _case(
    facts: FileFacts,
    picture: Picture,
    truth: Tensor | None,
    files: tuple[SourceFile, ...],
    session: Session[JpegOptions],
    shown: Region | None = None,
) -> Case:
    """The case of a file, or of some of its blocks; of those `shown` is shown, and of `truth`."""
    options = session.options
    part = (...,) if shown is None else shown.slices
    y = session.tensor(facts.middle)
    level = facts.level if options.noise_level is None else options.noise_level
    fidelity = CellDistance(
        facts.A, y, session.tensor(NARROW * facts.half), WEIGHT / max(level, LEAST_LEVEL) ** 2
    )

    def show(image: Tensor) -> Tensor:
        """The picture of an iterate: projected onto the cells, which limits survive."""
        return facts.shown(facts.inside(image)).to(image)[part]

    decoded = session.tensor(facts.shown(facts.start()))[part]
    pixels = session.tensor(picture.pixels)
    origin = "from the file's quantisation tables" if options.noise_level is None else "given"
    denoising = _denoising(level, options)
    return Case(
        y=y,
        A=facts.A,
        noise_level=level,
        noise_origin=origin,
        degraded=decoded if options.simulate or shown is not None else pixels,
        show=show,
        write=_writer(facts, picture, options, part),
        after=_after(facts, picture.bit_depth),
        reference=None if truth is None else session.tensor(truth),
        files=files,
        lines=(_words(facts), *_strength_line(denoising, options)),
        strength=_strength(denoising, options),
        warnings=picture.notes,
        physics=_physics(facts),
        energy=load.ENERGIES[facts.A.image_shape[0]],
        arguments={
            "fidelity": fidelity,
            "start": session.tensor(facts.start()),
            **denoising,
        },
        excerpt=None
        if shown is not None
        else partial(_excerpt, facts, picture, truth, files, session),
    )


def _excerpt(
    facts: FileFacts,
    picture: Picture,
    truth: Tensor | None,
    files: tuple[SourceFile, ...],
    session: Session[JpegOptions],
    region: Region,
) -> Case:
    """Whole blocks around a region."""
    height, width = picture.pixels.shape[-2:]
    few, around = facts.part(region)
    cut = None if truth is None else truth[region.slices]
    picture = part_of(picture, region, (height, width))
    return _case(few, picture, cut, files, session, region.within(around))


def _denoising(level: float, options: JpegOptions) -> dict[str, Any]:
    """The level of the denoiser or energy, which --strength multiplies."""
    if options.prior_kind != "denoiser":
        return {}
    factor = parse_positive(options.strength, "--strength") or 1.0
    return {"denoiser_level": factor * max(LEVEL * level, LEAST_LEVEL), "strength": 1.0}


def _strength(denoising: dict[str, Any], options: JpegOptions) -> Strength | None:
    """--strength as the report has it: it multiplies the level, the solver's stays at one."""
    if not denoising:
        return None
    asked = parse_positive(options.strength, "--strength")
    level = f"it multiplies the level of the denoiser, {255 * denoising['denoiser_level']:.3g}/255"
    return Strength(1.0, Rule.FIXED, level) if asked is None else Strength(asked, reason=level)


def _strength_line(denoising: dict[str, Any], options: JpegOptions) -> list[str]:
    """The same for the console."""
    if not denoising:
        return []
    asked = parse_positive(options.strength, "--strength")
    words = "1, the default" if asked is None else f"{asked:.3g}, as given"
    return [
        f"strength: {words}; level of the denoiser σ·255 = {255 * denoising['denoiser_level']:.3g}"
    ]


def _after(facts: FileFacts, depth: int) -> Callable[[Tensor], tuple[str, PhysicsRecord]]:
    """`Case.after`: every coefficient of the result is held against its cell."""

    def after(image: Tensor) -> tuple[str, PhysicsRecord]:
        found, physics = facts.inside(image), _physics(facts)
        line = certificate_line(facts, found, depth)
        counts = {
            "outside": facts.outside(found),
            "outside_rounded": facts.outside(facts.rounded(found, depth)),
        }
        words = f"{physics.words} {line[0].upper()}{line[1:]}."
        parameters = {**physics.parameters, **counts}
        return f"cells: {line}", replace(physics, parameters=parameters, words=words)

    return after


def _writer(
    facts: FileFacts, picture: Picture, options: JpegOptions, part: tuple[Any, ...]
) -> Callable[[Path, Tensor], list[str]]:
    """`Case.write`, for a picture whose coefficients lie in their cells; warns where they do not.

    Raises:
        CertificateError: some do not, and a certificate was required.
    """

    def write(path: Path, image: Tensor) -> list[str]:
        found, wrong = facts.inside(image), []
        if facts.outside(found):
            wrong = [certificate_line(facts, found, picture.bit_depth)]
            if options.require_certificate:
                raise CertificateError(f"a certificate was required: {wrong[0]}")
        save = writer(picture, lambda image: facts.shown(image)[part], options.overwrite)
        return [*wrong, *save(path, found)]

    return write


def certificate_line(facts: FileFacts, image: Tensor, depth: int) -> str:
    """Whether every coefficient lies in its cell, before and after rounding to `depth` bits.

    Args:
        image: (1, C, H, W) with padding, float64.
    """
    count = facts.count
    moved = facts.outside(facts.rounded(image, depth))
    verb = "lies" if moved == 1 else "lie"
    after = f"after rounding to {depth} bits, {moved} of them {verb} outside"
    if out := facts.outside(image):
        return f"{out} of {count} coefficients of the result lie outside your file's cells; {after}"
    return (
        f"every coefficient of the result lies in your file's cell ({count} of {count}, checked in "
        f"float64 before clipping and rounding); {after}"
    )


def _encoded(clean: Picture, quality: int) -> bytes:
    """The clean picture as libjpeg encodes it, colour with chroma at half the size."""
    pixels = (clean.pixels[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def _words(facts: FileFacts) -> str:
    table = facts.file.planes[0].table
    stored = "progressive " if facts.file.progressive else ""
    height, width = facts.file.size
    return (
        f"JPEG: {stored}{facts.file.words}, {width}×{height}, luma cells {table.min()} to "
        f"{table.max()} wide, {facts.count} coefficients"
    )


def _physics(facts: FileFacts) -> PhysicsRecord:
    table = torch.from_numpy(facts.file.planes[0].table.astype(np.float32))
    words = (
        "The file says of every coefficient of its 8 × 8 blocks in which cell it lay, once the "
        "encoder had rounded Y, Cb and Cr to whole numbers: the true picture may miss fine cells "
        "by as much. The result is the point of the cells that is nearest, in Y, Cb and Cr, to "
        "where the iteration ended; blocks that reach beyond the picture are met with pixels "
        "there that no file keeps."
    )
    if any(plane.factor != (1, 1) for plane in facts.file.planes):
        words += (
            " Chroma cells are those of averages over boxes of pixels, which is how libjpeg "
            "subsamples; for files of encoders that filter otherwise they are about as exact as "
            "that is."
        )
    parameters: dict[str, float | int | str | None] = {
        "colours": facts.file.words,
        "narrow": NARROW,
        "coefficients": facts.count,
    }
    return PhysicsRecord(
        "jpeg",
        parameters,
        words,
        shown="plainly decoded",
        picture=table / table.max(),
        caption="quantisation table of luma: white is coarse",
    )

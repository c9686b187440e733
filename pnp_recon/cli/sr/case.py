"""`pnp-sr`: from a small picture to the case y = A x + noise, A a blur and every f-th pixel of it.

Imported after parsing: it loads torch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from operators import Boundary, shrinking
from operators.downsampling import Downsampling
from pnp_recon.cli.run.case import Case
from pnp_recon.cli.run.pictures import (
    range_lines,
    read_input,
    source_file,
    unknown_loss,
    writer,
)
from pnp_recon.cli.run.plan import Job
from pnp_recon.cli.run.region import MIN_SIDE
from pnp_recon.cli.run.session import Session
from pnp_recon.cli.sr.options import EnlargeOptions
from pnp_recon.errors import InputError
from pnp_recon.estimation.doubts import doubts
from pnp_recon.estimation.noise import estimate_sharp_noise
from pnp_recon.files import sha256_of
from pnp_recon.models import load
from pnp_recon.pictures.files import Picture, read_picture
from pnp_recon.pictures.kernels import read_kernel
from pnp_recon.problems.noise import command_noise
from pnp_recon.problems.problem import Problem
from pnp_recon.problems.simulate import shrinking as shrunk
from pnp_recon.report import KernelRecord, PhysicsRecord, SourceFile

# Its picture is the proximal point, as near to the data as the noise allows; that of pnp-hqs is a
# denoised one, 0.2 to 0.6 dB worse in six cases of train.
SOLVER = "pnp-drs"
# Where rounding alone is known of, residuals of 0.8 to 1.0/255 were left by good results.
LEAST_DOUBTED = 1 / 255


@dataclass(frozen=True, eq=False)
class Filter:
    """A kernel (kh, kw), float64, and what is known about it."""

    kernel: Tensor
    record: KernelRecord
    words: str
    file: SourceFile | None = None
    warnings: tuple[str, ...] = ()


def make_case(job: Job, session: Session[EnlargeOptions]) -> Case:
    """Kernel, operator and noise level; in a simulation also the small picture."""
    options = session.options
    picture = read_input(job.source)
    blur = _filter(options)
    kernel = blur.kernel.to(session.device, session.dtype)
    x = session.tensor(picture.pixels)
    factor = options.scale
    boundary: Boundary = options.boundary.value
    _check_fits(kernel, picture, options)
    if options.simulate:
        problem = _simulated(x, kernel, picture, options)
        A = problem.A
    else:
        A = shrinking.shrink(kernel, factor, x.shape[1:], boundary)
        problem = Problem(A, x, options.noise_level)
    assert isinstance(A, Downsampling)
    rows, columns = shrinking.inside(A)
    truth = None if problem.truth is None else problem.truth[..., rows, columns]
    files = [source_file("input", picture)]
    if job.reference is not None:
        reference = _reference(job, picture, factor)
        truth = session.tensor(reference.pixels)
        files.append(source_file("reference", reference))
    if blur.file is not None:
        files.append(blur.file)
    session.watch.to("estimate")
    y = problem.y
    level, origin = options.noise_level, "simulated" if options.simulate else "given"
    if level is None:
        found = estimate_sharp_noise(y, picture.bit_depth, picture.jpeg)
        level, origin = found.level, found.words + unknown_loss(picture)
    degraded = enlarged(y, factor)

    def show(image: Tensor) -> Tensor:
        return image[..., rows, columns]

    def looked_at(image: Tensor) -> tuple[str, ...]:
        # No kernel is held against it: what is looked for there is the fault of a deblurring.
        point = torch.ones(1, 1, dtype=y.dtype, device=y.device)
        shown = show(image).clamp(0, 1)
        doubted = max(level, LEAST_DOUBTED)
        has_prior = not options.without_prior
        return doubts(degraded.clamp(0, 1), shown, point, y - A.A(image), doubted, prior=has_prior)

    return Case(
        y=y,
        A=A,
        noise_level=level,
        noise_origin=origin,
        degraded=degraded,
        show=show,
        doubts=looked_at,
        write=writer(_larger(picture, factor, options), show, options.overwrite),
        reference=truth,
        files=tuple(files),
        lines=(*range_lines(picture), _line(y, factor, blur)),
        warnings=(*picture.notes, *blur.warnings),
        kernel=blur.record,
        physics=_physics(blur, options),
        boundary=boundary,
        solver=SOLVER,
        energy=load.ENERGIES.get(x.shape[1]),
    )


def enlarged(y: Tensor, factor: int) -> Tensor:
    """A small picture (B, C, h, w) made f times as large by bicubic interpolation, a = −½."""
    return functional.interpolate(y, scale_factor=factor, mode="bicubic", antialias=True)


def _filter(options: EnlargeOptions) -> Filter:
    factor, path = options.scale, options.kernel_file
    if path is not None:
        return _from_file(options, factor)
    parameters: dict[str, float | int | str | None] = {}
    if options.kernel == "bicubic":
        kernel, words = shrinking.bicubic(factor, dtype=torch.float64), "bicubic"
    elif options.kernel == "box":
        kernel, words = shrinking.box(factor, dtype=torch.float64), "mean over a block"
    else:
        width = shrinking.WIDTH * factor if options.width is None else options.width
        kernel = shrinking.gaussian(factor, width, dtype=torch.float64)
        words, parameters = f"Gaussian, {width:.4g} px wide", {"std": width}
    how = "assumed" if options.kernel == EnlargeOptions.kernel else "given"
    return Filter(
        kernel, KernelRecord(kernel, options.kernel, "given", parameters), f"{words} ({how})"
    )


def _check_fits(kernel: Tensor, picture: Picture, options: EnlargeOptions) -> None:
    """Refuses a kernel that is larger than the large picture, of which nothing would be seen."""
    times = 1 if options.simulate else options.scale
    (kh, kw), (height, width) = kernel.shape, picture.pixels.shape[-2:]
    if kh > times * height or kw > times * width:
        raise InputError(
            f"the kernel is {kw}×{kh} pixels, larger than the large picture "
            f"({times * width}×{times * height}) of {picture.source}; use a smaller kernel"
        )


def _from_file(options: EnlargeOptions, factor: int) -> Filter:
    path = options.kernel_file
    assert path is not None
    kernel, warnings = read_kernel(path, options.kernel_key, dtype=torch.float64)
    if kernel.ndim != 2:
        found = "a kernel for each colour" if kernel.ndim == 3 else "a grid of kernels"
        raise InputError(f"{path} holds {found}; pnp-sr takes one for the whole picture")
    height, width = int(kernel.shape[0]), int(kernel.shape[1])
    if factor % 2 == 0:
        warnings = (
            *warnings,
            f"{path}: the middle of a kernel with an odd side lies on a pixel, that of a block of "
            f"{factor}×{factor} between two; the result is shifted by half a pixel",
        )
    record = KernelRecord(kernel, path.name, "file", {"height": height, "width": width})
    file = SourceFile("kernel", path, sha256_of(path), (height, width))
    return Filter(kernel, record, f"{path.name} ({width}×{height}, from file)", file, warnings)


def _simulated(x: Tensor, kernel: Tensor, picture: Picture, options: EnlargeOptions) -> Problem:
    """The large picture made small, with noise."""
    factor = options.scale
    boundary: Boundary = options.boundary.value
    height, width = x.shape[-2:]
    small = shrinking.sides_seen((height, width), kernel, factor, boundary)
    if min(small) < MIN_SIDE:
        raise InputError(
            f"{picture.source} ({width}×{height}) leaves less than {MIN_SIDE} pixels on a side "
            f"when it is made {factor} times smaller; use a larger picture or a smaller --scale"
        )
    sigma, draw = options.simulated_level, command_noise(options.seed)
    return shrunk(x, kernel, factor, sigma, draw, boundary)


def _reference(job: Job, picture: Picture, factor: int) -> Picture:
    """The true large picture, of the size of the result."""
    assert job.reference is not None
    reference = read_picture(job.reference, like=picture)
    channels, height, width = picture.pixels.shape[1:]
    wanted, found = (channels, factor * height, factor * width), tuple(reference.pixels.shape[1:])
    if found != wanted:
        raise InputError(
            f"the reference {job.reference} is {found[2]}×{found[1]} with {found[0]} channels, the "
            f"result is {wanted[2]}×{wanted[1]} with {wanted[0]}; expected the same picture, "
            f"{factor} times as large as {picture.source}"
        )
    return reference


def _larger(picture: Picture, factor: int, options: EnlargeOptions) -> Picture:
    """What the result keeps of the picture: alpha of its size, and as many inches."""
    if options.simulate:
        return picture
    alpha = None if picture.alpha is None else enlarged(picture.alpha, factor).clamp(0, 1)
    dpi = None if picture.dpi is None else (factor * picture.dpi[0], factor * picture.dpi[1])
    return replace(picture, alpha=alpha, dpi=dpi)


def _line(y: Tensor, factor: int, blur: Filter) -> str:
    height, width = y.shape[-2:]
    return (
        f"enlarging: {width}×{height} -> {factor * width}×{factor * height}, shrunk with the "
        f"kernel {blur.words}"
    )


def _physics(blur: Filter, options: EnlargeOptions) -> PhysicsRecord:
    f = options.scale
    words = (
        f"The picture counts as a large one that was blurred with the kernel shown ({blur.words}), "
        f"of which every {f}th pixel was kept on each axis"
    )
    if options.simulate:
        words = (
            f"A large picture was blurred on purpose ({blur.words}), and every {f}th pixel was "
            "kept on each axis."
        )
    else:
        words += (
            ". By what it was made small in truth, the picture does not say: the certificate is "
            "about this kernel. What is finer than its pixels is the prior's, and not seen."
        )
    return PhysicsRecord(
        "super-resolution",
        {"scale": f, "kernel": options.kernel},
        words,
        shown=f"bicubic, {f} times as large",
    )

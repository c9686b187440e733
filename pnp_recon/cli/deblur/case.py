"""`pnp-deblur`: from a picture file to the case y = A x + noise.

Imported after parsing: it loads torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from torch import Tensor

from operators.base import LinearOperator
from pnp_recon.cli.deblur.blur import Blur, find_blur, refined
from pnp_recon.cli.deblur.options import DeblurOptions
from pnp_recon.cli.run.case import Case
from pnp_recon.cli.run.pictures import (
    MIN_SIDE,
    range_lines,
    read_input,
    read_reference,
    source_file,
    writer,
)
from pnp_recon.cli.run.plan import Job
from pnp_recon.cli.run.session import Session
from pnp_recon.errors import InputError
from pnp_recon.estimation.clipping import clipped_pixels
from pnp_recon.estimation.doubts import doubts
from pnp_recon.estimation.noise import estimate_noise
from pnp_recon.fidelity import WeightedLeastSquares
from pnp_recon.models import load
from pnp_recon.pictures.colour import linear_to_srgb, srgb_slope, srgb_to_linear
from pnp_recon.pictures.files import Picture
from pnp_recon.problems.noise import command_noise
from pnp_recon.problems.problem import Problem
from pnp_recon.problems.simulate import blur as optics
from pnp_recon.problems.simulate import deblurring

# Weights are 1/σ²: no level is taken for less.
LEAST_LEVEL = 0.1 / 255


def make_case(job: Job, session: Session[DeblurOptions]) -> Case:
    """Kernel, operator and noise level; in a simulation also the degraded picture."""
    options = session.options
    picture = read_input(job.source)
    reference = None
    if job.reference is not None:
        reference = read_reference(job.reference, picture, "the blur")
    x = _light(picture, session)
    blur = find_blur(options, x, picture.source)
    kh, kw = _fitting(blur, picture)
    kernel = blur.kernel.to(session.device, session.dtype)
    # With an unknown border the picture is larger than what the camera saw, by half a kernel.
    valid = options.boundary == "valid"
    rows, columns = (_inner(kh), _inner(kw)) if valid else (slice(None), slice(None))
    if options.simulate:
        problem = _simulated(x, kernel, picture, options)
        truth: Tensor | None = x[..., rows, columns]
    else:
        channels, height, width = x.shape[1:]
        grown = (channels, height + kh - 1, width + kw - 1) if valid else x.shape[1:]
        A = optics(kernel, grown, options.boundary.value)
        truth = None if reference is None else _light(reference, session)
        problem = Problem(A, x, options.noise_level)
    y = problem.y
    clipped = None if options.simulate else clipped_pixels(picture.pixels, picture.bit_depth)
    level, origin = options.noise_level, "simulated" if options.simulate else "given"
    if level is None:
        slope = srgb_slope(picture.pixels) if options.linear_light else 1.0
        found = estimate_noise(y, kernel, picture.jpeg, picture.pixels, slope, clipped)
        level, origin = found.level, found.words

    weighted = _weighted(problem.A, y, level, clipped, options)

    def view(values: Tensor) -> Tensor:
        return linear_to_srgb(values) if options.linear_light else values

    def show(image: Tensor) -> Tensor:
        return view(image[..., rows, columns])

    def doubted(A: LinearOperator, kernel: Tensor, image: Tensor) -> tuple[str, ...]:
        shown = show(image).clamp(0, 1)
        residual = y - A.A(image)
        residual = residual if clipped is None else residual[(~clipped).expand_as(residual)]
        return doubts(view(y).clamp(0, 1), shown, kernel, residual, level)

    def adopt(case: Case, found: Mapping[str, Tensor]) -> Case:
        better, line = refined(blur, found["kernel"], options)
        now = better.kernel.to(session.device, session.dtype)
        A = optics(now, case.A.image_shape, options.boundary.value)
        doubts, lines = partial(doubted, A, now), (*case.lines, line)
        return replace(case, A=A, doubts=doubts, kernel=better.record, lines=lines)

    files = [source_file("input", picture)]
    if reference is not None:
        files.append(source_file("reference", reference))
    if blur.file is not None:
        files.append(blur.file)
    return Case(
        y=y,
        A=problem.A,
        noise_level=level,
        noise_origin=origin,
        degraded=view(y),
        show=show,
        doubts=partial(doubted, problem.A, kernel),
        write=writer(picture, show, options.overwrite),
        reference=None if truth is None else view(truth),
        files=tuple(files),
        lines=(*range_lines(picture), *blur.lines()),
        warnings=(*picture.notes, *blur.warnings, *_clipping_words(picture, weighted)),
        kernel=blur.record,
        boundary=options.boundary.value,
        linear_light=options.linear_light,
        energy=load.ENERGIES.get(x.shape[1]),
        arguments={} if weighted is None else {"fidelity": weighted},
        adopt=adopt,
        wrote=() if options.kernel_out is None else (options.kernel_out,),
    )


def _light(picture: Picture, session: Session[DeblurOptions]) -> Tensor:
    """Pixels as stored -> values that the blur is linear in, on the device."""
    x = session.tensor(picture.pixels)
    return srgb_to_linear(x) if session.options.linear_light else x


def _weighted(
    A: LinearOperator, y: Tensor, level: float, clipped: Tensor | None, options: DeblurOptions
) -> WeightedLeastSquares | None:
    """Least squares in which clipped pixels have no weight, for the methods that take weights."""
    if clipped is None or options.model is not None or options.prior_kind == "none":
        return None
    known = (~clipped).to(y).expand_as(y).contiguous()
    return WeightedLeastSquares(A, y, known.to(y.device) / max(level, LEAST_LEVEL) ** 2)


def _clipping_words(picture: Picture, weighted: WeightedLeastSquares | None) -> tuple[str, ...]:
    if weighted is None:
        return ()
    share = float((weighted.weights == 0).double().mean())
    return (
        f"{picture.source}: {share:.2%} of the picture is clipped (at the largest or the smallest "
        "value of the file, or beside such a pixel); it carries no weight and is filled in",
    )


def _inner(taps: int) -> slice:
    """Without half a kernel at either end."""
    return slice(taps // 2, None if taps < 3 else -(taps // 2))


def _fitting(blur: Blur, picture: Picture) -> tuple[int, int]:
    """Height and width of the kernel, which must not exceed the picture's."""
    (kh, kw), (height, width) = blur.kernel.shape[-2:], picture.pixels.shape[-2:]
    if kh > height or kw > width:
        raise InputError(
            f"the kernel is {kw}×{kh} pixels, larger than {picture.source} ({width}×{height}); "
            "use a smaller kernel or a larger picture"
        )
    return kh, kw


def _simulated(x: Tensor, kernel: Tensor, picture: Picture, options: DeblurOptions) -> Problem:
    """The picture seen through the blur, with noise."""
    sigma, draw = options.simulated_level, command_noise(options.seed)
    problem = deblurring(x, kernel, sigma, draw, options.boundary.value)
    if min(problem.y.shape[-2:]) < MIN_SIDE:
        height, width = x.shape[-2:]
        kh, kw = kernel.shape[-2:]
        raise InputError(
            f"{picture.source} ({width}×{height}) leaves less than {MIN_SIDE} pixels beside "
            f"the kernel's border ({kw}×{kh}); use a smaller kernel or another --boundary"
        )
    return problem

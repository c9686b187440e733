"""`pnp-deblur`: from a picture file to the case y = A x + noise.

Imported after parsing: it loads torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from operators.base import LinearOperator
from operators.borders import Boundary
from operators.fourier import next_smooth
from pnp_recon.cli.deblur.blur import Blur, find_blur, refined, write_kernel
from pnp_recon.cli.deblur.options import DeblurOptions
from pnp_recon.cli.deblur.photons import (
    LIKELY,
    WEIGHED,
    Photons,
    check_counts,
    photons_of,
    takes_likelihood,
)
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
from pnp_recon.cli.run.region import MIN_SIDE, Region
from pnp_recon.cli.run.session import Session
from pnp_recon.errors import InputError
from pnp_recon.estimation.clipping import are_clipped, clipped_pixels, outshone
from pnp_recon.estimation.doubts import doubts
from pnp_recon.estimation.noise import estimate_noise
from pnp_recon.fidelity import Fidelity, WeightedLeastSquares
from pnp_recon.models import load
from pnp_recon.pictures.colour import linear_to_srgb, srgb_slope, srgb_to_linear
from pnp_recon.pictures.files import Picture
from pnp_recon.problems.noise import command_noise, command_photons
from pnp_recon.problems.problem import Problem
from pnp_recon.problems.simulate import blur as optics
from pnp_recon.problems.simulate import counted_deblurring, deblurring
from pnp_recon.report import SourceFile

# Weights are 1/σ²: no level is taken for less.
LEAST_LEVEL = 0.1 / 255
# Kernels around a region that are restored with it. What differs from the whole picture there was
# measured as 2.6/255 (root mean square) with one, 1.2 with two and 0.7 with three, of a whole that
# was 11/255 off the truth (a 9 pixel motion, noise 2.55/255).
MARGIN = 2


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
    photons = photons_of(picture, options)
    if options.simulate:
        problem = _simulated(x, kernel, picture, options, photons)
        truth: Tensor | None = x[..., rows, columns]
    else:
        channels, height, width = x.shape[1:]
        grown = (channels, height + kh - 1, width + kw - 1) if valid else x.shape[1:]
        A = optics(kernel, grown, options.boundary.value)
        truth = None if reference is None else _light(reference, session)
        problem = Problem(A, x, options.noise_level)
    y = problem.y
    clipped = None
    if not options.simulate:
        # No photon came where it is black, and none is a count.
        clipped = clipped_pixels(picture.pixels, picture.bit_depth, black=photons is None)
    level, origin = options.noise_level, "simulated" if options.simulate else "given"
    if photons is not None:
        check_counts(y, photons, picture)
        y = y - photons.offset
        level, origin = photons.level(y), photons.origin
    if level is None:
        slope = srgb_slope(picture.pixels) if options.linear_light else 1.0
        about = y, kernel, picture.jpeg, picture.pixels, slope
        found = estimate_noise(*about, clipped)
        if clipped is not None and not _clips(problem.A, y, clipped, found.level):
            clipped, found = None, estimate_noise(*about)
        level, origin = found.level, found.words
    elif clipped is not None and not _clips(problem.A, y, clipped, level):
        clipped = None
    facts = _Facts(
        y,
        problem.A,
        blur,
        kernel,
        level,
        origin,
        clipped,
        picture,
        truth,
        _files(picture, reference, blur),
        options,
        photons,
    )
    return _case(facts)


@dataclass(frozen=True, eq=False)
class _Facts:
    """What the case of a picture, or of a part of it, is made of.

    Attributes:
        y, A: y = A x + noise, whatever the size of x.
        truth: the true picture where y is, if it is known; `clipped` has that size, too.
        photons: the counts behind the pixels, if they are known; y is then without the background.
    """

    y: Tensor
    A: LinearOperator
    blur: Blur
    kernel: Tensor
    level: float
    origin: str
    clipped: Tensor | None
    picture: Picture
    truth: Tensor | None
    files: tuple[SourceFile, ...]
    options: DeblurOptions
    photons: Photons | None = None
    boundary: Boundary | None = None
    # Of what is solved, what is shown.
    shown: Region | None = None

    @property
    def border(self) -> Boundary:
        return self.boundary or self.options.boundary.value


def _case(facts: _Facts) -> Case:
    """The case of these facts: what is solved, and what is shown of it."""
    y, A, options, picture = facts.y, facts.A, facts.options, facts.picture
    kh, kw = facts.kernel.shape[-2:]
    # With an unknown border the picture is larger than what the camera saw, by half a kernel.
    valid = facts.border == "valid"
    rows, columns = (_inner(kh), _inner(kw)) if valid else (slice(None), slice(None))
    part = (...,) if facts.shown is None else facts.shown.slices
    known = _known(A, y, facts.level, facts.clipped, options)
    fidelity = _fidelity(facts, known)
    photons = facts.photons
    noise = facts.level if photons is None else photons.variance(y, known).sqrt()

    def view(values: Tensor) -> Tensor:
        return linear_to_srgb(values) if options.linear_light else values

    def show(image: Tensor) -> Tensor:
        return view(image[..., rows, columns][part])

    def doubted(A: LinearOperator, kernel: Tensor, image: Tensor) -> tuple[str, ...]:
        shown = view(image[..., rows, columns]).clamp(0, 1)
        # In units of its noise, pixel by pixel where photons make it.
        residual = (y - A.A(image)) / noise * facts.level if photons else y - A.A(image)
        residual = residual if known is None else residual[known.expand_as(residual)]
        peak = None if photons is None else photons.peak
        return doubts(view(y).clamp(0, 1), shown, kernel, residual, facts.level, peak)

    def write(kernel: Tensor, target: Path, image: Tensor) -> list[str]:
        write_kernel(kernel, options)
        return writer(picture, show, options.overwrite)(target, image)

    def adopt(case: Case, found: Mapping[str, Tensor]) -> Case:
        better, line = refined(facts.blur, found["kernel"])
        now = better.kernel.to(facts.kernel)
        now_A = optics(now, case.A.image_shape, facts.border)
        doubts, lines = partial(doubted, now_A, now), (*case.lines, line)
        return replace(
            case,
            A=now_A,
            doubts=doubts,
            kernel=better.record,
            lines=lines,
            write=partial(write, better.kernel),
        )

    lines = (*range_lines(picture), *facts.blur.lines())
    if photons is not None:
        lines = (*lines, LIKELY if takes_likelihood(options) else WEIGHED)
    return Case(
        y=y if fidelity is None else fidelity.y,
        A=A,
        noise_level=facts.level,
        noise_origin=facts.origin,
        noise_words=None if photons is None else photons.words(y),
        degraded=view(y)[part],
        show=show,
        doubts=partial(doubted, A, facts.kernel),
        write=partial(write, facts.blur.kernel),
        reference=None if facts.truth is None else view(facts.truth)[part],
        files=facts.files,
        lines=lines,
        warnings=(*picture.notes, *facts.blur.warnings, *_clipping_words(picture, known)),
        kernel=facts.blur.record,
        boundary=facts.border,
        linear_light=options.linear_light,
        energy=load.ENERGIES.get(y.shape[1]),
        arguments={} if fidelity is None else _arguments(facts, fidelity),
        # The kernels of a part of a field are not those of the whole.
        excerpt=None
        if facts.shown is not None or facts.kernel.dim() == 4
        else partial(_excerpt, facts),
        origin=(kh // 2, kw // 2) if valid and options.simulate else (0, 0),
        adopt=adopt,
        wrote=() if options.kernel_out is None else (options.kernel_out,),
    )


def _excerpt(facts: _Facts, region: Region) -> Case:
    """A part with a margin; what lies beyond that is not known."""
    y, (kh, kw) = facts.y, facts.kernel.shape[-2:]
    height, width = y.shape[-2:]
    around = region.grown((MARGIN * kh, MARGIN * kw), (height, width))
    # Transforms of what is solved, with half a kernel around it, are fast at these lengths.
    rows, columns = (
        next_smooth(side + taps - 1) - (taps - 1)
        for side, taps in ((around.height, kh), (around.width, kw))
    )
    around = around.filled((rows, columns), (height, width))
    seen = y[around.slices].contiguous()
    grown = (y.shape[1], around.height + kh - 1, around.width + kw - 1)
    return _case(
        replace(
            facts,
            y=seen,
            A=optics(facts.kernel, grown, "valid"),
            clipped=None if facts.clipped is None else facts.clipped[around.slices],
            picture=part_of(facts.picture, region, (height, width)),
            truth=None if facts.truth is None else facts.truth[around.slices],
            boundary="valid",
            shown=region.within(around),
        )
    )


def _files(picture: Picture, reference: Picture | None, blur: Blur) -> tuple[SourceFile, ...]:
    files = [source_file("input", picture)]
    if reference is not None:
        files.append(source_file("reference", reference))
    if blur.file is not None:
        files.append(blur.file)
    return tuple(files)


def _light(picture: Picture, session: Session[DeblurOptions]) -> Tensor:
    """Pixels as stored -> values that the blur is linear in, on the device."""
    x = session.tensor(picture.pixels)
    return srgb_to_linear(x) if session.options.linear_light else x


def _known(
    A: LinearOperator, y: Tensor, level: float, clipped: Tensor | None, options: DeblurOptions
) -> Tensor | None:
    """(1, 1, H, W), False where clipped, for the methods that can leave pixels out; else None."""
    if clipped is None or options.model is not None or options.prior_kind == "none":
        return None
    return ~outshone(A, y, clipped, max(level, LEAST_LEVEL))


def _fidelity(facts: _Facts, known: Tensor | None) -> Fidelity | None:
    """Least squares in which clipped pixels have no weight, or what photons ask for."""
    y, A = facts.y, facts.A
    if facts.photons is not None:
        return facts.photons.fidelity(A, y, known, facts.options)
    if known is None:
        return None
    weights = known.to(y).expand_as(y).contiguous() / max(facts.level, LEAST_LEVEL) ** 2
    return WeightedLeastSquares(A, y, weights)


def _arguments(facts: _Facts, fidelity: Fidelity) -> dict[str, Any]:
    """Arguments of `reconstruct`; counts begin where least squares would."""
    if facts.photons is None or fidelity.y is facts.y:
        return {"fidelity": fidelity}
    return {"fidelity": fidelity, "start": facts.A.initial_guess(facts.y).clamp(0, 1)}


def _clips(A: LinearOperator, y: Tensor, clipped: Tensor, level: float) -> bool:
    return are_clipped(A, y, clipped, max(level, LEAST_LEVEL))


def _clipping_words(picture: Picture, known: Tensor | None) -> tuple[str, ...]:
    if known is None:
        return ()
    share = float((~known).double().mean())
    return (
        f"{picture.source}: {share:.2%} of the picture is clipped (at the largest or the smallest "
        "value of the file, or beside such a pixel, or in the halo of a light brighter than white);"
        " it carries no weight and is filled in",
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


def _simulated(
    x: Tensor, kernel: Tensor, picture: Picture, options: DeblurOptions, photons: Photons | None
) -> Problem:
    """The picture seen through the blur, with noise."""
    sigma = options.simulated_level
    border: Boundary = options.boundary.value
    if photons is None:
        problem = deblurring(x, kernel, sigma, command_noise(options.seed), border)
    else:
        draw = command_photons(options.seed, photons.peak * (options.level() or 0.0))
        problem = counted_deblurring(x, kernel, photons.peak, photons.background, draw, border)
    if min(problem.y.shape[-2:]) < MIN_SIDE:
        height, width = x.shape[-2:]
        kh, kw = kernel.shape[-2:]
        raise InputError(
            f"{picture.source} ({width}×{height}) leaves less than {MIN_SIDE} pixels beside "
            f"the kernel's border ({kw}×{kh}); use a smaller kernel or another --boundary"
        )
    return problem

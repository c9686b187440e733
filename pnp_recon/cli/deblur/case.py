"""`pnp-deblur`: from a picture file to the case y = A x + noise.

Imported after parsing: it loads torch.
"""

from __future__ import annotations

from torch import Tensor

from operators.base import LinearOperator
from operators.borders import Boundary
from pnp_recon.cli.deblur.blur import Blur, find_blur
from pnp_recon.cli.deblur.facts import LEAST_LEVEL, Facts, case_of, inside
from pnp_recon.cli.deblur.options import DeblurOptions
from pnp_recon.cli.deblur.photons import Photons, check_counts, photons_of
from pnp_recon.cli.run.case import Case
from pnp_recon.cli.run.pictures import read_input, read_reference, source_file, unknown_loss
from pnp_recon.cli.run.plan import Job
from pnp_recon.cli.run.region import MIN_SIDE
from pnp_recon.cli.run.session import Session
from pnp_recon.errors import InputError
from pnp_recon.estimation.clipping import are_clipped, clipped_pixels
from pnp_recon.estimation.noise import NoiseEstimate, estimate_noise
from pnp_recon.estimation.noise.estimate import JPEG
from pnp_recon.pictures.colour import srgb_slope, srgb_to_linear
from pnp_recon.pictures.files import Picture
from pnp_recon.problems.noise import command_noise, command_photons
from pnp_recon.problems.problem import Problem
from pnp_recon.problems.simulate import blur as optics
from pnp_recon.problems.simulate import counted_deblurring, deblurring
from pnp_recon.report import SourceFile
from pnp_recon.solvers.core.strength import Rule, Strength


def make_case(job: Job, session: Session[DeblurOptions]) -> Case:
    """Kernel, operator and noise level; in a simulation also the degraded picture."""
    options = session.options
    picture = read_input(job.source)
    reference = None
    if job.reference is not None:
        reference = read_reference(job.reference, picture, "the blur")
    x = _light(picture, session)
    session.watch.to("estimate")
    blur = find_blur(options, x, picture.source)
    kh, kw = _fitting(blur, picture)
    kernel = blur.kernel.to(session.device, session.dtype)
    # With an unknown border the picture is larger than what the camera saw, by half a kernel.
    valid = options.boundary == "valid"
    rows, columns = (inside(kh), inside(kw)) if valid else (slice(None), slice(None))
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
    strength = None
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
        level, origin = found.level, found.words + unknown_loss(picture)
        strength = _strength(found, options)
    elif clipped is not None and not _clips(problem.A, y, clipped, level):
        clipped = None
    facts = Facts(
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
        strength,
    )
    return case_of(facts)


def _strength(noise: NoiseEstimate, options: DeblurOptions) -> Strength | None:
    """1 where a JPEG file made the noise: every prior keeps most of it, and trials tell nothing."""
    priorless = options.model is not None or options.without_prior
    if noise.source != JPEG or priorless or options.asked_strength != "auto":
        return None
    return Strength(1.0, Rule.FIXED, "the noise of a JPEG file is not white, as trials need it")


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


def _clips(A: LinearOperator, y: Tensor, clipped: Tensor, level: float) -> bool:
    return are_clipped(A, y, clipped, max(level, LEAST_LEVEL))


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

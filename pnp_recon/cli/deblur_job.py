"""`pnp-deblur` for one picture: file -> problem -> solver -> picture and report.

Imported after parsing: it loads torch.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from operators.convolution import Convolution
from pnp_recon import weights
from pnp_recon.cli.common import choose_device
from pnp_recon.cli.deblur_blur import Blur, find_blur
from pnp_recon.cli.deblur_plan import Job, Options, check_places, parse_positive
from pnp_recon.cli.live import LiveLine
from pnp_recon.denoisers import Denoiser
from pnp_recon.errors import CertificateError, InputError, StepSizeError
from pnp_recon.files import atomic_write
from pnp_recon.images import (
    Picture,
    check_picture_target,
    linear_to_srgb,
    read_picture,
    srgb_to_linear,
    write_picture,
)
from pnp_recon.metrics import psnr, ssim
from pnp_recon.noise import estimate_noise_level
from pnp_recon.reconstruct import reconstruct
from pnp_recon.report import (
    Quality,
    Run,
    SourceFile,
    check_report_target,
    residuals_csv,
    write_report,
)
from pnp_recon.solvers import Look, Solution, Stopping

# Below this a picture is all border.
MIN_SIDE = 8
# The PSNR is recorded where the iteration has grown by this factor: a picture costs a solve.
TRACK_GROWTH = 1.25


@dataclass
class Session:
    """What the files of one call share: device, precision, denoisers once loaded."""

    options: Options
    device: torch.device = field(init=False)
    dtype: torch.dtype = field(init=False)
    denoisers: dict[str, Denoiser] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.device = choose_device(self.options.device)
        self.dtype = torch.float64 if self.options.dtype == "float64" else torch.float32

    def denoiser(self, channels: int) -> Denoiser:
        name = self.options.denoiser
        if name == "auto":
            name = weights.AUTO[channels]
        if name not in self.denoisers:
            self.denoisers[name] = weights.load_denoiser(
                name, device=str(self.device), dtype=self.dtype
            )
        return self.denoisers[name]

    def tensor(self, pixels: Tensor) -> Tensor:
        """Pixels as stored -> values that the blur is linear in, on the device."""
        x = pixels.to(self.device, self.dtype)
        return srgb_to_linear(x) if self.options.linear_light else x

    def view(self, x: Tensor) -> Tensor:
        """Back to values as stored."""
        return linear_to_srgb(x) if self.options.linear_light else x


@dataclass(frozen=True, eq=False)
class Problem:
    """y = A x + noise. `crop` cuts from x what the camera saw; `reference` is so cut."""

    y: Tensor
    A: Convolution
    crop: tuple[slice, slice]
    blur: Blur
    noise_level: float
    noise_origin: str
    reference: Tensor | None = None

    def seen(self, x: Tensor) -> Tensor:
        return x[..., self.crop[0], self.crop[1]]


@dataclass(frozen=True, eq=False)
class Result:
    """One finished picture."""

    job: Job
    run: Run
    notes: tuple[str, ...]


def deblur(job: Job, session: Session, live: LiveLine, say: Callable[[str], None]) -> Result:
    """Deblurs one picture and writes everything that was asked for.

    `say` gets lines of text as soon as they are known.

    Raises:
        PnPReconError, OperatorError: nothing was written then, unless the picture is finished and
            its report cannot be written.
    """
    options, begin = session.options, time.perf_counter()
    picture = read_picture(job.source)
    check_places(job, options)
    check_picture_target(job.target, picture, options.overwrite)
    if job.report is not None:
        check_report_target(job.report, options.overwrite)
    _check_size(picture)
    reference = None if job.reference is None else _read_reference(job.reference, picture)
    read = time.perf_counter()
    live.stage("looking at the blur")
    problem = _problem(picture, reference, session)
    for line in problem.blur.lines():
        say(line)
    say(f"noise: σ·255 = {255 * problem.noise_level:.3g} ({problem.noise_origin})")
    denoiser = session.denoiser(problem.y.shape[1])
    if options.require_certificate:
        _require_before(denoiser, options.solver)
    prepared = time.perf_counter()
    live.stage("starting")
    solution, track = _solve(problem, denoiser, session, live)
    solved = time.perf_counter()
    if options.require_certificate and not solution.certificate.holds:
        raise CertificateError(
            f"{job.source}: a certificate was required: {solution.certificate.verdict}; nothing "
            "was written"
        )
    run = _as_run(job, picture, reference, problem, denoiser, solution, session)
    run = replace(run, psnr_track=track)
    like = replace(picture, alpha=None if picture.alpha is None else _cut(picture.alpha, run))
    notes = (*problem.blur.warnings, *write_picture(job.target, run.restored, like, options.overwrite))
    timings = {
        "read": read - begin,
        "prepare": prepared - read,
        "reconstruct": solved - prepared,
        "total": time.perf_counter() - begin,
    }
    run = replace(run, timings=timings, notes=notes)
    if job.residuals is not None:
        atomic_write(job.residuals, residuals_csv(solution.history, track))
    if job.report is not None:
        live.stage("writing the report")
        write_report(job.report, run, overwrite=options.overwrite)
    return Result(job, run, notes)


def _check_size(picture: Picture) -> None:
    height, width = picture.pixels.shape[-2:]
    if min(height, width) < MIN_SIDE:
        raise InputError(
            f"{picture.source} is {width}×{height} pixels; expected at least {MIN_SIDE} on each "
            "side, give a larger picture"
        )


def _read_reference(path: Path, picture: Picture) -> Picture:
    reference = read_picture(path)
    if reference.pixels.shape != picture.pixels.shape:
        raise InputError(
            f"the reference {path} is {_size(reference)} but {picture.source} is {_size(picture)}; "
            "expected the same picture without the blur"
        )
    return reference


def _size(picture: Picture) -> str:
    channels, height, width = picture.pixels.shape[1:]
    return f"{width}×{height} {'grey' if channels == 1 else 'colour'}"


def _problem(picture: Picture, reference: Picture | None, session: Session) -> Problem:
    """Kernel, operator and noise level; in a simulation also the degraded picture."""
    options = session.options
    x = session.tensor(picture.pixels)
    channels, height, width = x.shape[1:]
    blur = find_blur(options, x, picture.source)
    kh, kw = blur.kernel.shape
    if kh > height or kw > width:
        raise InputError(
            f"the kernel is {kw}×{kh} pixels, larger than {picture.source} ({width}×{height}); "
            "use a smaller kernel or a larger picture"
        )
    kernel = blur.kernel.to(session.device, session.dtype)
    valid = options.boundary == "valid"
    whole = (slice(None), slice(None))
    inner = (slice(kh // 2, None if kh < 3 else -(kh // 2)),
             slice(kw // 2, None if kw < 3 else -(kw // 2)))  # fmt: skip
    crop = inner if valid else whole
    if options.simulate:
        A = Convolution(kernel, x.shape[1:], options.boundary)  # type: ignore[arg-type]
        if min(A.measurement_shape[1:]) < MIN_SIDE:
            raise InputError(
                f"{picture.source} ({width}×{height}) leaves less than {MIN_SIDE} pixels beside "
                f"the kernel's border ({kw}×{kh}); use a smaller kernel or another --boundary"
            )
        generator = torch.Generator().manual_seed(options.seed)
        noise = torch.randn((1, *A.measurement_shape), generator=generator, dtype=torch.float64)
        y = A.A(x) + options.simulated_level * noise.to(x)
        truth: Tensor | None = x[..., crop[0], crop[1]]
    else:
        grown = (channels, height + kh - 1, width + kw - 1) if valid else x.shape[1:]
        A = Convolution(kernel, grown, options.boundary)  # type: ignore[arg-type]
        y = x
        truth = None if reference is None else session.tensor(reference.pixels)
    level, origin = options.noise_level, "simulated" if options.simulate else "given"
    if level is None:
        level, origin = float(estimate_noise_level(y)), "estimated from the picture"
    return Problem(y, A, crop, blur, level, origin, truth)


def _require_before(denoiser: Denoiser, solver: str) -> None:
    """What can be known of a certificate before the run."""
    held = denoiser.guarantee
    needs_slack = solver in ("pnp-pgd", "pnp-hqs")
    if held.is_averaged if needs_slack else held.is_nonexpansive:
        return
    need = "averaged (α < 1)" if needs_slack else "1-Lipschitz"
    raise CertificateError(
        f"a certificate was required, but denoiser {denoiser.name} is not proven to be {need}: "
        f"{held}; choose another denoiser, or leave out --require-certificate"
    )


def _solve(
    problem: Problem, denoiser: Denoiser, session: Session, live: LiveLine
) -> tuple[Solution, tuple[tuple[int, float], ...]]:
    """The run, and the PSNR along it where there is a reference and somebody to see it."""
    options = session.options
    wanted = live.visible or options.report is not None or options.residuals is not None
    truth = session.view(problem.reference) if problem.reference is not None and wanted else None
    track: list[tuple[int, float]] = []

    def look(seen: Look) -> None:
        if truth is not None and (not track or seen.iteration >= TRACK_GROWTH * track[-1][0]):
            now = session.view(problem.seen(seen.image()))
            track.append((seen.iteration, float(psnr(now, truth))))
        live.update(seen.iteration, seen.residual, track[-1][1] if track else None)

    limits = {"tol": options.tol, "max_iter": options.max_iter, "time_limit": options.time_limit}
    given = {key: value for key, value in limits.items() if value is not None}
    try:
        solution = reconstruct(
            problem.y,
            problem.A,
            denoiser,
            noise_level=problem.noise_level,
            solver=options.solver,
            strength=parse_positive(options.strength, "--strength") or 1.0,
            step=options.step,
            stopping=Stopping(**given) if given else None,  # type: ignore[arg-type]
            allow_uncertified=options.allow_uncertified,
            callback=look,
        )
    except StepSizeError as error:
        if options.require_certificate:
            raise CertificateError(f"a certificate was required: {error}") from error
        raise
    return solution, tuple(track)


def _as_run(
    job: Job,
    picture: Picture,
    reference: Picture | None,
    problem: Problem,
    denoiser: Denoiser,
    solution: Solution,
    session: Session,
) -> Run:
    options = session.options
    degraded = session.view(problem.y).clamp(0, 1)
    restored = session.view(problem.seen(solution.image)).clamp(0, 1)
    truth = None if problem.reference is None else session.view(problem.reference)
    files = [_source("input", picture)]
    if reference is not None:
        files.append(_source("reference", reference))
    if problem.blur.file is not None:
        files.append(problem.blur.file)
    return Run(
        solution=solution,
        operator=problem.A,
        denoiser=denoiser,
        degraded=degraded.cpu(),
        restored=restored.cpu(),
        reference=None if truth is None else truth.cpu(),
        boundary=options.boundary,
        kernel=problem.blur.record,
        noise_level=problem.noise_level,
        noise_origin=problem.noise_origin,
        denoiser_sha256=denoiser.card.get("sha256"),
        files=tuple(files),
        output=job.target,
        before=_quality(degraded, truth),
        after=_quality(restored, truth),
        options=dict(vars(options)),
        device=session.device,
        dtype=session.dtype,
        simulated=options.simulate,
        linear_light=options.linear_light,
    )


def _cut(alpha: Tensor, run: Run) -> Tensor:
    """Alpha of what is written: a simulation with the border rule `valid` loses its border."""
    height, width = run.restored.shape[-2:]
    top, left = (alpha.shape[-2] - height) // 2, (alpha.shape[-1] - width) // 2
    return alpha[..., top : top + height, left : left + width]


def _source(role: str, picture: Picture) -> SourceFile:
    shape = tuple(picture.pixels.shape[1:])
    return SourceFile(role, picture.source, picture.sha256, shape, picture.bit_depth)


def _quality(picture: Tensor, truth: Tensor | None) -> Quality | None:
    if truth is None:
        return None
    return Quality(float(psnr(picture, truth)), float(ssim(picture, truth)))

"""`pnp-deblur` for one picture: file -> problem -> solver -> picture and report.

Imported after parsing: it loads torch.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import Tensor

from pnp_recon.cli.common import parse_positive
from pnp_recon.cli.deblur_plan import Job, check_places
from pnp_recon.cli.deblur_problem import (
    Problem,
    Session,
    check_size,
    make_problem,
    read_reference,
)
from pnp_recon.cli.live import LiveLine
from pnp_recon.denoisers import Denoiser
from pnp_recon.errors import CertificateError, StepSizeError
from pnp_recon.files import atomic_write
from pnp_recon.images import Picture, check_picture_target, read_picture, write_picture
from pnp_recon.metrics import psnr, ssim
from pnp_recon.reconstruction import reconstruct
from pnp_recon.report import (
    Quality,
    Run,
    SourceFile,
    check_report_target,
    residuals_csv,
    write_report,
)
from pnp_recon.solvers import Look, Solution, Stopping

# The PSNR is recorded where the iteration has grown by this factor: a picture costs a solve.
TRACK_GROWTH = 1.25


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
    check_size(picture)
    reference = None if job.reference is None else read_reference(job.reference, picture)
    read = time.perf_counter()
    live.stage("looking at the blur")
    problem = make_problem(picture, reference, session)
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
    notes = (
        *problem.blur.warnings,
        *write_picture(job.target, run.restored, like, options.overwrite),
    )
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

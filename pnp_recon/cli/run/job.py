"""One input of a command: files -> case -> solver -> result and report.

Imported after parsing: it loads torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from operators.progress import listening
from pnp_recon import guarantees
from pnp_recon.cli.run.case import Case
from pnp_recon.cli.run.command import Command
from pnp_recon.cli.run.effort import by_a_piece, iterations_of, time_lines
from pnp_recon.cli.run.large import Outlook, is_large, outlook
from pnp_recon.cli.run.live import LiveLine
from pnp_recon.cli.run.memory import memory_lines
from pnp_recon.cli.run.options import Options
from pnp_recon.cli.run.plan import Job, check_places
from pnp_recon.cli.run.preview import check_preview, cropped, preview
from pnp_recon.cli.run.session import Session
from pnp_recon.cli.run.solve import Prior, choose_prior, model_warnings, solve
from pnp_recon.cli.run.timings import Stopwatch, in_short
from pnp_recon.contracts import PriorRecord
from pnp_recon.files import atomic_write, sha256_of
from pnp_recon.pictures.metrics import psnr, ssim
from pnp_recon.report import (
    Quality,
    Run,
    check_report_target,
    residuals_csv,
    write_report,
)
from pnp_recon.solvers import Look, Solution, Status
from pnp_recon.solvers.core.strength import Rule, Strength
from pnp_recon.solvers.core.unsettled import unsettled

# The PSNR is recorded where the iteration has grown by this factor: a picture costs a solve.
TRACK_GROWTH = 1.25
NO_PRIOR = PriorRecord(
    "none", "none", guarantees.none("no prior: an early stop is the only regularisation")
)


@dataclass(frozen=True, eq=False)
class Result:
    """One finished input.

    Attributes:
        notes: all that is to be warned of.
        told: those of the notes that were said before the run.
        seconds: by stage.
        wrote: files beside the target.
    """

    job: Job
    run: Run
    notes: tuple[str, ...]
    told: tuple[str, ...]
    seconds: Mapping[str, float]
    wrote: tuple[Path, ...] = ()


def run_job(
    command: Command[Options],
    job: Job,
    session: Session[Options],
    live: LiveLine,
    say: Callable[[str], None],
    warn: Callable[[str], None] | None = None,
) -> Result:
    """Reconstructs one input and writes everything that was asked for.

    `say` gets lines of text as soon as they are known, and `warn`, where given, the warnings that
    are known before the run: it may take long, and be in vain.

    Raises:
        PnPReconError, OperatorError: nothing was written then, unless the picture is finished and
            its report cannot be written.
        KeyboardInterrupt: interrupted before the first iteration; nothing was written.
    """
    options = session.options
    watch = session.watch = Stopwatch()
    watch.to("read")
    check_places(command.names, job, options)
    if job.report is not None:
        check_report_target(job.report, options.overwrite)
    if getattr(options, "preview", False):
        check_preview(job, options.overwrite)
    live.stage("looking at the measurement")
    session.heard = None if options.quiet or options.as_json else say
    case = command.prepare(job, session)
    if (region := getattr(options, "region", None)) is not None:
        case = cropped(case, region, job.source)
    for line in (*case.lines, f"noise: {case.noise_in_words}"):
        say(line)
    warnings = (*case.warnings, *model_warnings(case, session))
    if warn is not None:
        for line in warnings:
            warn(line)
    watch.to("read")
    prior = choose_prior(case, session)
    model = session.learned()
    if model is not None:
        say(f"model: {model.name}, trained for {model.trained_on}")
    watch.to("forecast")
    with listening(live.doing):
        solution, track, crops = _solve_all(command.program, job, case, prior, session, live, say)
    if solution.status is Status.INTERRUPTED and not solution.iterations:
        raise KeyboardInterrupt  # the picture would be the start: there is no result
    watch.to("write")
    if case.adopt is not None and solution.found:
        told = case.lines
        case = case.adopt(case, solution.found)
        for line in case.lines[len(told) :]:
            say(line)
    run = replace(_as_run(job, case, prior, solution, session), psnr_track=track)
    if case.after is not None:
        line, physics = case.after(solution.image)
        run = replace(run, physics=physics)
        say(line)
    others = (unsettled(solution), _weak(solution.strength))
    doubts = (*case.doubts(solution.image), *filter(None, others))
    named = [f"{job.target}: {doubt}" for doubt in doubts]
    notes = (*warnings, *named, *case.write(job.target, solution.image))
    watch.to("write")  # counts what was written up to here
    run = replace(run, program=command.program, timings=in_short(watch.seconds), doubts=doubts)
    run = replace(run, notes=(*notes, *crops))
    if job.residuals is not None:
        atomic_write(job.residuals, residuals_csv(solution.history, track))
    if job.report is not None:
        live.stage("writing the report")
        run = replace(run, output_sha256=sha256_of(job.target))
        write_report(job.report, run, overwrite=options.overwrite)
    watch.to(None)
    return Result(job, run, notes, warnings if warn else (), watch.seconds, case.wrote)


def _weak(strength: Strength | None) -> str:
    """What is to be feared of a strength that was given."""
    if strength is None or strength.rule is not Rule.GIVEN or not strength.reason:
        return ""
    return f"strength {strength.words}"


def _solve_all(
    program: str,
    job: Job,
    case: Case,
    prior: Prior,
    session: Session[Options],
    live: LiveLine,
    say: Callable[[str], None],
) -> tuple[Solution, tuple[tuple[int, float], ...], tuple[str, ...]]:
    """The preview, what the crops of a large picture say, and the run.

    Returns:
        the solution, the PSNR along it, and what the report notes of the crops.
    """
    options, middle = session.options, None
    if getattr(options, "preview", False):
        middle = preview(job, case, prior, options, live, say)
    large, why = is_large(case), ""
    line, short = memory_lines(case, prior, options, always=large)
    if line:
        say(line)
    if short:
        live.write(f"{program}: warning: {job.source}: {short}", error=True)
    if large and case.excerpt is not None:
        ahead = outlook(case, prior, options, live, middle)
        why = f"{ahead.iterations} iterations, as a crop took; "
    else:
        span = by_a_piece(case, prior, options) if middle is None else None
        ahead = Outlook(options, iterations=iterations_of(prior), span=span)
    for words in (*ahead.notes, *time_lines(ahead.span, why, case.slower)):
        say(words)
    live.begin(ahead.iterations)
    session.watch.to("iterations")
    solution, track = _solve(case, prior, ahead.options, live, say)
    if solution.strength is not None and case.strength is None:
        session.watch.part("strength", solution.strength.seconds)
    return ahead.of(solution), track, ahead.notes


def _solve(
    case: Case, prior: Prior, options: Options, live: LiveLine, say: Callable[[str], None]
) -> tuple[Solution, tuple[tuple[int, float], ...]]:
    """The run, and the PSNR along it where there is a reference and somebody to see it."""
    wanted = live.visible or options.report is not None or options.residuals is not None
    truth = case.reference if wanted else None
    track: list[tuple[int, float]] = []

    def look(seen: Look) -> None:
        if truth is not None and (not track or seen.iteration >= TRACK_GROWTH * track[-1][0]):
            track.append((seen.iteration, float(psnr(case.show(seen.image()), truth))))
        live.update(seen.iteration, seen.residual, track[-1][1] if track else None)
        if words := live.course.told():
            say(words)

    return solve(case, prior, options, look, live.tried), tuple(track)


def _as_run(
    job: Job,
    case: Case,
    prior: Prior,
    solution: Solution,
    session: Session[Options],
) -> Run:
    degraded = case.degraded.clamp(0, 1)
    restored = case.show(solution.image).clamp(0, 1)
    truth = case.reference
    return Run(
        solution=solution,
        operator=case.A,
        denoiser=NO_PRIOR if prior is None else prior.record(),
        degraded=degraded.cpu(),
        restored=restored.cpu(),
        reference=None if truth is None else truth.cpu(),
        boundary=case.boundary,
        kernel=case.kernel,
        physics=case.physics,
        noise_level=case.noise_level,
        noise_origin=case.noise_origin,
        noise_words=case.noise_words,
        files=case.files,
        output=job.target,
        before=_quality(degraded, truth),
        after=_quality(restored, truth),
        options=dict(vars(session.options)),
        device=session.device,
        dtype=session.dtype,
        simulated=session.options.simulate,
        linear_light=case.linear_light,
    )


def _quality(picture: Tensor, truth: Tensor | None) -> Quality | None:
    if truth is None:
        return None
    return Quality(float(psnr(picture, truth)), float(ssim(picture, truth)))

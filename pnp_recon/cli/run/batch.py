"""A command for all its inputs: one after the other, each with its own outcome."""

from __future__ import annotations

from typing import Any

from pnp_recon.cli.console import print_json
from pnp_recon.cli.run import text
from pnp_recon.cli.run.command import Command
from pnp_recon.cli.run.live import LiveLine
from pnp_recon.cli.run.options import Options
from pnp_recon.cli.run.plan import Job, is_batch, plan_jobs
from pnp_recon.cli.run.timings import since_the_process_began, timings_line
from pnp_recon.cli.shell import (
    BAD_INPUT,
    DEFECT,
    INTERRUPTED,
    NO_CERTIFICATE,
    NOT_CONVERGED,
    OK,
    describe,
    exit_code_of,
    print_error,
    report_error,
)
from pnp_recon.errors import PnPReconError

# The worst comes last.
_SEVERITY = (OK, NOT_CONVERGED, NO_CERTIFICATE, BAD_INPUT, DEFECT, INTERRUPTED)


def run_batch(command: Command[Options], options: Options) -> int:
    """Every input in turn; one that fails is reported and the others go on.

    Returns:
        the worst exit code.
    """
    records: list[dict[str, Any]] = []
    jobs: list[Job] = []
    code = OK
    try:
        options.check()
        jobs = plan_jobs(command.names, options)
        code = _run_jobs(command, jobs, options, records)
    except PnPReconError as error:
        if not options.as_json:
            raise
        records.append(text.error_json(None, describe(error), exit_code_of(error)))
        code = report_error(command.program, error, with_traceback=options.verbose)
    if options.as_json:
        single = not is_batch(options) and len(records) == 1
        print_json(records[0] if single else records)
    return code


def _run_jobs(
    command: Command[Options], jobs: list[Job], options: Options, records: list[dict[str, Any]]
) -> int:
    from pnp_recon.cli.run.job import run_job  # loads torch
    from pnp_recon.cli.run.session import Session
    from pnp_recon.solvers import Status

    program = command.program
    silent = options.quiet or options.as_json
    session = Session(options)
    session.look_up()  # a name that is not there fails once, before any file is read
    codes: list[int] = []
    start = since_the_process_began()
    with LiveLine(len(jobs), enabled=not silent) as live:

        def say(line: str) -> None:
            if not silent:
                live.write(line)

        def warn(line: str) -> None:
            live.write(f"{program}: warning: {line}", error=True)

        for index, job in enumerate(jobs):
            live.file(job.source.name)
            if len(jobs) > 1:
                say(f"{job.source}")
            try:
                result = run_job(command, job, session, live, say, warn)
            except KeyboardInterrupt:
                message = (
                    f"interrupted: nothing was written for {job.source}; {index} of {len(jobs)} "
                    "done"
                )
                print_error(program, message)
                records.append(text.error_json(job.source, message, INTERRUPTED))
                return INTERRUPTED
            except Exception as error:
                live.pause()
                codes.append(_failed(program, job, error, records, options.verbose))
                live.resume()
            else:
                seconds = dict(result.seconds)
                if start is not None and not index:  # the first one waited for it
                    seconds["start"] = start
                timed = {"timings": seconds} if options.timings else {}
                records.append({**text.as_json(result), **timed})
                codes.append(text.exit_code(result))
                for line in text.warnings(result):
                    if line not in result.told:
                        warn(line)
                told = options.weighed or (options.levelled and options.prior_kind == "denoiser")
                say("\n".join(text.lines(result, options.verbose, told)))
                if options.timings:
                    say(timings_line(seconds))
                if options.quiet and not options.as_json:
                    live.write(text.summary(result))
                if result.run.solution.status is Status.INTERRUPTED:
                    left = len(jobs) - index - 1
                    if left:
                        warn(f"{left} files were not begun")
                    break
            live.done()
    return max(codes, key=_SEVERITY.index)


def _failed(
    program: str, job: Job, error: Exception, records: list[dict[str, Any]], verbose: bool
) -> int:
    """One input failed: its line says which, the others go on."""
    words = describe(error)
    subject = "" if str(job.source) in words else f"{job.source}: "
    code = report_error(program, error, subject=subject, with_traceback=verbose)
    records.append(text.error_json(job.source, subject + words, code))
    return code

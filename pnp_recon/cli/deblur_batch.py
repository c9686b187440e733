"""`pnp-deblur` for all its pictures: one after the other, each with its own outcome."""

from __future__ import annotations

import json
from typing import Any

from pnp_recon.cli import deblur_text
from pnp_recon.cli.common import (
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
from pnp_recon.cli.deblur_plan import Job, Options, is_batch, plan_jobs
from pnp_recon.cli.live import LiveLine
from pnp_recon.errors import PnPReconError

PROGRAM = "pnp-deblur"
# The worst comes last.
_SEVERITY = (OK, NOT_CONVERGED, NO_CERTIFICATE, BAD_INPUT, DEFECT, INTERRUPTED)


def run_batch(
    options: Options, *, as_json: bool = False, quiet: bool = False, verbose: bool = False
) -> int:
    """Every picture in turn; one that fails is reported and the others go on.

    Returns:
        the worst exit code.
    """
    records: list[dict[str, Any]] = []
    jobs: list[Job] = []
    code = OK
    try:
        options.check()
        jobs = plan_jobs(options)
        code = _run_jobs(jobs, options, records, as_json, quiet, verbose)
    except PnPReconError as error:
        if not as_json:
            raise
        records.append(deblur_text.error_json(None, describe(error), exit_code_of(error)))
        code = report_error(PROGRAM, error, with_traceback=verbose)
    if as_json:
        single = not is_batch(options) and len(records) == 1
        print(json.dumps(records[0] if single else records, indent=1, ensure_ascii=False))
    return code


def _run_jobs(
    jobs: list[Job],
    options: Options,
    records: list[dict[str, Any]],
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> int:
    from pnp_recon.cli.deblur_job import deblur  # loads torch
    from pnp_recon.cli.deblur_problem import Session
    from pnp_recon.solvers import Status

    session = Session(options)
    codes: list[int] = []
    with LiveLine(len(jobs), enabled=not (quiet or as_json)) as live:

        def say(line: str) -> None:
            if not (quiet or as_json):
                live.write(line)

        for index, job in enumerate(jobs):
            live.file(job.source.name)
            if len(jobs) > 1:
                say(f"{job.source}")
            try:
                result = deblur(job, session, live, say)
            except KeyboardInterrupt:
                message = (
                    f"interrupted: nothing was written for {job.source}; {index} of {len(jobs)} "
                    "done"
                )
                print_error(PROGRAM, message)
                records.append(deblur_text.error_json(job.source, message, INTERRUPTED))
                return INTERRUPTED
            except Exception as error:
                live.pause()
                codes.append(_failed(job, error, records, verbose))
                live.resume()
            else:
                records.append(deblur_text.as_json(result))
                codes.append(deblur_text.exit_code(result))
                for line in deblur_text.warnings(result):
                    live.write(f"{PROGRAM}: warning: {line}", error=True)
                say("\n".join(deblur_text.lines(result, verbose)))
                if quiet and not as_json:
                    live.write(deblur_text.summary(result))
                if result.run.solution.status is Status.INTERRUPTED:
                    left = len(jobs) - index - 1
                    if left:
                        live.write(f"{PROGRAM}: warning: {left} files were not begun", error=True)
                    break
            live.done()
    return max(codes, key=_SEVERITY.index)


def _failed(job: Job, error: Exception, records: list[dict[str, Any]], verbose: bool) -> int:
    """One picture failed: its line says which, the others go on."""
    text = describe(error)
    subject = "" if str(job.source) in text else f"{job.source}: "
    code = report_error(PROGRAM, error, subject=subject, with_traceback=verbose)
    records.append(deblur_text.error_json(job.source, subject + text, code))
    return code

"""The run of a report, repeated with its own options, and what came out compared.

Imported after parsing: it loads torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from pnp_recon.cli.reconstructions import RECONSTRUCTIONS, rebuilt
from pnp_recon.cli.run.case import EARLIER_START
from pnp_recon.cli.run.job import run_job
from pnp_recon.cli.run.live import Repeating
from pnp_recon.cli.run.options import RunOptions
from pnp_recon.cli.run.plan import Job
from pnp_recon.cli.run.session import Session
from pnp_recon.cli.shell import Device, describe
from pnp_recon.cli.verify.compare import compare
from pnp_recon.cli.verify.files import find
from pnp_recon.cli.verify.histories import by_clock
from pnp_recon.errors import InputError
from pnp_recon.report import build_report
from pnp_recon.report.claims import Claim, unchecked
from pnp_recon.solvers import Status


def run_claims(
    report: Mapping[str, Any],
    folder: Path,
    places: Mapping[str, Path | None],
    output: Claim,
    *,
    live: bool,
) -> list[Claim]:
    """That the same command with the same input gives what is stated.

    Args:
        report: it follows the schema, and its files are those of the run.
        folder: where it lies.
        places: role -> file.
        output: the claim that the picture that lies there is the one of the run.
        live: say on stderr what is done, with a line of progress where there is a terminal.
    """
    program = report["program"]

    def cannot(reason: str) -> list[Claim]:
        return [unchecked("run", program, reason)]

    if program not in RECONSTRUCTIONS:
        return cannot("no command of this version wrote it")
    if report["environment"]["device"] != "cpu" and not torch.cuda.is_available():
        return cannot(f"it ran on {report['environment']['device']}, which is not here")
    if report["status"]["name"] == Status.NON_FINITE.name.lower():
        return cannot("it became non-finite")
    if EARLIER_START in report["notes"]:
        return cannot("it began at an earlier result, which the report does not hold")
    command = RECONSTRUCTIONS[program].load()
    try:
        options = _options(rebuilt(command.options, report["options"]), report, places)
    except InputError as error:
        return cannot(str(error))
    source = places.get("input")
    if source is None:
        return cannot("it names no input")
    seconds, steps = report["timings"].get("total", 0.0), report["status"]["iterations"]
    live_line = Repeating(seconds, steps, enabled=live)
    with TemporaryDirectory() as temporary, live_line as line:
        line.announce(f"running {program}")
        target = Path(temporary) / f"result{_suffix(report, command, source)}"
        job = Job(source, target, places.get("reference"))
        line.file(f"repeating {program}: {source.name}")
        try:
            options.check()
            result = run_job(command, job, Session(options), line, _silent)
            found = build_report(result.run)
        except Exception as error:
            return cannot(f"it ended with: {describe(error)}")
        if found["status"]["name"] == Status.INTERRUPTED.name.lower():
            raise KeyboardInterrupt
        written = find(report["output"], folder) if output.holds else None
        return compare(report, found, written, target)


def _options(
    options: RunOptions, report: Mapping[str, Any], places: Mapping[str, Path | None]
) -> RunOptions:
    """The options with the files where they lie now, on the device of the run, writing nothing."""
    steps = report["status"]["iterations"]
    if by_clock(report) and not steps:
        raise InputError("it was ended before its first iteration")
    # Files besides the input are named by the option of their role.
    roles = {
        role: type(getattr(options, role))(place)
        for role, place in places.items()
        if role != "input" and place is not None and getattr(options, role, None) is not None
    }
    if getattr(options, "preview", False):
        roles["preview"] = False  # it is no part of what is stated
    key = ((report["kernel"] or {}).get("parameters") or {}).get("key")
    if key is not None and "kernel" in roles:  # one of a set
        roles["kernel"] = f"{roles['kernel']}:{key}"
    return replace(
        options,
        **roles,
        inputs=[str(places.get("input"))],
        output=None,
        report=None,
        residuals=None,
        overwrite=True,
        require_certificate=False,
        time_limit=None,
        max_iter=steps if by_clock(report) else options.max_iter,
        strength=_strength(options, report),
        device=Device.cpu if report["environment"]["device"] == "cpu" else Device.cuda,
        as_json=False,
        quiet=True,
        verbose=False,
    )


def _strength(options: RunOptions, report: Mapping[str, Any]) -> str:
    """The number that was chosen: the run of it is the one that is stated, without the trials."""
    stated = report["strength"]
    searched = options.strength == "auto" and stated is not None and stated["trials"]
    return repr(stated["value"]) if searched else options.strength


def _suffix(report: Mapping[str, Any], command: Any, source: Path) -> str:
    """The suffix of the result, which is then written in the same format."""
    if report["output"] is not None:
        return Path(report["output"]).suffix
    return str(command.names.output or source.suffix)


def _silent(line: str) -> None:
    pass

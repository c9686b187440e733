"""All claims of one report, in the order in which they are cheap.

Imported after parsing: it loads torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pnp_recon.cli.verify.files import file_claims, output_claim, places
from pnp_recon.cli.verify.prior import prior_claims
from pnp_recon.cli.verify.rerun import run_claims
from pnp_recon.errors import InputError
from pnp_recon.report import SCHEMA_VERSION, ReportError, validate_report
from pnp_recon.report.claims import Claim, unchecked
from pnp_recon.report.consistency import UNREADABLE, consistency


def verify_report(
    path: Path,
    moved: Mapping[str, Path],
    attack_steps: int,
    *,
    run: bool = True,
    live: bool = False,
) -> list[Claim]:
    """What a report claims, each claim checked as far as that can be done here.

    Args:
        path: its report.json.
        moved: role of an input file -> where it lies now, if not where the report says.
        attack_steps: see `models.verify`.
        run: repeat the run.
        live: say on stderr what takes long, with a line of progress where there is a terminal.

    Raises:
        InputError: it is no JSON, or a report of another version.
    """
    report = read_report(path)
    try:
        validate_report(report)
    except ReportError as error:
        words = f"schema {SCHEMA_VERSION}"
        return [Claim("schema", words, "something else", False, str(error))]
    claims = [Claim("schema", SCHEMA_VERSION, SCHEMA_VERSION), *consistency(report)]
    found = places(report, path.parent, moved)
    claims += file_claims(report, found)
    output = output_claim(report, path.parent)
    claims += [output, *prior_claims(report, path.parent, attack_steps)]
    if not run:
        return [*claims, unchecked("run", report["program"], "it was not asked for (--no-run)")]
    if any(one.what in UNREADABLE and one.holds is False for one in claims):
        reason = "there is no such certificate or history to compare it with"
        return [*claims, unchecked("run", report["program"], reason)]
    changed = [one for one in claims if one.what in RUN_NEEDS and not one.holds]
    if changed:
        reason = f"{changed[0].what} is not what it was"
        if changed[0].holds is None:
            reason = f"{changed[0].what}: {changed[0].reason}"
        return [*claims, unchecked("run", report["program"], reason)]
    return [*claims, *run_claims(report, path.parent, found, output, live=live)]


# Files without which there is nothing to repeat.
RUN_NEEDS = tuple(f"{role} file" for role in ("input", "reference", "kernel", "mask", "geometry"))


def read_report(path: Path) -> dict[str, Any]:
    """The plain values of a report.json.

    Raises:
        InputError: it cannot be read, or is of another version.
    """
    try:
        found = json.loads(path.read_bytes(), parse_constant=_refuse)
        if not isinstance(found, dict):
            raise ValueError(f"found a {type(found).__name__}, expected an object")
    except (OSError, ValueError) as error:
        raise InputError(f"report {path} cannot be read: {error}") from error
    version = found.get("schema_version")
    if version != SCHEMA_VERSION:
        raise InputError(
            f"report {path} follows schema {version}; expected {SCHEMA_VERSION}, write it again "
            "with this version"
        )
    return found


def _refuse(name: str) -> float:
    raise ValueError(f"it holds {name}, which is no JSON")

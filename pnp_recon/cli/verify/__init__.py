"""`pnp-recon verify`: is what a card, a report or a volume claims true? Loads torch when it runs.

Exit codes: 0 nothing that was checked failed; 2 there is neither card nor report; 4 a claim failed,
or with --strict was not checked; 130 Ctrl-C.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pnp_recon.cli.console import print_json
from pnp_recon.cli.model_check import check_model, refuse_false, show_check
from pnp_recon.errors import CertificateError, InputError, WeightsError
from pnp_recon.files import split_frame

if TYPE_CHECKING:
    from pnp_recon.report.claims import Claim

REPORT, SUMMARY = "report.json", ".summary.json"
# What --input may name; the rest of its value is a path.
ROLES = ("input", "reference", "kernel", "mask", "geometry")


def verify(
    what: Annotated[
        str,
        typer.Argument(
            metavar="MODEL|REPORT|VOLUME",
            help="Give a shipped model or the path of a model card, a report.json or its folder, "
            "or a volume of pnp-ct --slices or its summary.json.",
        ),
    ],
    attack_steps: Annotated[
        int,
        typer.Option(
            min=0,
            help="Try to refute a model's constants by this many gradient steps from each start.",
        ),
    ] = 30,
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="[ROLE=]PATH",
            help="A file of the report lies here now. ROLE is input, reference, kernel, mask or "
            "geometry; without it the path is that of the input. May be given several times.",
        ),
    ] = None,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Fail as well where a claim of a report cannot be checked."),
    ] = False,
    no_run: Annotated[
        bool,
        typer.Option(
            "--no-run",
            help="Do not repeat the run, which takes about as long as when the report was made.",
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print nothing but one JSON object.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print nothing but the claim that failed.")
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option(
            "-v", "--verbose", help="Print both sides of every claim, and tracebacks of errors."
        ),
    ] = False,
) -> None:
    """Recompute what a model's card or a report claims, and say which claim fails.

    Of a model, the certificate is recomputed from its weights, compared with the card and attacked.
    Of a report, every verdict and law is computed again from what it holds, the files are hashed,
    the denoiser's constant is proven anew, and the run is repeated and compared. What cannot be
    checked here is listed with the reason.
    Of a volume, the summary is made anew from the rows of its slices, every verdict is computed
    again, every value is held against its hash, and the first, the middle, the last and the worst
    slice are computed again; with --across the one run of all.

    Exit codes: 0 if no claim failed; 2 if there is neither card nor report; 4 if a claim failed,
    with --strict also if one was not checked.
    """
    summary = _summary_path(what)
    path = summary or _report_path(what)
    if path is None:
        _refuse_what_is_neither(what)
        for flag, given in (("--input", inputs), ("--strict", strict)):
            if given:
                raise InputError(f"{flag} goes with a report; {what} is a model")
        _verify_model(what, attack_steps, as_json, quiet)
        return
    from pnp_recon.cli.verify.report import verify_report  # loads torch

    moved = _moved(inputs or [])
    live = not (quiet or as_json)
    if summary is not None:
        from pnp_recon.cli.verify.volume import verify_volume  # loads torch

        claims = verify_volume(summary, moved, run=not no_run, live=live)
    else:
        claims = verify_report(path, moved, attack_steps, run=not no_run, live=live)
    if as_json:
        print_json(_plain(path, claims))
    elif not quiet:
        typer.echo("\n".join(_lines(path, claims, verbose)))
    # What failed comes first.
    refused = sorted((one for one in claims if not one.holds), key=lambda one: one.holds is None)
    for failed in refused if strict else [one for one in refused if one.holds is False]:
        raise CertificateError(f"{path}: {' '.join(str(failed).split())}")


def _verify_model(name: str, attack_steps: int, as_json: bool, quiet: bool) -> None:
    result = check_model(name, attack_steps)
    if as_json:
        rows = [{**asdict(row), "looseness": row.looseness} for row in result.rows]
        print_json(
            {
                "model": result.name,
                "constants": rows,
                "lines": result.lines,
                "problems": result.problems,
            }
        )
    elif not quiet:
        show_check(result)
    refuse_false(result)


def _summary_path(what: str) -> Path | None:
    """The summary of a volume that is meant, by itself or by the volume; None for all else."""
    path = Path(what)
    found = path if path.name.endswith(SUMMARY) else path.with_name(f"{path.name}{SUMMARY}")
    return found if path.name and found.is_file() else None


def _report_path(what: str) -> Path | None:
    """The report.json that is meant; None for a model.

    Raises:
        InputError: there is something else at the path.
    """
    path = Path(what)
    if path.is_dir():
        inside = path / REPORT
        if inside.is_file():
            return inside
        if path.parent != Path() or what.endswith("/"):
            raise InputError(f"{what} is a folder without a {REPORT}; expected a report or a model")
        return None
    if path.suffix != ".json" or not path.is_file():
        return None
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read: {error}; expected a report or a model card"
        ) from error
    if isinstance(found, dict) and "schema_version" in found:
        return path
    if isinstance(found, dict) and "card_version" in found:
        return None
    raise InputError(f"{path} is neither a report nor a model card")


def _refuse_what_is_neither(what: str) -> None:
    """Names what can be verified; a denoiser without a card cannot.

    Raises:
        InputError: there is no model of that name.
    """
    from pnp_recon.models.store import find_card, shipped_models

    try:
        find_card(what)
    except WeightsError as error:
        raise InputError(
            f"there is no report and no model {what!r}; expected a {REPORT} or its folder, the "
            f"path of a model card, or a shipped model: {', '.join(shipped_models())}"
        ) from error


def _moved(entries: list[str]) -> dict[str, Path]:
    """Role -> where its file lies now."""
    found: dict[str, Path] = {}
    for entry in entries:
        role, mark, rest = entry.partition("=")
        role, place = (role, rest) if mark and role in ROLES else ("input", entry)
        if not split_frame(place)[0].is_file():
            raise InputError(f"--input {entry}: {place} is no file; expected the {role} of the run")
        if role in found:
            raise InputError(f"--input names the {role} twice: {found[role]} and {place}")
        found[role] = Path(place)
    return found


def _lines(path: Path, claims: list[Claim], verbose: bool) -> list[str]:
    """A line for each claim, and how many there are of each kind."""
    out = [f"{path}:"]
    for one in claims:
        mark = {True: "holds", False: "FAILED", None: "not checked"}[one.holds]
        if one.holds is None:
            said = f"{one.what}: {one.reason}"
        elif one.holds and not verbose:
            said = one.what
        else:
            said = str(one)
        out.append(f"  {mark:<11}  {said}")
    held, failed, open_ = _counts(claims)
    return [*out, f"{held} claims hold, {failed} failed, {open_} not checked"]


def _counts(claims: list[Claim]) -> tuple[int, int, int]:
    found = [one.holds for one in claims]
    return found.count(True), found.count(False), found.count(None)


def _plain(path: Path, claims: list[Claim]) -> dict[str, Any]:
    held, failed, open_ = _counts(claims)
    return {
        "report": str(path),
        "claims": [asdict(one) for one in claims],
        "held": held,
        "failed": failed,
        "not_checked": open_,
    }

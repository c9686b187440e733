"""Reports: report.json, residuals.csv, figure.png and a self-contained report.html.

`write_report(directory, run)` writes the four; `build_report` and `validate_report` are for those
who only want the numbers.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
from pathlib import Path
from typing import Any

from pnp_recon.errors import OutputError
from pnp_recon.files import atomic_write, check_target, write_reason
from pnp_recon.report.document import (
    SCHEMA_VERSION,
    ReportError,
    build_report,
    plain_json,
    schema,
    validate_report,
)
from pnp_recon.report.run import (
    KernelRecord,
    PhysicsRecord,
    Quality,
    Run,
    SourceFile,
    noise_words,
)
from pnp_recon.report.strength import strength_block
from pnp_recon.solvers import History

__all__ = [
    "FILES",
    "SCHEMA_VERSION",
    "KernelRecord",
    "PhysicsRecord",
    "Quality",
    "ReportError",
    "Run",
    "SourceFile",
    "build_report",
    "check_report_target",
    "noise_words",
    "plain_json",
    "residuals_csv",
    "schema",
    "strength_block",
    "validate_report",
    "write_report",
]

FILES = ("report.json", "residuals.csv", "figure.png", "report.html")


def check_report_target(directory: str | os.PathLike[str], overwrite: bool = False) -> None:
    """Says now, before a long run, whether `write_report` will accept the folder.

    Raises:
        OutputError: it is a file, or holds a report already.
    """
    folder = Path(directory)
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"cannot write a report to {folder}: it is a file; give a folder")
    for name in FILES:
        if folder.is_dir():
            check_target(folder / name, overwrite=overwrite)


def write_report(
    directory: str | os.PathLike[str], run: Run, *, overwrite: bool = False
) -> list[Path]:
    """Writes the four files of a report, each whole or not at all; creates the folder.

    Returns:
        their paths, in the order of `FILES`.

    Raises:
        OutputError: a file cannot be written, or exists and `overwrite` is not set.
    """
    from pnp_recon.report.figure import figure_png
    from pnp_recon.report.page import report_html

    folder = Path(directory)
    check_report_target(folder, overwrite)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot create {folder}: {write_reason(error)}") from error
    report = build_report(run)
    figure = figure_png(run)
    contents: dict[str, bytes | str] = {
        "report.json": json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
        "residuals.csv": residuals_csv(run.solution.history, run.psnr_track),
        "figure.png": figure,
        "report.html": report_html(report, run, figure),
    }
    for name in FILES:
        atomic_write(folder / name, contents[name])
    return [folder / name for name in FILES]


def residuals_csv(history: History, psnr_track: tuple[tuple[int, float], ...] = ()) -> str:
    """The history as CSV text: a row for each iteration and picture.

    Columns: iteration (from 1), picture (from 0), residual ‖z_{k+1}−z_k‖, relative residual,
    inner_error (proven bound on the error of the step), bound (the theorem's), seconds and
    psnr (dB), the last two where the loop looked; of a descent also the energy, by how much it
    fell, the norm of its gradient, and the length of the step. What is not known stays empty.
    """
    seconds = dict(zip(history.checked, history.seconds, strict=False))
    psnr: dict[int, list[float]] = dict(zip(history.checked, history.psnr, strict=False))
    psnr.update({iteration: [value] for iteration, value in psnr_track})
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["iteration", "picture", "residual", "relative_residual", "inner_error", "bound",
         "seconds", "psnr", "energy", "fall", "gradient", "move"]
    )  # fmt: skip
    descent = (history.energies, history.falls, history.gradients, history.moves)
    for k, row in enumerate(history.residuals):
        relative = history.relative(k)
        bounds = history.bounds[k] if k < len(history.bounds) else []
        for picture, residual in enumerate(row):
            decibels = psnr.get(k + 1, [])
            cells: list[Any] = [
                residual,
                relative[picture],
                history.errors[k][picture],
                bounds[picture] if bounds else None,
                seconds.get(k + 1),
                decibels[picture] if picture < len(decibels) else None,
                *(rows[k][picture] if rows else None for rows in descent),
            ]
            writer.writerow([k + 1, picture, *map(_cell, cells)])
    return text.getvalue()


def _cell(value: float | None) -> str:
    return "" if value is None or not math.isfinite(value) else f"{value:.9g}"

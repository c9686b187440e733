"""The report of a benchmark on disk: Markdown, a page, and every figure as PNG and PDF."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pnp_recon.benchmark.report.figures import figures
from pnp_recon.benchmark.report.page import page
from pnp_recon.benchmark.report.tables import markdown
from pnp_recon.benchmark.store import Results
from pnp_recon.errors import InputError, OutputError
from pnp_recon.files import atomic_write, write_reason


def write_report(results: Sequence[Results], folder: Path) -> list[Path]:
    """Writes `report.md`, `report.html` and `figures/`, each file whole or not at all.

    Args:
        results: one or several runs, finished or not.
        folder: is made where it does not exist; a report in it is replaced.

    Returns:
        the files written, the Markdown and the page first.

    Raises:
        InputError: there is no run.
        OutputError: a file cannot be written.
    """
    if not results:
        raise InputError("there is nothing to report; give the folder of at least one run")
    drawn = figures(results)
    try:
        (folder / "figures").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot create {folder}: {write_reason(error)}") from error
    shown = [(figure.title, f"figures/{figure.name}.png") for figure in drawn]
    contents: dict[Path, str | bytes] = {
        folder / "report.md": markdown(results, shown),
        folder / "report.html": page(results, drawn),
    }
    for figure in drawn:
        contents[folder / "figures" / f"{figure.name}.png"] = figure.png
        contents[folder / "figures" / f"{figure.name}.pdf"] = figure.pdf
    for path, content in contents.items():
        atomic_write(path, content)
    return list(contents)

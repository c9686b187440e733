"""What `pnp-train check` and `pnp-recon verify MODEL` say of a model. Loads no torch at the top."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from pnp_recon.models.family import Check, Row

# Columns in which every table fits.
WIDEST = 1000


def check_model(model: str, attack_steps: int) -> Check:
    """See `models.verify`."""
    from pnp_recon.models.verify import verify

    return verify(model, attack_steps)


def show_check(result: Check) -> None:
    """A table where constants are proven, otherwise lines."""
    if result.rows:
        print_table(result)
    else:
        typer.echo("\n".join([f"{result.name}:", *(f"  {line}" for line in result.lines)]))


def refuse_false(result: Check) -> None:
    """Raises CertificateError where the card does not say the truth, naming what is wrong."""
    from pnp_recon.errors import CertificateError

    if result.problems:
        raise CertificateError(
            f"the card of {result.name} does not hold: {'; '.join(result.problems)}"
        )


def print_table(result: Check) -> None:
    """A table as wide as it needs to be; in a narrower terminal, a line for each constant."""
    from rich.console import Console
    from rich.table import Table

    from pnp_recon.cli.shell import print_line

    table = Table()
    titles = ("constant", "card", "proven", "attained", "looseness", "agrees")
    for title in titles:
        table.add_column(title, justify="left" if title in ("constant", "agrees") else "right")
    rows = [_cells(row) for row in result.rows]
    for cells in rows:
        table.add_row(*cells)
    terminal, whole = Console(), Console(width=WIDEST).measure(table).maximum
    print_line(terminal, f"{result.name}: certificate recomputed in float64")
    if terminal.is_terminal and terminal.width < whole:
        for what, *cells in rows:
            said = (
                f"{title} {cell}" for title, cell in zip(titles[1:], cells, strict=True) if cell
            )
            print_line(terminal, f"{what}: {', '.join(said)}")
    else:
        Console(width=whole).print(table)


def _cells(row: Row) -> list[str]:
    """What the table says of a constant."""
    numbers = ["" if v is None else f"{v:.7f}" for v in (row.card, row.proven, row.attained)]
    loose = "" if row.looseness is None else f"{row.looseness:.4f}"
    return [row.what, *numbers, loose, "NO" if row.problem else "yes"]

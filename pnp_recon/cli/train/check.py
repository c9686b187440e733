"""`pnp-train check`: is what a model's card says true? Loads no torch before it is called."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pnp_recon.cli.train.command import Quiet, Verbose

# Columns in which every table fits.
WIDEST = 1000


def check(
    model: Annotated[
        str,
        typer.Argument(metavar="NAME|PATH", help="A shipped model, or the path of a model card."),
    ],
    attack_steps: Annotated[
        int,
        typer.Option(
            min=0, help="Attack with this many gradient steps from each start; 0: do not."
        ),
    ] = 30,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Recompute a model's certificate from its weights, compare with the card, attack it.

    A reconstruction network has no certificate: its parameters are counted and the equivariance of
    its maps is measured; nor have DnCNN and learned energies, which are counted and attacked. Ends
    with 4 if the card claims anything else than what the weights give.
    """
    from pnp_recon.errors import CertificateError
    from pnp_recon.models.verify import verify

    result = verify(model, attack_steps)
    if not quiet:
        if result.rows:
            _print_table(result)
        else:
            typer.echo("\n".join([f"{result.name}:", *(f"  {line}" for line in result.lines)]))
    if result.problems:
        raise CertificateError(
            f"the card of {result.name} does not hold: {'; '.join(result.problems)}"
        )


def _print_table(result: Any) -> None:
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


def _cells(row: Any) -> list[str]:
    """What the table says of a constant."""
    numbers = ["" if v is None else f"{v:.7f}" for v in (row.card, row.proven, row.attained)]
    loose = "" if row.looseness is None else f"{row.looseness:.4f}"
    return [row.what, *numbers, loose, "NO" if row.problem else "yes"]

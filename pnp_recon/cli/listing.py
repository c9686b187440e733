"""`pnp-recon list`: what there is, and what is proven about each; `verify` and `serve` beside it.

Everything comes from the registries; torch is imported after parsing.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from pnp_recon.cli.console import print_json
from pnp_recon.cli.serve import serve
from pnp_recon.cli.shell import package_version, run_app
from pnp_recon.cli.verify import verify
from pnp_recon.priors.catalogue import CLASSICAL
from pnp_recon.proximal.catalogue import REGULARISERS
from pnp_recon.registry import Registry
from pnp_recon.solvers.catalogue import ACCELERATIONS, SOLVERS

PROGRAM = "pnp-recon"

UNROLLED = "no guarantee: a fixed number of iterations; equivariance of its maps is measured"

app = typer.Typer(
    help="This is plug-and-play image reconstruction that can be proven to converge. The work is "
    "done by pnp-deblur, pnp-inpaint, pnp-sr, pnp-jpeg, pnp-ct, pnp-mri, pnp-train and pnp-bench; "
    "this command says what they can use, verifies what their reports and models claim, and serves "
    "a page that does their work in the browser.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain help: no import of rich
    context_settings={"help_option_names": ["-h", "--help"]},
)


@dataclass(frozen=True)
class Row:
    """One line: how it is called, what it is, and what is proven about it."""

    name: str
    what: str
    guarantee: str


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"{PROGRAM} {package_version()}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    pass


app.command("verify")(verify)
app.command("serve")(serve)


@app.command("list")
def list_command(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show operators, solvers, regularisers, denoisers and models with their guarantees."""
    found = catalogue()
    if as_json:
        plain = {kind: [asdict(entry) for entry in entries] for kind, entries in found.items()}
        print_json(plain)
    elif sys.stdout.isatty():
        _print_tables(found)
    else:
        print("\n".join(plain_lines(found)))


def catalogue() -> dict[str, list[Row]]:
    """All that there is, by kind."""
    return {
        "operators": _operators(),
        "solvers": _proven(SOLVERS),
        "accelerations": _proven(ACCELERATIONS),
        "regularisers": _proven(REGULARISERS),
        "denoisers": _denoisers(),
        "models": _models(),
    }


def plain_lines(found: dict[str, list[Row]]) -> list[str]:
    """One line for each entry, fields parted by tabs; for pipes."""
    out = []
    for kind, entries in found.items():
        out += [f"{kind}:", *(f"  {e.name}\t{e.what}\t{e.guarantee}" for e in entries), ""]
    return out[:-1]


def _operators() -> list[Row]:
    from operators.registry import OPERATORS

    return [Row(name, _summary(entry.load()), entry.proven) for name, entry in OPERATORS.items()]


def _proven(registry: Registry[Any]) -> list[Row]:
    """The entries of a registry, whose `theorem` says what is proven about each."""
    return [Row(name, _summary(entry.load()), entry.theorem) for name, entry in registry.items()]


def _denoisers() -> list[Row]:
    from pnp_recon.models.load import load_denoiser, load_unrolled
    from pnp_recon.priors.classical.base import iterated
    from pnp_recon.priors.denoiser import Denoiser, wrap
    from pnp_recon.priors.unrolled import LearnedReconstruction

    classical = [
        Row(name, entry.words, str(iterated(entry.load()))) for name, entry in CLASSICAL.items()
    ]
    return [
        *classical,
        Row("load_denoiser(name or path)", _summary(load_denoiser), "that of the model, below"),
        Row("Denoiser(function, name, guarantee)", _summary(Denoiser), "as declared"),
        Row("wrap(function)", _summary(wrap), "no guarantee, unless one is declared"),
        Row("load_unrolled(name or path)", _summary(load_unrolled), UNROLLED),
        Row(
            "LearnedReconstruction(network, name, trained_on)",
            _summary(LearnedReconstruction),
            UNROLLED,
        ),
    ]


def _models() -> list[Row]:
    from pnp_recon.models.store import find_card, shipped_models

    return [_model(find_card(name)) for name in shipped_models()]


def _model(path: Path) -> Row:
    from pnp_recon.models.load import family_of
    from pnp_recon.models.store import read_card

    card = read_card(path)
    family = family_of(card)
    return Row(card.name, family.describe(card), str(family.guarantee(card)))


def _summary(thing: Any) -> str:
    """The first line of its docstring."""
    return str(thing.__doc__ or "").strip().partition("\n")[0].rstrip(".")


def _print_tables(found: dict[str, list[Row]]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    for kind, entries in found.items():
        table = Table(title=kind, title_justify="left", title_style="bold", show_lines=True)
        for column in (kind.removesuffix("s"), "what it is", "what is proven"):
            table.add_column(column, overflow="fold")
        for entry in entries:
            table.add_row(entry.name, entry.what, entry.guarantee)
        console.print(table, markup=False)


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return run_app(app, PROGRAM, argv)


if __name__ == "__main__":
    sys.exit(main())

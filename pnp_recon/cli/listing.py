"""`pnp-recon list`: what there is, and what is proven about each.

Everything comes from the registries; torch is imported after parsing.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from pnp_recon.cli.shell import package_version, run_app
from pnp_recon.solvers.catalogue import ACCELERATIONS, SOLVERS

PROGRAM = "pnp-recon"

UNROLLED = "no guarantee: a fixed number of iterations; equivariance of its maps is measured"

app = typer.Typer(
    help="Plug-and-play image reconstruction that can be proven to converge. The work is done by "
    "pnp-deblur, pnp-inpaint, pnp-ct and pnp-train; this command says what they can use.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain help: no import of rich
    context_settings={"help_option_names": ["-h", "--help"]},
)


@dataclass(frozen=True)
class Entry:
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
    # With a callback, `list` stays a subcommand although it is the only one.
    pass


@app.command("list")
def list_command(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show operators, solvers, regularisers, denoisers and models with their guarantees."""
    found = catalogue()
    if as_json:
        plain = {kind: [asdict(entry) for entry in entries] for kind, entries in found.items()}
        print(json.dumps(plain, indent=1, ensure_ascii=False))
    elif sys.stdout.isatty():
        _print_tables(found)
    else:
        print("\n".join(plain_lines(found)))


def catalogue() -> dict[str, list[Entry]]:
    """All that there is, by kind."""
    return {
        "operators": _operators(),
        "solvers": _solvers(),
        "accelerations": _accelerations(),
        "regularisers": _regularisers(),
        "denoisers": _denoisers(),
        "models": _models(),
    }


def plain_lines(found: dict[str, list[Entry]]) -> list[str]:
    """One line for each entry, fields parted by tabs; for pipes."""
    out = []
    for kind, entries in found.items():
        out += [f"{kind}:", *(f"  {e.name}\t{e.what}\t{e.guarantee}" for e in entries), ""]
    return out[:-1]


def _operators() -> list[Entry]:
    from operators.registry import OPERATORS

    return [Entry(name, _summary(entry.load()), entry.proven) for name, entry in OPERATORS.items()]


def _solvers() -> list[Entry]:
    return [Entry(name, _summary(entry.load()), entry.theorem) for name, entry in SOLVERS.items()]


def _accelerations() -> list[Entry]:
    return [
        Entry(name, _summary(entry.load()), entry.theorem) for name, entry in ACCELERATIONS.items()
    ]


def _regularisers() -> list[Entry]:
    from pnp_recon.proximal import REGULARISERS

    firm = "proximal map firmly nonexpansive (Moreau 1965)"
    none = "no guarantee: not convex"
    return [
        Entry(name, _summary(kind), firm if kind.convex else none)
        for name, kind in REGULARISERS.items()
    ]


def _denoisers() -> list[Entry]:
    from pnp_recon.models.unrolled import load_unrolled
    from pnp_recon.models.weights import load_denoiser
    from pnp_recon.priors.denoiser import Denoiser, wrap
    from pnp_recon.priors.unrolled import LearnedReconstruction

    return [
        Entry("load_denoiser(name or path)", _summary(load_denoiser), "that of the model, below"),
        Entry("Denoiser(function, name, guarantee)", _summary(Denoiser), "as declared"),
        Entry("wrap(function)", _summary(wrap), "no guarantee, unless one is declared"),
        Entry("load_unrolled(name or path)", _summary(load_unrolled), UNROLLED),
        Entry(
            "LearnedReconstruction(network, name, trained_on)",
            _summary(LearnedReconstruction),
            UNROLLED,
        ),
    ]


def _models() -> list[Entry]:
    from pnp_recon.models.weights import find_card, model_kind, shipped_models

    cards = [find_card(name) for name in shipped_models()]
    return [
        _unrolled_model(card) if model_kind(card) == "reconstruction" else _denoising_model(card)
        for card in cards
    ]


def _denoising_model(path: Path) -> Entry:
    from pnp_recon.models.precision import FIELD, deviation_words
    from pnp_recon.models.weights import card_guarantee, read_card

    card = read_card(path)
    network = card["network"]
    low, high = card["sigma_range_255"]
    channels = {1: "grey", 3: "colour"}.get(network.get("channels"), "any")
    if network.get("group", "C1") != "C1":
        channels += f", commutes with {network['group']}"
    what = f"{network.get('class')}, {channels}, σ·255 from {low:g} to {high:g}"
    if deviation := deviation_words(card.get(FIELD)):
        what += f"; {deviation}"
    return Entry(card["name"], what, str(card_guarantee(card)))


def _unrolled_model(path: Path) -> Entry:
    from pnp_recon.models.unrolled import read_unrolled_card
    from pnp_recon.priors.unrolled_domain import TrainedOn

    card = read_unrolled_card(path)
    network = card["network"]
    what = (
        f"{network.get('class')}, {network.get('scheme')}, group {network.get('group')}, "
        f"{network.get('depth')} iterations, for {TrainedOn.from_dict(card['trained_on'])}"
    )
    return Entry(card["name"], what, card["guarantee"])


def _summary(thing: Any) -> str:
    """The first line of its docstring."""
    return str(thing.__doc__ or "").strip().partition("\n")[0].rstrip(".")


def _print_tables(found: dict[str, list[Entry]]) -> None:
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

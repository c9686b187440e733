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

PROGRAM = "pnp-recon"

# Solver -> its theorem in one line, for people; a run's certificate has the numbers. A test
# holds it against the registry.
THEOREMS: dict[str, str] = {
    "pnp-pgd": "averaged for 0 < τ < 2/L and an averaged denoiser; the iterates converge "
    "(Krasnosel'skii–Mann; Combettes & Yamada 2015)",
    "pnp-hqs": "averaged for any γ > 0 and an averaged denoiser; the iterates converge "
    "(Krasnosel'skii–Mann; Combettes & Yamada 2015)",
    "pnp-drs": "averaged for any γ > 0, 0 < λ < 1 and a 1-Lipschitz denoiser; the iterates "
    "converge (Lions & Mercier 1979; Krasnosel'skii–Mann)",
    "red": "averaged for 0 < τ < 2/(L + 2αw) and an α-averaged denoiser; the iterates converge "
    "(Reehorst & Schniter 2019; Krasnosel'skii–Mann)",
    "pnp-fista": "momentum within a safeguard: pnp-pgd with errors of a finite sum, which "
    "converges like it (Combettes 2001); without the safeguard no guarantee",
    "gradient-descent": "averaged for 0 < τ < 2/(L + m); the iterates converge to a minimiser "
    "(Krasnosel'skii–Mann), linearly where the objective is known to be strongly convex",
    "proximal-gradient": "averaged for 0 < τ < 2/L; the iterates converge to a minimiser "
    "(Bauschke & Combettes 2017, Cor. 28.9)",
    "ista": "proximal-gradient with a regulariser that makes sparse; the same theorem",
    "fista": "0 < τ < 1/L; objective above its minimum by O(1/k²), iterates converge "
    "(Beck & Teboulle 2009; Chambolle & Dossal 2015)",
    "hqs": "averaged for any γ > 0; converges to a minimiser of the Moreau envelope of f plus g",
    "drs": "averaged for any γ > 0, 0 < ρ < 2; converges to a minimiser (Lions & Mercier 1979; "
    "Eckstein & Bertsekas 1992)",
    "admm": "drs on the dual, inexact steps with summable errors (Eckstein & Bertsekas "
    "1992, Thm 8)",
    "pdhg": "τ Σ σᵢ‖Kᵢ‖² < 1 from proven bounds; converges to a saddle point (Chambolle & Pock "
    "2011; He & Yuan 2012)",
    "landweber": "averaged for 0 < τ < 2/‖A‖²; converges to a least-squares solution",
    "sirt": "averaged in the norm of its weights, entries of A ≥ 0; converges to a weighted "
    "least-squares solution (Gregor & Benson 2008)",
    "cgls": "‖x_k − x*‖ and ‖A x_k − y‖ never increase (Hestenes & Stiefel 1952)",
}

UNROLLED = "no guarantee: a fixed number of iterations; equivariance of its maps is measured"

_SAFEGUARD = "any averaged map plus errors of a finite sum: converges like the plain iteration "
_SAFEGUARD += "(Combettes 2001; Bauschke & Combettes 2017, Prop. 5.34)"
# Around a solver, as `reconstruct(acceleration=...)` and --acceleration take them.
ACCELERATION_THEOREMS: dict[str, str] = {
    "km": "averaged for 0 < λ < 1/α; converges, with the tight rate (Lieder 2018)",
    "halpern": "any 1-Lipschitz map; converges to the fixed point nearest to the start, residual "
    "O(1/k), tight (Lieder 2021)",
    "anderson": _SAFEGUARD,
    "nesterov": _SAFEGUARD,
}

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
    import operators
    from operators.registry import OPERATORS

    return [
        Entry(name, _summary(getattr(operators, name)), words) for name, words in OPERATORS.items()
    ]


def _solvers() -> list[Entry]:
    from pnp_recon.solvers import SOLVERS

    return [
        Entry(name, _summary(solver), THEOREMS.get(name, "see its certificate"))
        for name, solver in SOLVERS.items()
    ]


def _accelerations() -> list[Entry]:
    from pnp_recon.solvers import ACCELERATIONS

    return [
        Entry(label, _summary(wrapper), ACCELERATION_THEOREMS[label])
        for label, wrapper in ACCELERATIONS.items()
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

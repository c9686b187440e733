"""`pnp-train`: train a certified denoiser or an unrolled network, export it, check a model's card.

Parses, calls, writes, exits: 0 done, 2 bad input, 3 stopped by --minutes, 4 a certificate that does
not hold, 130 stopped by Ctrl-C. Torch is imported after parsing. Every task of the catalogue is a
command.
"""

from __future__ import annotations

import typer

from pnp_recon.cli.shell import run_app
from pnp_recon.cli.train.check import check
from pnp_recon.cli.train.command import make_command
from pnp_recon.cli.train.export import export
from pnp_recon.training.catalogue import TASKS

PROGRAM = "pnp-train"

app = typer.Typer(
    help="Train denoisers with a proven Lipschitz constant, energies, unrolled networks, and "
    "classifiers with proven radii, and export them.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain help: no import of rich, and it fits eighty columns
    context_settings={"help_option_names": ["-h", "--help"]},
)

for entry in TASKS.values():
    app.command(entry.name, help=entry.words)(make_command(entry.load()))
app.command()(export)
app.command()(check)


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return run_app(app, PROGRAM, argv)

"""`pnp-train check`: is what a model's card says true? Loads no torch before it is called."""

from __future__ import annotations

from typing import Annotated

import typer

from pnp_recon.cli.model_check import check_model, refuse_false, show_check
from pnp_recon.cli.train.command import Quiet, Verbose


def check(
    model: Annotated[
        str,
        typer.Argument(metavar="NAME|PATH", help="A shipped model, or the path of a model card."),
    ],
    attack_steps: Annotated[
        int,
        typer.Option(
            min=0,
            help="Try to refute the constants by this many gradient steps from each start; 0: do "
            "not.",
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
    result = check_model(model, attack_steps)
    if not quiet:
        show_check(result)
    refuse_false(result)

"""Integrators by name."""

from __future__ import annotations

from pnp_recon.errors import InputError
from pnp_recon.networks.flows.implicit import ImplicitRungeKutta
from pnp_recon.networks.flows.integrators import Integrator, RungeKutta
from pnp_recon.networks.flows.tableaux import TABLEAUX


def integrator(name: str) -> Integrator:
    """The integrator of that name.

    Raises:
        InputError: there is none; names all that are known.
    """
    if name not in TABLEAUX:
        raise InputError(f"unknown integrator {name!r}; known: {', '.join(TABLEAUX)}")
    made = TABLEAUX[name]
    return RungeKutta(made) if made.is_explicit else ImplicitRungeKutta(made)

"""Integrators by name."""

from __future__ import annotations

from collections.abc import Callable

from pnp_recon.errors import InputError
from pnp_recon.networks.flows.discrete_gradients import Gonzalez, ItohAbe, MeanValue
from pnp_recon.networks.flows.implicit import ImplicitRungeKutta
from pnp_recon.networks.flows.integrators import Integrator, RungeKutta
from pnp_recon.networks.flows.splitting import StormerVerlet, SymplecticEuler
from pnp_recon.networks.flows.tableaux import TABLEAUX

# Integrators that are no Runge–Kutta methods; they ask for more than a field's values.
STRUCTURED: dict[str, Callable[[], Integrator]] = {
    made.name: made for made in (SymplecticEuler, StormerVerlet, Gonzalez, MeanValue, ItohAbe)
}


def integrator(name: str) -> Integrator:
    """The integrator of that name.

    Raises:
        InputError: there is none; names all that are known.
    """
    if name in STRUCTURED:
        return STRUCTURED[name]()
    if name not in TABLEAUX:
        known = ", ".join((*TABLEAUX, *STRUCTURED))
        raise InputError(f"unknown integrator {name!r}; known: {known}")
    made = TABLEAUX[name]
    return RungeKutta(made) if made.is_explicit else ImplicitRungeKutta(made)

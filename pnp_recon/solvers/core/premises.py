"""Premises that several theorems share, each with how it is known."""

from __future__ import annotations

from operators.base import LinearOperator
from pnp_recon.solvers.core.theorem import Basis, Premise

LAWS = Premise("every step keeps the laws that the theorem implies", Basis.CHECKED)
_BY = {
    "construction": Basis.PROVEN,
    "measurement": Basis.CHECKED,
    "declaration": Basis.DECLARED,
}


def transposed(A: LinearOperator) -> Premise:
    """That the adjoint is the transpose: by construction, measured, or as somebody declares."""
    return Premise(f"A_adjoint of '{A.name}' is the transpose of A", _BY[A.transpose_by])


def basis_of(*things: object) -> Basis:
    """PROVEN for what this package defines; what anybody else wrote is as they declare."""
    ours = all(type(thing).__module__.startswith("pnp_recon.") for thing in things)
    return Basis.PROVEN if ours else Basis.DECLARED

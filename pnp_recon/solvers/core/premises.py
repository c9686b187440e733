"""Premises that several theorems share, each with how it is known."""

from __future__ import annotations

from operators.base import LinearOperator
from pnp_recon.fidelity.base import gram_lower_bound
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


def bounded_below(A: LinearOperator) -> tuple[Premise, ...]:
    """That AᵀA is bounded below, where a bound is known: by the package, or as somebody declares.

    Contraction rests on it; convergence does not.
    """
    least = gram_lower_bound(A)
    if not least > 0:
        return ()
    ours = type(A).__module__.startswith("operators.")
    words = f"‖A x‖² ≥ {least:.6g}‖x‖² for A = '{A.name}'"
    return (Premise(words, Basis.PROVEN if ours else Basis.DECLARED),)


def basis_of(*things: object) -> Basis:
    """PROVEN for what this package defines; what anybody else wrote is as they declare."""
    ours = all(type(thing).__module__.startswith("pnp_recon.") for thing in things)
    return Basis.PROVEN if ours else Basis.DECLARED

"""Premises that several theorems share, each with how it is known.

What is only declared of an operator is measured first: a declaration that a measurement refutes is
an error of whoever made it, and no theorem is applied to it.
"""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from operators.base import LinearOperator
from operators.checks import probe
from operators.knowledge import built_here
from operators.originals import code_home
from operators.reach import whole
from pnp_recon.errors import InputError
from pnp_recon.priors.proof import TRAINING, is_ours, tampered, unsteady
from pnp_recon.solvers.core.steadiness import parts
from pnp_recon.solvers.core.theorem import Basis, Premise, Theorem, unproven

LAWS = Premise("every step keeps the laws that the theorem implies", Basis.CHECKED)
UNSEARCHED = (
    "what the functions of the run reach, which was not searched to its end, stays as it is, out "
    "of training mode"
)
_BY = {
    "construction": Basis.PROVEN,
    "measurement": Basis.CHECKED,
    "declaration": Basis.DECLARED,
}


def transposed(A: LinearOperator) -> Premise:
    """That the adjoint is the transpose: by construction, measured, or as somebody declares.

    Raises:
        InputError: it is declared, and the dot-product test refutes it.
    """
    _confront(A, norm=False)
    return Premise(f"A_adjoint of '{A.name}' is the transpose of A", _BY[A.transpose_by])


def bounded(A: LinearOperator) -> Premise:
    """That the bound of the norm is one: proven, or it rests on what somebody declares.

    Raises:
        InputError: it is declared, and some picture attains more.
    """
    _confront(A, norm=True)
    words = f"the norm of '{A.name}' is at most {A.norm_bound:.6g}"
    if A.norm_by == A.sign_by == "declaration" and "Collatz" in A.norm_certificate.method:
        words = f"no entry of '{A.name}' is negative, so that {words}"
    return Premise(words, _BY[A.norm_by])


def signed(A: LinearOperator) -> Premise:
    """That no entry of the matrix is negative: by construction, or as somebody declares.

    Raises:
        InputError: it is declared, and a non-negative picture is mapped to a negative value.
    """
    _confront(A, norm=False)
    return Premise(f"no entry of '{A.name}' is negative", _BY[A.sign_by])


def bounded_below(A: LinearOperator) -> tuple[Premise, ...]:
    """That AᵀA is bounded below, where a bound is known: by the package, or as somebody declares.

    Contraction rests on it; convergence does not.
    """
    least = A.gram_lower_bound
    if not least > 0:
        return ()
    parts = [part for part in A.modules() if isinstance(part, LinearOperator)]
    ours = all(map(built_here, parts))  # the weakest part decides
    words = f"‖A x‖² ≥ {least:.6g}‖x‖² for A = '{A.name}'"
    return (Premise(words, Basis.PROVEN if ours else Basis.DECLARED),)


def _confront(A: LinearOperator, *, norm: bool) -> None:
    if (reason := probe(A, norm=norm).refuted) is not None:
        raise InputError(
            f"{reason}; correct it, or set adjoint_matched = False and do without a guarantee"
        )


def solved(A: LinearOperator) -> tuple[Premise, ...]:
    """That proximal maps are as exact as they say: of nobody's operator but those with their own.

    The package recomputes the error of every solve; whoever replaces `prox_l2_with_error` says it.
    """
    parts = (part for part in A.modules() if isinstance(part, LinearOperator))
    if all(code_home(part.prox_l2_with_error) == "operators" for part in parts):
        return ()
    words = f"the proximal map of '{A.name}' is as exact as it says"
    return (Premise(words, Basis.DECLARED),)


def own(solver: object, theorem: Theorem) -> Theorem:
    """The theorem, with somebody's own solver as a premise: that its steps are those of the map.

    So is a method that somebody put into a part of it: a proximal map, a gradient, a projection.
    There is none where the map is no fixed one.
    """
    if not theorem.holds:
        return theorem
    if (kind := unsteady(solver)) is not None:
        return unproven(TRAINING.format(part=kind))
    strange, part = [], solver
    while part is not None:  # an acceleration is around another solver
        if not is_ours(type(part)):
            strange.append(str(getattr(part, "name", type(part).__name__)))
        part = getattr(part, "inner", None)
    words = []
    if strange:
        words.append(f"solver {' and '.join(strange)} makes the steps that its theorem is about")
    if not whole(solver):
        words.append(UNSEARCHED)
    # Of networks and operators it is known elsewhere.
    plain = (one for one in parts(solver) if not isinstance(one, nn.Module))
    named = (f"{type(one).__name__}.{name}" for one in plain for name in tampered(one)[:1])
    words += [f"{name}, which is not this package's, is what the proof is about" for name in named]
    added = tuple(Premise(one, Basis.DECLARED) for one in dict.fromkeys(words))
    return replace(theorem, premises=(*theorem.premises, *added)) if added else theorem


def fitting(fidelity: object) -> tuple[Premise, ...]:
    """That somebody's fidelity is convex and has the constants that it states; () for ours."""
    if basis_of(fidelity) is Basis.PROVEN:
        return ()
    name = getattr(fidelity, "name", type(fidelity).__name__)
    return (Premise(f"the fidelity '{name}' is convex, with its constants", Basis.DECLARED),)


def basis_of(*things: object) -> Basis:
    """PROVEN for what this package defines; what anybody else wrote is as they declare.

    So is what wraps it: the fidelity inside a ridge.
    """
    ours = all(is_ours(type(thing)) for thing in things)
    inner = [thing.fidelity for thing in things if hasattr(thing, "fidelity")]
    if inner and ours:
        return basis_of(*inner)
    return Basis.PROVEN if ours else Basis.DECLARED

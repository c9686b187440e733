"""Routes to a false certificate through an operator: of one's own, or one of ours tampered with.

What somebody declares of an operator of their own is false here by a little or a lot. An operator
of the package that was changed may be certified again, if what is then said of it is true.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from laws import operators as cases
from laws.adversary.judge import Rig, Route, data
from laws.solvers import SIZE, blur, random_kernel
from operators import (
    LinearOperator,
    from_callable,
    from_deepinv,
    from_matrix,
    from_scipy,
    to_matrix,
)
from operators import registry as listed
from operators.norms import NormBound

F64 = torch.float64


class Own(LinearOperator):
    """Somebody's operator: the maps of one of ours, and what they say about it.

    Attributes:
        forth, back: made of the true maps.
        norm: declared; None: the sign is declared, and Collatz–Wielandt gives a bound.
    """

    def __init__(
        self,
        inner: LinearOperator,
        *,
        forth: Callable[[Tensor], Tensor] | None = None,
        back: Callable[[Tensor], Tensor] | None = None,
        share: float = 1.0,
        nonnegative: bool = False,
    ) -> None:
        super().__init__("own", inner.image_shape, inner.measurement_shape, nonnegative=nonnegative)
        # Behind a list, as things are that no fingerprint sees.
        self.held = [inner]
        self.forth, self.back = forth or inner.A, back or inner.A_adjoint
        self.share = share

    def _forward_map(self, x: Tensor) -> Tensor:
        return self.forth(x)

    def _transpose_map(self, y: Tensor) -> Tensor:
        return self.back(y)

    @property
    def has_norm_bound(self) -> bool:
        return self.adjoint_matched

    def _prove_norm(self) -> NormBound:
        if self.nonnegative:
            return super()._prove_norm()
        return NormBound(self.share * self.held[0].norm_bound, 0.0, "declared", "somebody")


def own(rig: Rig, **facts: Any) -> None:
    rig.A = Own(rig.A, **facts)


def back(rig: Rig, change: Callable[[Tensor], Tensor]) -> None:
    inner = rig.A
    own(rig, back=lambda y: change(inner.A_adjoint(y)))


def forth(rig: Rig, change: Callable[[Tensor], Tensor]) -> None:
    inner = rig.A
    own(rig, forth=lambda x: change(inner.A(x)))


def slightly(x: Tensor) -> Tensor:
    """x with 1 % of its neighbour."""
    return x + 0.01 * x.roll(1, -1)


def noisy(x: Tensor) -> Tensor:
    return x + 1e-3 * torch.randn_like(x)


def from_the_second(change: Callable[[Tensor], Tensor], calls: int) -> Callable[[Tensor], Tensor]:
    """A map that changes after some calls, as one with a state does."""
    count = [0]

    def map_(x: Tensor) -> Tensor:
        count[0] += 1
        return change(x) if count[0] > calls else x

    return map_


def signed(rig: Rig) -> None:
    kernel = random_kernel(0)
    kernel[0, 0] -= 0.3
    rig.A = Own(blur(kernel), nonnegative=True)
    rig.y = data(rig.A)


def own_prox(rig: Rig) -> None:
    """The transpose is right, and so is the norm; the formula of the proximal map is not."""

    class Formula(Own):
        def _has_closed_form(self) -> bool:
            return True

        def _closed_prox(self, z: Tensor, y: Tensor, step: Tensor) -> Tensor:
            return 1.5 * z

    rig.A = Formula(rig.A)


def own_prox_with_error(rig: Rig) -> None:
    class Formula(Own):
        def prox_l2_with_error(self, z: Tensor, y: Tensor, *given: Any, **named: Any) -> Any:
            return 1.5 * z, z.new_zeros(len(z))

    rig.A = Formula(rig.A)


def gram_claimed(rig: Rig) -> None:
    class Claims(Own):
        gram_lower_bound = 0.9  # type: ignore[assignment]

    rig.A = Claims(rig.A)


DECLARED = [
    Route("transpose 0.1 times", lambda rig: back(rig, lambda x: 0.1 * x), "transpose"),
    Route("transpose twice", lambda rig: back(rig, lambda x: 2 * x), "transpose"),
    Route("transpose 1.01 times", lambda rig: back(rig, lambda x: 1.01 * x), "transpose"),
    Route("transpose of the other sign", lambda rig: back(rig, lambda x: -x), "transpose"),
    Route("transpose flipped", lambda rig: back(rig, lambda x: x.flip(-1)), "transpose"),
    Route("transpose slightly wrong", lambda rig: back(rig, slightly), "transpose"),
    Route("transpose zero", lambda rig: back(rig, lambda x: 0 * x), "transpose"),
    Route("transpose not finite", lambda rig: back(rig, lambda x: x / 0), "transpose"),
    Route("noise in the map", lambda rig: forth(rig, noisy), "transpose"),
    Route("an affine map", lambda rig: forth(rig, lambda x: x + 0.1), "transpose"),
    Route("a map that is not linear", lambda rig: forth(rig, torch.sin), "transpose"),
    Route(
        "a transpose that changes later",
        lambda rig: back(rig, from_the_second(lambda x: 3 * x, 200)),
        "transpose",
    ),
    Route("norm 0.97 of the true one", lambda rig: own(rig, share=0.97), "norm"),
    Route("norm half of the true one", lambda rig: own(rig, share=0.5), "norm"),
    Route("negative entries", signed, "negative"),
    Route("a formula for the proximal map", own_prox, "proximal"),
    Route("a proximal map of one's own", own_prox_with_error, "proximal"),
    Route("a lower bound of AᵀA", gram_claimed, "‖A x‖²"),
]


# ---- operators of the package -------------------------------------------------------------------


def own_adjoint(rig: Rig) -> None:
    true = rig.A.A_adjoint
    rig.A.A_adjoint = lambda y: 0.1 * true(y)  # type: ignore[method-assign]


def own_forward(rig: Rig) -> None:
    true = rig.A.A
    rig.A.A = lambda x: 2 * true(x)  # type: ignore[method-assign]


def private_map(rig: Rig) -> None:
    true = rig.A._forward_map
    rig.A._forward_map = lambda x: 2 * true(x)  # type: ignore[method-assign]


def own_prox_of_ours(rig: Rig) -> None:
    rig.A._closed_prox = lambda z, y, step: 1.5 * z  # type: ignore[method-assign]


def own_prox_l2_of_ours(rig: Rig) -> None:
    rig.A.prox_l2_with_error = (  # type: ignore[method-assign]
        lambda z, y, *given, **named: (1.5 * z, z.new_zeros(len(z)))
    )


def own_normal(rig: Rig) -> None:
    true = rig.A.normal
    rig.A.normal = lambda x: 0.5 * true(x)  # type: ignore[method-assign]


def borrowed(rig: Rig) -> None:
    """A class that calls itself one of ours."""
    kind = type(rig.A)

    def forward_map(self: Any, x: Tensor) -> Tensor:
        return 2 * kind._forward_map(self, x)

    names = {"_forward_map": forward_map, "__module__": kind.__module__}
    rig.A.__class__ = type(kind.__name__, (kind,), names)


TAMPERED = [
    Route("own A_adjoint", own_adjoint, "transpose"),
    Route("own A", own_forward, "transpose"),
    Route("own _forward_map", private_map, "transpose"),
    Route("own formula of the proximal map", own_prox_of_ours, "proximal"),
    Route("own proximal map", own_prox_l2_of_ours, "proximal"),
    Route("own normal map", own_normal, "transpose"),
    Route("a class with a borrowed name", borrowed, "transpose"),
]


def coefficients(A: LinearOperator) -> list[Tensor]:
    return [t for t in (*A.parameters(), *A.buffers()) if t.is_floating_point()]


def tripled(rig: Rig) -> None:
    for t in coefficients(rig.A):
        t.data.mul_(3)


def negative(rig: Rig) -> None:
    for t in coefficients(rig.A):
        t.data.mul_(-3)


def not_finite(rig: Rig) -> None:
    for t in coefficients(rig.A):
        t.data.flatten()[0] = torch.nan


def mask_cleared(rig: Rig) -> None:
    for t in (*rig.A.parameters(), *rig.A.buffers()):
        if t.dtype == torch.bool:
            t.data.logical_not_()


# What may be certified afterwards, if it is then true.
CHANGED = [
    Route("coefficients tripled", tripled),
    Route("coefficients negative", negative),
    Route("a coefficient that is no number", not_finite),
    Route("another mask", mask_cleared),
]


# ---- registered operators -----------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A registered operator, small."""

    name: str
    build: Callable[[], LinearOperator]

    def __str__(self) -> str:
        return self.name


def deepinv_case() -> LinearOperator:
    from deepinv.physics import LinearPhysics

    inner = blur(random_kernel(0))
    physics = LinearPhysics(
        A=lambda x, **_: inner.A(x), A_adjoint=lambda y, **_: inner.A_adjoint(y)
    )
    physics.register_buffer("precision", torch.zeros((), dtype=F64))
    return from_deepinv(physics, SIZE, norm_bound=1.0001)


def callable_case() -> LinearOperator:
    inner = blur(random_kernel(0))
    return from_callable(inner.A, inner.A_adjoint, SIZE, inner.measurement_shape, norm_bound=1.0001)


def matrix_case() -> LinearOperator:
    inner = blur(random_kernel(0))
    return from_matrix(to_matrix(inner), SIZE, inner.measurement_shape)


def scipy_case() -> LinearOperator:
    from scipy.sparse.linalg import LinearOperator as ScipyOperator

    matrix = to_matrix(blur(random_kernel(0))).numpy()
    hidden = ScipyOperator(
        matrix.shape, lambda v: matrix @ v, rmatvec=lambda v: matrix.T @ v, dtype=matrix.dtype
    )
    return from_scipy(hidden, SIZE, norm_bound=1.0001)


def registered() -> list[Case]:
    """The first case of every registered operator in `laws.operators`."""
    found = {}
    for case in cases.OPERATORS:
        found.setdefault(type(case.build(F64)).__name__, case)
    made = {name: Case(name, lambda c=case: c.build(F64)) for name, case in found.items()}
    brought = {
        "from_callable": callable_case,
        "from_deepinv": deepinv_case,
        "from_matrix": matrix_case,
        "from_scipy": scipy_case,
    }
    made |= {name: Case(name, build) for name, build in brought.items()}
    return [made[name] for name in listed.OPERATORS if name in made]

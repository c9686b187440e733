"""What the solvers of min f(x) + g(x) ask of f and g: facts, existence, where a solution lies."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pnp_recon.fidelity import Fidelity, Huber, LeastSquares, WeightedLeastSquares
from pnp_recon.proximal import L1, Box, Composite, Regulariser, Ridge
from pnp_recon.solvers.convex.existence import CONFINED, UNKNOWN
from pnp_recon.solvers.core.laws import ROUNDING_UNITS
from pnp_recon.solvers.core.premises import (
    LAWS,
    basis_of,
    bounded,
    bounded_below,
    solved,
    transposed,
)
from pnp_recon.solvers.core.solver import norms
from pnp_recon.solvers.core.theorem import Constant, Premise

# What a duality gap can prove in float64, where its rounding hides the square of the error. Under
# it lie, for pictures in [0, 1], the bounds of total variation with step·weight up to about one.
GAP_FLOOR = 2e-6


@dataclass(frozen=True)
class Objective:
    """F = f + g, with f bounded below by `fidelity.least` and g ≥ 0."""

    fidelity: Fidelity
    regulariser: Regulariser | None

    def value(self, x: Tensor) -> Tensor:
        """F(x), (B,)."""
        return self.fidelity.value(x) + self.penalty(x)

    def penalty(self, x: Tensor) -> Tensor:
        """g(x), (B,)."""
        if self.regulariser is None:
            return torch.zeros(x.shape[0], dtype=x.dtype, device=x.device)
        return self.regulariser.value(x)

    def excess(self, x: Tensor) -> Tensor:
        """F(x) less a lower bound of F, (B,); inf where none is known."""
        return self.value(x) - self.fidelity.least

    @property
    def prior_convexity(self) -> float:
        """A modulus of g."""
        return 0.0 if self.regulariser is None else self.regulariser.strong_convexity

    @property
    def data_convexity(self) -> float:
        """A modulus of f."""
        return self.fidelity.strong_convexity

    @property
    def strong_convexity(self) -> float:
        """A modulus of F."""
        return self.prior_convexity + self.data_convexity

    def moduli(self) -> tuple[Constant, ...]:
        """Those above zero as constants of a theorem."""
        found = []
        if self.data_convexity > 0:
            words = f"strong convexity of the {self.fidelity.name} fidelity"
            found.append(Constant("m of f", self.data_convexity, words))
        if self.regulariser is not None and self.prior_convexity > 0:
            words = f"strong convexity of {self.regulariser.name}"
            found.append(Constant("m", self.prior_convexity, words))
        return tuple(found)

    @property
    def exact(self) -> bool:
        """The proximal map of g is a closed form."""
        return self.regulariser is None or self.regulariser.exact

    @property
    def box(self) -> Box | None:
        """The box that g confines pictures to, or None."""
        if isinstance(self.regulariser, Composite):
            domain = self.regulariser.domain
            return domain if isinstance(domain, Box) else None
        return self.regulariser if isinstance(self.regulariser, Box) else None

    # ---- facts ------------------------------------------------------------------------------

    def missing(self, *, smooth: bool) -> str | None:
        """The fact that a convergence theorem lacks, or None.

        Args:
            smooth: the solver takes gradients of f, and needs a bound of their Lipschitz constant;
                otherwise it takes proximal maps of f.
        """
        operator, g = self.fidelity.A, self.regulariser
        if not operator.adjoint_matched:
            return f"A_adjoint of operator '{operator.name}' is not the transpose of A"
        if g is not None and not g.guarantee.is_firm:
            return f"the proximal map of '{g.name}' is not known to be firmly nonexpansive"
        if smooth and math.isinf(self.fidelity.loss_lipschitz):
            return f"the fidelity '{self.fidelity.name}' has no Lipschitz gradient"
        if smooth and not operator.has_norm_bound:
            return f"no proven bound of the norm of operator '{operator.name}' is known"
        if not smooth and not self.fidelity.has_prox:
            return f"the fidelity '{self.fidelity.name}' has no proximal map on pictures"
        return None

    def existence(self) -> str:
        """Why there is a minimiser, to go on in the sentence of a theorem.

        With f finite everywhere F has values wherever g has, and the sum rule of subdifferentials
        holds (Rockafellar 1970, Thm 23.8), so that minimisers are the zeros that solvers look for.
        Otherwise nothing is claimed.
        """
        g = self.regulariser
        if not self.fidelity.finite:
            return UNKNOWN
        if self.strong_convexity > 0:
            term = "g" if self.prior_convexity > 0 else "f"
            return f", the only one, {term} being strongly convex"
        # A functional of a gradient may have a domain of its own beside the box.
        fills = g.outer.finite if isinstance(g, Composite) else True
        if self.box is not None and self.box.bounded and fills:
            return CONFINED
        if isinstance(g, L1) and g.weight > 0 and self._is_bounded_below:
            return ", which exists, F being coercive"
        plain = isinstance(self.fidelity, LeastSquares | WeightedLeastSquares | Huber)
        if plain and (g is None or isinstance(g, L1 | Ridge | Box)):
            return (
                ", which exists, F being piecewise linear-quadratic and bounded below (Rockafellar "
                "& Wets 1998, Cor. 11.16)"
            )
        return UNKNOWN

    @property
    def _is_bounded_below(self) -> bool:
        return bool(torch.isfinite(torch.as_tensor(self.fidelity.least)).all())

    def radius(self, x: Tensor, *, envelope: bool = False) -> Tensor | None:
        """Proven bound (B,) on ‖x − x*‖ for every minimiser x* of F, or None.

        In a box by its corners; where F is m-strongly convex by m/2 ‖x − x*‖² ≤ F(x) − F(x*); for
        g = w‖·‖₁ by w‖x*‖₁ ≤ F(x) − inf f.

        Args:
            envelope: instead of f stands any function between f's lower bound and f, which need
                not have its modulus.
        """
        found = []
        rounded = 1 + 1e-5
        if self.box is not None:
            low, high = self.box.low, self.box.high
            found.append(norms(torch.maximum((x - low).abs(), (high - x).abs())))
        modulus = self.prior_convexity if envelope else self.strong_convexity
        if modulus > 0:
            found.append((2 * self.excess(x) / modulus).sqrt())
        if isinstance(self.regulariser, L1) and self.regulariser.weight > 0:
            found.append(norms(x) + self.excess(x) / self.regulariser.weight)
        if not found:
            return None
        bound = torch.stack(found).amin(0) * rounded
        return bound if bool(torch.isfinite(bound).all()) else None

    def premises(self, *, smooth: bool) -> tuple[Premise, ...]:
        """What theorems about f + g rest on, besides their constants.

        Args:
            smooth: the bound of the operator's norm is one of those constants.
        """
        terms = [self.fidelity, self.regulariser]
        known = basis_of(*(term for term in terms if term is not None))
        A = self.fidelity.A
        claimed = self.existence() != UNKNOWN
        finite = Premise("f is finite everywhere", basis_of(self.fidelity))
        return (
            *((bounded(A),) if smooth else solved(A)),
            transposed(A),
            *bounded_below(A),
            Premise("f and g are convex; the proximal map of g is firmly nonexpansive", known),
            *((finite,) if claimed else ()),
            LAWS,
        )

    # ---- accuracy ---------------------------------------------------------------------------

    def rounding(self, x: Tensor, image: Tensor, value: Tensor) -> Tensor:
        """What rounding can do to a computed F(x) = `value` with `image` = A x, (B,).

        Errors u‖Ax‖, u‖y‖ of the data and u‖x‖ of the picture move the root of 2f, which is a
        norm for least squares and has slopes below the root of L for every f ≥ 0 with L-Lipschitz
        gradient; sums add uF.
        """
        u = ROUNDING_UNITS * torch.finfo(x.dtype).eps
        data = math.sqrt(self.fidelity.loss_lipschitz) * (norms(image) + norms(self.fidelity.y))
        shift = u * (data + math.sqrt(self.fidelity.lipschitz) * norms(x))
        return shift * (2 * value.abs()).sqrt() + 0.5 * shift.square() + u * value.abs()


def smoothness(fidelity: Fidelity) -> float | None:
    """L of the gradient of f, where a bound between 0 and infinity is proven."""
    found = fidelity.lipschitz if fidelity.A.has_norm_bound else math.inf
    return found if 0 < found < math.inf else None


def at_most(left: Tensor, right: Tensor) -> Tensor:
    """left/right as a `Step.ratio`: above 1 where left > right, whatever the sign of right."""
    tiny = torch.finfo(left.dtype).tiny
    ratio = left / right.clamp_min(tiny)
    return torch.where(left <= right, ratio.clamp_max(1.0), ratio.clamp_min(1.0 + 1e-6))

"""The contract of a convex functional g: its value, its proximal map, and what is proven of them.

Every proximal map comes with a proven bound on its distance from the exact point, so that a solver
can add inner errors up. Nothing here knows an operator, a measurement or a solver.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import is_dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from operators.base import LinearOperator
from operators.norms import round_up
from pnp_recon import guarantees
from pnp_recon.contracts import PriorKind, PriorRecord
from pnp_recon.errors import InputError
from pnp_recon.guarantees import Guarantee


class Regulariser(ABC):
    """A proper, closed, convex function g of pictures (B, C, H, W), each picture by itself.

    Subclasses are frozen dataclasses whose fields are the parameters.
    """

    kind: ClassVar[PriorKind] = "functional"
    name: ClassVar[str]
    convex: ClassVar[bool] = True
    # Finite for every picture. Only then is a minimiser promised; a subclass that is says so.
    finite: ClassVar[bool] = False

    @abstractmethod
    def value(self, x: Tensor) -> Tensor:
        """g(x) for each picture, (B,); inf outside the domain."""

    @abstractmethod
    def prox(self, x: Tensor, step: float, *, tol: float = 0.0) -> tuple[Tensor, Tensor]:
        """argmin_u step·g(u) + ½‖u − x‖², and a proven bound on how far the result is from it.

        Args:
            x: (B, C, H, W), any real values.
            step: > 0.
            tol: wanted error of each picture, absolute, Euclidean. It is no error to miss it: the
                bound says how good the result is. Closed forms pay no heed to it.

        Returns:
            The point (B, C, H, W) and the bound (B,); zero for a closed form, meaning rounding.

        Raises:
            InputError: the step is not a positive number.
        """

    def prox_from(
        self, x: Tensor, step: float, *, tol: float = 0.0, memory: Any = None
    ) -> tuple[Tensor, Tensor, Any]:
        """`prox`, going on where an earlier call ended: its point, its bound, and a new memory.

        Args:
            x, step, tol: as for `prox`.
            memory: what an earlier call with little other arguments gave; None: begin afresh. It
                saves work and does not move the limit. Closed forms have none.
        """
        return (*self.prox(x, step, tol=tol), None)

    def scaled(self, factor: float) -> Regulariser:
        """factor·g, by its weight; g itself where it has none, as a constraint has none."""
        weight = getattr(self, "weight", None)
        if factor == 1 or weight is None or not is_dataclass(self):
            return self
        return replace(self, weight=factor * weight)

    @property
    def exact(self) -> bool:
        """The proximal map is a closed form."""
        return True

    @property
    def strong_convexity(self) -> float:
        """The largest m known with g − m/2 ‖·‖² convex."""
        return 0.0

    @property
    def guarantee(self) -> Guarantee:
        """What is proven of the exact proximal map at every step > 0."""
        return guarantees.firm("proximal map of a convex function (Moreau 1965)")

    def record(self) -> PriorRecord:
        """The functional as reports describe it, with the numbers among its parameters."""
        numbers = {
            key: value for key, value in vars(self).items() if isinstance(value, int | float)
        }
        return PriorRecord(self.kind, self.name, self.guarantee, numbers)

    def guarantee_of(self, step: float) -> Guarantee:
        """What is proven of the exact proximal map at one step.

        With g m-strongly convex, prox_{step·g} is 1/(1 + step·m)-Lipschitz on top of firm.
        Source: Bauschke & Combettes 2017, Prop. 23.13.
        """
        rate = checked_step(step) * self.strong_convexity
        if rate <= 0:
            return self.guarantee
        constant = min(1.0, round_up(1 / (1 + rate)))
        source = f"proximal map of a strongly convex function, step·m = {rate:.6g} (Moreau 1965)"
        return Guarantee(constant, 0.5, source)

    def conjugate_prox(self, u: Tensor, step: float) -> Tensor:
        """prox of step·g*, by Moreau's identity: u − step·prox_{g/step}(u/step).

        Raises:
            InputError: the proximal map has no closed form, so that its error could not be told.
        """
        if not self.exact:
            raise InputError(
                f"the conjugate of '{self.name}' has no proximal map in closed form; split it "
                "into `outer` and `operator`"
            )
        return u - step * self.prox(u / step, 1 / checked_step(step))[0]


class Composite(Regulariser):
    """g(x) = outer(K x), for solvers that split K off.

    `domain`, where there is one, is a further term of g that is not part of `outer`.
    """

    @property
    @abstractmethod
    def outer(self) -> Regulariser:
        """The functional of K x; its proximal maps are closed forms."""

    @abstractmethod
    def operator(self, image_shape: tuple[int, int, int]) -> LinearOperator:
        """K on pictures (C, H, W), with its `norm_bound`."""

    @property
    def domain(self) -> Regulariser | None:
        """The indicator of a constraint on x itself, or None."""
        return None

    @property
    def exact(self) -> bool:
        return False


def checked_step(step: float) -> float:
    """The step as a float.

    Raises:
        InputError: it is not a finite number > 0.
    """
    if not 0 < float(step) < math.inf:
        raise InputError(f"the step of a proximal map is {step}; expected a finite number > 0")
    return float(step)


def checked_weight(weight: float, what: str) -> None:
    """Refuse a weight that is not a finite number ≥ 0.

    Raises:
        InputError: saying which one.
    """
    if not 0 <= weight < math.inf:
        raise InputError(f"the {what} is {weight}; expected a finite number >= 0")


def no_error(x: Tensor) -> Tensor:
    """The error bound of a closed form, (B,)."""
    return torch.zeros(x.shape[0], dtype=x.dtype, device=x.device)


def soft_threshold(x: Tensor, threshold: float) -> Tensor:
    """sign(x)·max(|x| − threshold, 0), entry by entry."""
    return x - x.clamp(-threshold, threshold)


def indicator(inside: Tensor, like: Tensor) -> Tensor:
    """0 where `inside` (B,) holds and inf elsewhere, in the precision of `like`."""
    return torch.zeros(inside.shape, dtype=like.dtype, device=like.device).masked_fill(
        ~inside, math.inf
    )

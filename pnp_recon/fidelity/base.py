"""The contract of a data fidelity f(x) = φ(A x): a convex loss φ of the data, and an operator.

A solver uses f by its gradient, by its proximal map, or, through duality, by the proximal map of φ
alone, which is a closed form for every loss here.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from operators.base import LinearOperator
from operators.checks.probing import norm_or_attained
from operators.conjugate_gradient import image_norms
from operators.deadlines import expired
from operators.norms import round_down, round_up
from pnp_recon.errors import InputError

# Iterations of an inner proximal map before it returns what it has, and how often it looks.
INNER_LIMIT = 500
CHECK_EVERY = 5


@dataclass(frozen=True)
class Fidelity(ABC):
    """φ(A x) for measurements y (B, *measurement_shape) of pictures x (B, C, H, W).

    φ is a sum over the entries of the data; each picture of the batch is by itself.

    Raises:
        InputError: y lies outside the domain, see `check`.
    """

    A: LinearOperator
    y: Tensor
    name: ClassVar[str]
    # Why f is more than a loss of A x, so that no solver can split A off; empty: it is one.
    beyond_loss: ClassVar[str] = ""

    def __post_init__(self) -> None:
        self.check()

    def check(self) -> None:
        """Refuse data that the loss is not defined for.

        Raises:
            InputError: the shape of y is not that of the operator's measurements.
        """
        shape = self.A.measurement_shape
        if self.y.ndim != len(shape) + 1 or tuple(self.y.shape[1:]) != shape:
            expected = ", ".join(("B", *map(str, shape)))
            raise InputError(
                f"the measurement has shape {tuple(self.y.shape)}; operator '{self.A.name}' "
                f"gives ({expected})"
            )

    # ---- the loss, in the space of the data -------------------------------------------------

    @abstractmethod
    def loss(self, v: Tensor) -> Tensor:
        """φ(v) for each picture, (B,); inf outside the domain."""

    @abstractmethod
    def loss_gradient(self, v: Tensor) -> Tensor:
        """∇φ(v)."""

    @abstractmethod
    def loss_prox(self, v: Tensor, step: float | Tensor) -> Tensor:
        """argmin_u step·φ(u) + ½‖u − v‖², in closed form.

        Args:
            v: (B, *measurement_shape).
            step: > 0; a number, or a tensor that broadcasts to v (diagonal step sizes).
        """

    @property
    @abstractmethod
    def loss_lipschitz(self) -> float:
        """Proven Lipschitz constant of ∇φ; inf where there is none."""

    @property
    def loss_strong_convexity(self) -> float:
        """An m ≥ 0 with φ − m/2 ‖·‖² convex."""
        return 0.0

    @property
    def finite(self) -> bool:
        """φ is finite everywhere, as a convex φ is whose gradient is Lipschitz everywhere."""
        return self.loss_lipschitz < math.inf

    def inside(self, low: Tensor) -> Tensor:
        """Entries (B, *measurement_shape) where every v ≥ low lies in the domain of φ.

        Relatively inside, but for entries whose term is polyhedral.
        """
        return torch.full_like(low * self.y, self.finite, dtype=torch.bool)

    def outside(self, high: Tensor) -> Tensor:
        """Entries (B, *measurement_shape) where no v ≤ high lies in the domain of φ."""
        return torch.zeros_like(high * self.y, dtype=torch.bool)

    @property
    def least(self) -> Tensor | float:
        """A proven lower bound of φ, a number or (B,); −inf where none is known."""
        return -math.inf

    @property
    def whitening(self) -> float | Tensor:
        """What data are multiplied by for the noise to have one level, as φ assumes it; ≥ 0."""
        return 1.0

    def movable(self, reach: Tensor) -> Tensor:
        """Data next to y that stay in the domain where an entry falls by `reach`."""
        return self.y

    def misfit(self, v: Tensor) -> Tensor:
        """What the data lie off, v − y, times `whitening`."""
        return self.whitening * (v - self.y)

    def conjugate_prox(self, u: Tensor, step: float | Tensor) -> Tensor:
        """prox of step·φ*, by Moreau's identity: u − step·prox_{φ/step}(u/step)."""
        return u - step * self.loss_prox(u / step, 1 / step)

    # ---- the fidelity, in the space of pictures ---------------------------------------------

    def value(self, x: Tensor) -> Tensor:
        """f(x) for each picture, (B,)."""
        return self.value_at(x, self.A.A(x))

    def gradient(self, x: Tensor) -> Tensor:
        """∇f(x), Aᵀ∇φ(A x)."""
        return self.gradient_at(x, self.A.A(x))

    def value_at(self, x: Tensor, image: Tensor) -> Tensor:
        """f(x), (B,), where `image` = A x is known."""
        return self.loss(image)

    def gradient_at(self, x: Tensor, image: Tensor) -> Tensor:
        """∇f(x), where `image` = A x is known."""
        return self.A.A_adjoint(self.loss_gradient(image))

    @property
    def lipschitz(self) -> float:
        """Proven upper bound of the gradient's Lipschitz constant; inf where there is none."""
        constant = self.loss_lipschitz
        if constant == 0 or math.isinf(constant):
            return constant
        bound = self.A.norm_bound
        return round_up(constant * bound * bound)  # inf where ** would raise OverflowError

    @property
    def usual_lipschitz(self) -> float:
        """How ∇f changes about pictures that explain the data: settings go by it, no proof does.

        Where no bound of ‖A‖ is known, by what power iterations attain of it.
        """
        if self.A.has_norm_bound:
            return self.lipschitz
        return self.loss_lipschitz * norm_or_attained(self.A) ** 2

    @property
    def strong_convexity(self) -> float:
        """Proven m ≥ 0 with f − m/2 ‖·‖² convex: that of φ times a lower bound of AᵀA."""
        return round_down(self.loss_strong_convexity * self.A.gram_lower_bound)

    @property
    def data_sensitivity(self) -> float:
        """Proven Lipschitz constant of y ↦ ∇f(x) for every x; inf where there is none."""
        return math.inf

    def prox_sensitivity(self, gamma: float) -> float:
        """Proven Lipschitz constant of y ↦ prox_{γf}(z) for every z; inf where there is none.

        p = z − γ∇f(p; y) with a strongly monotone ∇f: (1 + γm)‖Δp‖ ≤ γ‖Δ∇f‖.
        """
        return round_up(gamma * self.data_sensitivity / (1 + gamma * self.strong_convexity))

    @property
    def has_prox(self) -> bool:
        """`prox` can be had, to any accuracy that the precision allows."""
        return True

    @property
    def exact_prox(self) -> bool:
        """`prox` is a closed form."""
        return False

    def prox(
        self, z: Tensor, gamma: float, start: Tensor | None = None, tol: float | Tensor = 0.0
    ) -> tuple[Tensor, Tensor]:
        """argmin γ f(x) + ½‖x − z‖², and a proven bound (B,) on the error.

        The default serves every smooth f: the objective F is 1-strongly convex, so that any x̂ is
        within ‖∇F(x̂)‖ of the minimiser; Nesterov's method with constant momentum (Nesterov 2004,
        Thm 2.2.3, scheme 2.2.22) brings that below `tol`.

        Args:
            z: (B, C, H, W).
            gamma: > 0.
            start: where the inner iteration starts; z if None. The last result of an outer loop
                saves most of the work.
            tol: wanted error of each picture, absolute, Euclidean. It is no error to miss it.

        Raises:
            InputError: f is not smooth, so that only its loss has a proximal map.
        """
        if not self.has_prox:
            raise InputError(
                f"the fidelity '{self.name}' has no proximal map on pictures, only one of its "
                "loss; use a solver that splits the operator off (pdhg)"
            )
        if not 0 < gamma < math.inf:
            raise InputError(f"gamma is {gamma}; expected a finite number > 0")
        smoothness = 1 + gamma * self.lipschitz
        root = math.sqrt(smoothness)
        momentum = (root - 1) / (root + 1)
        wide = torch.promote_types(z.dtype, self.A.certificate_dtype)
        center = z.to(wide)
        x = center if start is None else start.to(wide)
        with torch.no_grad():
            ahead = x
            slope = ahead - center + gamma * self.gradient(ahead)
            for iteration in range(INNER_LIMIT):
                if iteration % CHECK_EVERY == 0 and bool((image_norms(slope) <= tol).all()):
                    break
                if expired():
                    break
                x, before = ahead - slope / smoothness, x
                ahead = x + momentum * (x - before)
                slope = ahead - center + gamma * self.gradient(ahead)
            found = ahead.to(z.dtype)
            return found, image_norms(slope) + image_norms(ahead - found.to(wide))

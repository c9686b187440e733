"""A fidelity with a ridge: f(x) + weight/2·‖x − center‖², strongly convex for any operator."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from operators.base import LinearOperator
from operators.norms import round_down, round_up
from pnp_recon.errors import InputError
from pnp_recon.fidelity.base import Fidelity


@dataclass(frozen=True)
class Ridged(Fidelity):
    """f(x) + weight/2·‖x − center‖² (Tikhonov 1963): what f leaves open has a pull to the centre.

    It is weight-strongly convex whatever f and A are, so that iterations contract. The sum is no
    loss of A x, so that solvers that split A off refuse it.

    Attributes:
        fidelity: f.
        weight: > 0, in the units of f.
        center: a number, or a picture that broadcasts to (B, C, H, W); the middle of the range
            of pictures, 0.5, costs them least.

    Raises:
        InputError: the weight is not a positive number, or the centre has another shape.
    """

    A: LinearOperator = field(init=False)
    y: Tensor = field(init=False)
    fidelity: Fidelity
    weight: float
    center: float | Tensor = 0.0
    beyond_loss: ClassVar[str] = (
        "pdhg takes the fidelity by a loss of A x alone, and a ridge on the picture is none; take "
        "drs, or leave the ridge out and add proximal.Ridge instead, as the prior"
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "A", self.fidelity.A)
        object.__setattr__(self, "y", self.fidelity.y)
        super().__post_init__()

    @property
    def name(self) -> str:  # type: ignore[override]
        """The name of f, with the ridge."""
        return f"{self.fidelity.name} + ridge"

    def check(self) -> None:
        """Refuse a weight that is no positive number, and a centre that fits no picture.

        Raises:
            InputError: what was found.
        """
        if isinstance(self.weight, bool) or not 0 < self.weight < math.inf:
            raise InputError(
                f"the weight of the ridge is {self.weight}; expected a finite number > 0, or none "
                "for no ridge"
            )
        center = torch.as_tensor(self.center)
        if not bool(torch.isfinite(center).all()):
            raise InputError("the centre of the ridge is not finite; expected a picture in [0, 1]")
        shape = (len(self.y), *self.A.image_shape)
        try:
            fits = torch.broadcast_shapes(center.shape, shape) == shape
        except RuntimeError:
            fits = False
        if not fits:
            raise InputError(
                f"the centre of the ridge has shape {tuple(center.shape)}; expected a number, or "
                f"one that broadcasts to the pictures, {shape}"
            )

    # ---- what the sum is, by its parts -------------------------------------------------------

    def value_at(self, x: Tensor, image: Tensor) -> Tensor:
        pull = (x - self._center(x)).square().flatten(1).sum(1)
        return self.fidelity.value_at(x, image) + 0.5 * self.weight * pull

    def gradient_at(self, x: Tensor, image: Tensor) -> Tensor:
        return self.fidelity.gradient_at(x, image) + self.weight * (x - self._center(x))

    @property
    def lipschitz(self) -> float:
        return round_up(self.fidelity.lipschitz + self.weight)

    @property
    def usual_lipschitz(self) -> float:
        return self.fidelity.usual_lipschitz + self.weight

    @property
    def strong_convexity(self) -> float:
        return round_down(self.fidelity.strong_convexity + self.weight)

    @property
    def has_prox(self) -> bool:
        return self.fidelity.has_prox

    @property
    def least(self) -> Tensor | float:
        """A lower bound of f, since the ridge is not negative."""
        return self.fidelity.least

    @property
    def exact_prox(self) -> bool:
        return self.fidelity.exact_prox

    def prox(
        self, z: Tensor, gamma: float, start: Tensor | None = None, tol: float | Tensor = 0.0
    ) -> tuple[Tensor, Tensor]:
        """argmin γ(f(x) + weight/2·‖x − c‖²) + ½‖x − z‖², and a proven bound (B,) on the error.

        With s = 1 + γ·weight it is prox_{γ/s f}((z + γ·weight·c)/s): the squares make one, with
        weight s. The point is that of the inner map, and so is the bound of its error.
        """
        if not 0 < gamma < math.inf:
            raise InputError(f"gamma is {gamma}; expected a finite number > 0")
        pull = gamma * self.weight
        middle = (z + pull * self._center(z)) / (1 + pull)
        return self.fidelity.prox(middle, gamma / (1 + pull), start=start, tol=tol)

    def _center(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.center, dtype=x.dtype, device=x.device)

    def movable(self, reach: Tensor) -> Tensor:
        return self.fidelity.movable(reach)

    @property
    def whitening(self) -> float | Tensor:
        return self.fidelity.whitening

    def misfit(self, v: Tensor) -> Tensor:
        return self.fidelity.misfit(v)

    # ---- the loss of A x, which it is more than ----------------------------------------------

    @property
    def loss_lipschitz(self) -> float:
        """The constant of the loss of f; the ridge has its part in `lipschitz`."""
        return self.fidelity.loss_lipschitz

    def loss(self, v: Tensor) -> Tensor:
        raise InputError(self.beyond_loss)

    def loss_gradient(self, v: Tensor) -> Tensor:
        raise InputError(self.beyond_loss)

    def loss_prox(self, v: Tensor, step: float | Tensor) -> Tensor:
        raise InputError(self.beyond_loss)

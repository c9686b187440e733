"""Functionals whose proximal map is written in a line: ℓ1, ridge, elastic net, box, ball.

Their formulas are collected in Combettes & Pesquet 2011, Table 10.2, and Beck 2017, First-Order
Methods in Optimization, chapter 6.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from operators.conjugate_gradient import per_image
from pnp_recon.errors import InputError
from pnp_recon.proximal.base import (
    Regulariser,
    checked_step,
    checked_weight,
    indicator,
    no_error,
    soft_threshold,
)


@dataclass(frozen=True)
class L1(Regulariser):
    """weight·‖x‖₁; its proximal map is the soft threshold (Donoho 1995)."""

    weight: float
    name: ClassVar[str] = "l1"
    finite: ClassVar[bool] = True

    def __post_init__(self) -> None:
        checked_weight(self.weight, "weight of the l1 norm")

    def value(self, x: Tensor) -> Tensor:
        return self.weight * x.abs().flatten(1).sum(1)

    def prox(self, x: Tensor, step: float, *, tol: float = 0.0) -> tuple[Tensor, Tensor]:
        return soft_threshold(x, checked_step(step) * self.weight), no_error(x)


@dataclass(frozen=True)
class Ridge(Regulariser):
    """weight/2·‖x‖² (Tikhonov 1963); its proximal map is x/(1 + step·weight)."""

    weight: float
    name: ClassVar[str] = "ridge"
    finite: ClassVar[bool] = True

    def __post_init__(self) -> None:
        checked_weight(self.weight, "weight of the ridge")

    @property
    def strong_convexity(self) -> float:
        return self.weight

    def value(self, x: Tensor) -> Tensor:
        return 0.5 * self.weight * x.square().flatten(1).sum(1)

    def prox(self, x: Tensor, step: float, *, tol: float = 0.0) -> tuple[Tensor, Tensor]:
        return x / (1 + checked_step(step) * self.weight), no_error(x)


@dataclass(frozen=True)
class ElasticNet(Regulariser):
    """l1·‖x‖₁ + l2/2·‖x‖² (Zou & Hastie 2005): soft threshold, then shrinkage."""

    l1: float
    l2: float
    name: ClassVar[str] = "elastic-net"
    finite: ClassVar[bool] = True

    def __post_init__(self) -> None:
        checked_weight(self.l1, "l1 weight of the elastic net")
        checked_weight(self.l2, "l2 weight of the elastic net")

    def scaled(self, factor: float) -> ElasticNet:
        return replace(self, l1=factor * self.l1, l2=factor * self.l2)

    @property
    def strong_convexity(self) -> float:
        return self.l2

    def value(self, x: Tensor) -> Tensor:
        return (self.l1 * x.abs() + 0.5 * self.l2 * x.square()).flatten(1).sum(1)

    def prox(self, x: Tensor, step: float, *, tol: float = 0.0) -> tuple[Tensor, Tensor]:
        step = checked_step(step)
        return soft_threshold(x, step * self.l1) / (1 + step * self.l2), no_error(x)


@dataclass(frozen=True)
class Box(Regulariser):
    """0 where low ≤ x ≤ high in every pixel, inf elsewhere; its proximal map clamps."""

    low: float = 0.0
    high: float = 1.0
    name: ClassVar[str] = "box"

    def __post_init__(self) -> None:
        if not (self.low <= self.high and self.low < math.inf and self.high > -math.inf):
            raise InputError(
                f"the box is [{self.low}, {self.high}]; expected low <= high and a number between"
            )

    @property
    def bounded(self) -> bool:
        """Neither end is infinite, so that the box is compact."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    def value(self, x: Tensor) -> Tensor:
        return indicator(((x >= self.low) & (x <= self.high)).flatten(1).all(1), x)

    def prox(self, x: Tensor, step: float, *, tol: float = 0.0) -> tuple[Tensor, Tensor]:
        checked_step(step)
        # ±inf becomes NaN (x − x), so that clamping hides no divergence.
        return x.clamp(self.low, self.high) + (x - x), no_error(x)


@dataclass(frozen=True)
class L2Ball(Regulariser):
    """0 where ‖x − center‖ ≤ radius for the whole picture, inf elsewhere.

    Attributes:
        radius: ≥ 0, in the units of the picture.
        center: broadcasts to (B, C, H, W); None is zero.
    """

    radius: float
    center: Tensor | None = None
    name: ClassVar[str] = "l2-ball"

    def __post_init__(self) -> None:
        checked_weight(self.radius, "radius of the ball")

    def value(self, x: Tensor) -> Tensor:
        """0 or inf; a point that rounding has put outside counts as inside."""
        center = self._center(x)
        slack = 4 * torch.finfo(x.dtype).eps * (_norms(x) + _norms(center))
        return indicator(_norms(x - center) <= self.radius + slack, x)

    def prox(self, x: Tensor, step: float, *, tol: float = 0.0) -> tuple[Tensor, Tensor]:
        checked_step(step)
        center = self._center(x)
        offset = x - center
        size = _norms(offset)
        factor = (self.radius / size.clamp_min(torch.finfo(size.dtype).tiny)).to(x.dtype)
        projected = center + per_image(factor, x) * offset
        return torch.where(per_image(size <= self.radius, x), x, projected), no_error(x)

    def _center(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x) if self.center is None else self.center.to(x).expand_as(x)


def _norms(x: Tensor) -> Tensor:
    """Norm of each picture, added up in float64: a sum over a picture loses digits in float32."""
    return torch.linalg.vector_norm(x.flatten(1), dim=1, dtype=torch.float64)

"""If J is invariant under an isometry then its proximal map commutes with it, and else it does not.

Celledoni, Ehrhardt, Etmann, Owren, Schönlieb & Sherry 2021, Equivariant neural networks for inverse
problems, Prop. 1: prox_J(g·x) minimises J(u) + ½‖u − g·x‖² = J(g⁻¹u) + ½‖g⁻¹u − x‖². Every
functional is tried with all turns by 90° and flips; which of them leave it alone is stated here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from laws.networks import random_tensor
from operators.differences import Gradient
from pnp_recon.networks.equivariant import Element, Group, turn
from pnp_recon.proximal import (
    L1,
    Box,
    ElasticNet,
    L2Ball,
    Regulariser,
    Ridge,
    TotalVariation,
    WaveletL1,
)
from pnp_recon.proximal.base import no_error, soft_threshold

D4 = Group(4, reflections=True)
ALL = frozenset(D4.elements)
IDENTITY, HALF = Element(0, 0), Element(2, 0)
TRANSPOSITION = Element(3, 1)  # of the array: x.mT
# What keeps rows rows.
UPRIGHT = frozenset({IDENTITY, HALF, Element(0, 1), Element(2, 1)})
# What keeps the upper left corner where it is.
CORNER = frozenset({IDENTITY, TRANSPOSITION})
STEP = 0.7
# What the maps without a closed form are asked for; their proven error bounds enter the comparison.
TOLERANCE = 1e-5
ROUNDING = 1e-10


@dataclass(frozen=True)
class Differences(Regulariser):
    """Σ down·|x[i+1, j] − x[i, j]| + across·|x[i, j+1] − x[i, j]|: anisotropic total variation."""

    down: float
    across: float
    name: ClassVar[str] = "differences"

    def value(self, x: Tensor) -> Tensor:
        return (self._limits(x) * self._gradient(x).A(x).abs()).flatten(1).sum(1)

    def prox(
        self, x: Tensor, step: float, *, tol: float = 0.0, start: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """x − Dᵀp, p by projected gradient steps on the dual problem (Chambolle 2004)."""
        D, limits = self._gradient(x), step * self._limits(x)
        p = torch.zeros_like(D.A(x))
        for _ in range(400):
            p = torch.clamp(p + 0.24 * D.A(x - D.A_adjoint(p)), -limits, limits)
        return x - D.A_adjoint(p), no_error(x)

    def _gradient(self, x: Tensor) -> Gradient:
        return Gradient(tuple(x.shape[1:]))

    def _limits(self, x: Tensor) -> Tensor:
        return torch.tensor([self.down, self.across], dtype=x.dtype).reshape(1, 2, 1, 1, 1)


@dataclass(frozen=True)
class WeightedL1(Regulariser):
    """Σ w|x|, w rising from the left to the right by `slope`."""

    slope: float
    name: ClassVar[str] = "weighted-l1"

    def value(self, x: Tensor) -> Tensor:
        return (self._weights(x) * x.abs()).flatten(1).sum(1)

    def prox(
        self, x: Tensor, step: float, *, tol: float = 0.0, start: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        weights = self._weights(x)
        return weights * soft_threshold(x / weights, step), no_error(x)

    def _weights(self, x: Tensor) -> Tensor:
        return 0.2 + self.slope * torch.arange(x.shape[-1], dtype=x.dtype)


@dataclass(frozen=True)
class Case:
    """A functional, pictures (C, H, W) to try it on, and what leaves it alone on those."""

    label: str
    build: Callable[[], Regulariser]
    shape: tuple[int, int, int]
    invariant: frozenset[Element]


CASES = [
    Case("l1", lambda: L1(0.2), (2, 7, 8), ALL),
    Case("ridge", lambda: Ridge(0.5), (2, 7, 8), ALL),
    Case("elastic-net", lambda: ElasticNet(0.2, 0.4), (2, 7, 8), ALL),
    Case("box", lambda: Box(-0.5, 0.25), (2, 7, 8), ALL),
    Case("l2-ball", lambda: L2Ball(0.6), (2, 7, 8), ALL),
    Case("weighted-l1", lambda: WeightedL1(0.1), (2, 7, 8), frozenset({IDENTITY, Element(0, 1)})),
    # The weights without their slope: the same code, and nothing breaks.
    Case("weighted-l1-flat", lambda: WeightedL1(0.0), (2, 7, 8), ALL),
    # Total variation by the sum of the absolute differences along both axes, and along one.
    Case("tv-anisotropic-even", lambda: Differences(0.2, 0.2), (1, 6, 6), ALL),
    Case("tv-anisotropic-odd", lambda: Differences(0.2, 0.2), (2, 7, 5), ALL),
    Case("tv-horizontal", lambda: Differences(0.0, 0.2), (1, 6, 6), UPRIGHT),
    # Of signals it is one and the same, and the package's is invariant.
    Case("tv-row", lambda: TotalVariation(0.2), (1, 1, 9), ALL),
    Case("tv-column", lambda: TotalVariation(0.2, "vectorial"), (3, 8, 1), ALL),
    # On pictures, the root of squared *forward* differences couples a pixel with those below and
    # to the right of it, and only a transposition keeps that.
    Case("tv-grey", lambda: TotalVariation(0.2), (1, 6, 6), CORNER),
    Case("tv-vectorial", lambda: TotalVariation(0.2, "vectorial"), (3, 5, 5), CORNER),
    Case("tv-nuclear", lambda: TotalVariation(0.2, "nuclear"), (3, 5, 6), CORNER),
    # Haar's filters are even and odd about the middle of their block, on sizes of whole blocks.
    Case("wavelet-haar", lambda: WaveletL1(0.2, "haar", 2), (2, 8, 12), ALL),
    Case("wavelet-haar-cut", lambda: WaveletL1(0.2, "haar", 2), (1, 7, 7), CORNER),
    Case("wavelet-db2", lambda: WaveletL1(0.2, "db2", 2), (1, 8, 8), CORNER),
]


def invariance_defect(J: Regulariser, x: Tensor, g: Element) -> float:
    """|J(g·x) − J(x)| / |J(x)|; inf on both sides is no difference."""
    here, there = J.value(x), J.value(turn(x, D4, g))
    if torch.equal(here, there):
        return 0.0
    return float(((there - here).abs() / here.abs()).max())


def prox_defect(J: Regulariser, x: Tensor, g: Element) -> tuple[float, float]:
    """‖prox(g·x) − g·prox(x)‖, and what is known of the errors of the two points."""
    point, error = J.prox(x, STEP, tol=TOLERANCE)
    turned, other = J.prox(turn(x, D4, g), STEP, tol=TOLERANCE)
    gap = (turned - turn(point, D4, g)).flatten(1).norm(dim=1)
    assert float((point - x).norm()) > 0.1
    return float(gap.max()), float((error + other).max())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.label)
@pytest.mark.parametrize("g", D4.elements, ids=lambda g: f"r{g.rotation}f{g.reflection}")
def test_prox_commutes_with_what_leaves_the_functional_alone(case: Case, g: Element) -> None:
    J, x = case.build(), random_tensor(2, *case.shape, seed=4)
    change, (gap, error) = invariance_defect(J, x, g), prox_defect(J, x, g)
    if g in case.invariant:
        assert change < ROUNDING
        assert gap < error + ROUNDING
    else:
        assert change > 1e-5
        assert gap > 1e-2 > 100 * error


def test_every_group_of_isometries_is_one() -> None:
    """The theorem speaks of groups: products of what leaves a functional alone leave it alone."""
    for case in CASES:
        assert IDENTITY in case.invariant
        assert {D4.product(g, h) for g in case.invariant for h in case.invariant} == case.invariant
    x = random_tensor(1, 1, 3, 4)
    assert torch.equal(turn(x, D4, TRANSPOSITION), x.mT)


def test_the_functionals_made_here_are_what_they_say() -> None:
    """Horizontal total variation is that of each row; flat weights make the l1 norm."""
    x = random_tensor(1, 1, 4, 6)
    rows, _ = TotalVariation(0.2, max_iter=20000).prox(x.reshape(4, 1, 1, 6), STEP, tol=1e-9)
    point, _ = Differences(0.0, 0.2).prox(x, STEP)
    torch.testing.assert_close(point, rows.reshape(x.shape), rtol=0, atol=1e-7)
    torch.testing.assert_close(WeightedL1(0.0).prox(x, STEP)[0], L1(0.2).prox(x, STEP)[0])

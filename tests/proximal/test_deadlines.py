"""Inner loops of proximal maps return what they have at a deadline, and its error."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from torch import Tensor

from laws import operators as laws
from laws.networks import picture
from operators import Convolution
from operators.deadlines import deadline
from pnp_recon.fidelity import Huber
from pnp_recon.proximal.total_variation import TotalVariation

SHAPE = (1, 24, 24)


def _total_variation() -> Tensor:
    return TotalVariation(0.1).prox(picture(1, *SHAPE), 1.0, tol=1e-9)[1]


def _huber() -> Tensor:
    A = Convolution(laws.random_kernel((5, 5)), SHAPE, "reflect")
    return Huber(A, picture(1, *SHAPE, seed=2), 0.1).prox(picture(1, *SHAPE), 10.0, tol=1e-9)[1]


@pytest.mark.parametrize("inner", [_total_variation, _huber])
def test_inner_loops_keep_a_deadline(inner: Callable[[], Tensor]) -> None:
    with deadline(0):
        late = float(inner())
    assert math.isfinite(late)
    assert float(inner()) < 1e-2 * late

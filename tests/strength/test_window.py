"""A window of a large convolution: an exact problem of its own, and the whole where it is none."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from laws.networks import picture
from laws.solvers import random_kernel
from operators import Boundary, Channelwise, Convolution, Inpainting
from pnp_recon.fidelity import KullbackLeibler, LeastSquares, WeightedLeastSquares
from pnp_recon.problems.problem import Problem
from pnp_recon.strength import window as module
from pnp_recon.strength.window import window

SIDE, SHAPE = 12, (2, 40, 44)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SIDE", SIDE)
    monkeypatch.setattr(module, "STEP", 4)


def _problem(
    boundary: Boundary = "valid", channelwise: bool = False
) -> tuple[Problem, torch.Tensor]:
    kernel, x = random_kernel(0), picture(1, *SHAPE, seed=3)
    A: Convolution | Channelwise = Convolution(kernel, SHAPE, boundary)
    if channelwise:
        A = Channelwise([Convolution(random_kernel(k), (1, *SHAPE[1:]), boundary) for k in (0, 1)])
    return Problem(A, A.A(x), 0.01), x


def _misfit(given: Problem, x: torch.Tensor) -> float:
    """How far the window is from what its operator makes of the best part of x."""
    part = window(given)
    assert part is not None
    height, width = part.A.image_shape[1:]
    return min(
        float((part.A.A(x[..., i : i + height, j : j + width]) - part.y).abs().max())
        for i in range(x.shape[-2] - height + 1)
        for j in range(x.shape[-1] - width + 1)
    )


@pytest.mark.parametrize("channelwise", [False, True])
def test_the_operator_of_a_window_makes_its_data_of_the_picture_there(channelwise: bool) -> None:
    assert _misfit(*_problem(channelwise=channelwise)) < 1e-6


def test_data_of_another_kernel_are_not_those_of_the_window() -> None:
    """The broken twin."""
    given, x = _problem()
    other = Convolution(random_kernel(1), SHAPE, "valid")
    assert _misfit(replace(given, y=other.A(x)), x) > 1e-3


def test_a_typical_window_is_taken_not_a_flat_one() -> None:
    given, _ = _problem("circular")
    y = given.y.clone()
    y[..., :20, :] = 0.5
    part = window(replace(given, y=y))
    assert part is not None
    assert float(part.y.std()) > 0


def test_weights_go_with_their_data() -> None:
    given, _ = _problem()
    weights = given.y.abs() + 1
    part = window(replace(given, fidelity=WeightedLeastSquares(given.A, given.y, weights)))
    assert part is not None
    assert isinstance(part.fidelity, WeightedLeastSquares)
    torch.testing.assert_close(part.fidelity.weights, part.y.abs() + 1)
    assert window(replace(given, fidelity=LeastSquares(given.A, given.y))) is not None


def test_where_it_is_no_window_all_data_are_taken() -> None:
    given, x = _problem("circular")
    y = given.y.clone()
    y[..., :20, :] = 0.5
    known = torch.zeros_like(y)
    known[..., :2, :] = 1.0
    mask = Inpainting(torch.ones(SHAPE[1:]), SHAPE)
    small = Convolution(random_kernel(0), (2, 16, 16), "circular")
    nothing = [
        replace(given, start=torch.zeros_like(x)),
        replace(given, fidelity=KullbackLeibler(given.A, given.y.clamp_min(0.01))),
        replace(given, y=y, fidelity=WeightedLeastSquares(given.A, y, known)),
        Problem(mask, x, 0.01),
        Problem(small, x[..., :16, :16], 0.01),
    ]
    assert [window(one) for one in nothing] == [None] * len(nothing)

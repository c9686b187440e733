"""Itoh–Abe descent: it falls for every step size, on entries and on orthonormal matrices."""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from pnp_recon.errors import InputError
from pnp_recon.training.structured.discrete import ItohAbe, ItohAbeStiefel, frugal
from pnp_recon.training.structured.momentum import HeavyBall
from pnp_recon.training.structured.orthogonal import defect, orthonormalise
from scripts.studies.optimisers.plane import START, camel

Made = Callable[[list[Tensor]], torch.optim.Optimizer]
A = torch.diag(torch.tensor([3.0, 1.0, 2.0, 5.0]).double())
SOLVES = ("exact", "frugal")


def rayleigh(u: Tensor) -> Tensor:
    """tr(UᵀAUN): least where the columns are the first eigenvectors of A."""
    weights = torch.arange(u.shape[1], 0.0, -1).to(u)
    return ((u.mT @ A @ u).diagonal() * weights).sum()


def point(p: int) -> Tensor:
    u = torch.randn(4, p, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    orthonormalise(u)
    return u


def run(made: Made, start: Tensor, loss: Callable[[Tensor], Tensor], steps: int) -> list[Tensor]:
    u = start.clone().requires_grad_()
    optimiser, points = made([u]), [start.clone()]

    def closure() -> Tensor:
        optimiser.zero_grad()
        value = loss(u)
        if torch.is_grad_enabled():
            value.backward()
        return value

    for _ in range(steps):
        optimiser.step(closure)
        points.append(u.detach().clone())
    return points


@pytest.mark.parametrize("solve", SOLVES)
@pytest.mark.parametrize("h", [0.01, 5.0, 1e4])
def test_it_falls_for_every_step(h: float, solve: str) -> None:
    values = [float(camel(u)) for u in run(lambda u: ItohAbe(u, h, solve), START, camel, 12)]
    # To the rounding at which the enclosed ends of a step are equal.
    assert all(after <= before for before, after in pairwise(values))
    assert values[-1] < values[0]


@pytest.mark.parametrize("solve", SOLVES)
def test_it_comes_to_the_minimum(solve: str) -> None:
    last = run(lambda u: ItohAbe(u, 5.0, solve), START, camel, 60)[-1]
    assert float(camel(last)) < 1e-15


def test_a_gradient_step_of_the_same_size_does_not_fall() -> None:
    values = [float(camel(u)) for u in run(lambda u: torch.optim.SGD(u, 5.0), START, camel, 1)]
    assert values[1] > values[0]


@pytest.mark.parametrize("solve", SOLVES)
def test_it_dissipates_what_it_moves(solve: str) -> None:
    """J(u⁺) + ‖u⁺ − u‖²/h ≤ J(u), with equality where exact; the twin with twice as much fails."""
    before, after = run(lambda u: ItohAbe(u, 0.5, solve), START, camel, 8)[-2:]
    moved = float((after - before).square().sum()) / 0.5
    fall = float(camel(before) - camel(after))
    assert moved <= fall + 1e-15
    if solve == "exact":
        assert 2 * moved > fall


@pytest.mark.parametrize("solve", SOLVES)
@pytest.mark.parametrize(("p", "least"), [(1, 1.0), (2, 4.0)])
@pytest.mark.parametrize("h", [0.3, 1e3])
def test_it_falls_on_spheres_and_orthonormal_matrices(
    h: float, p: int, least: float, solve: str
) -> None:
    points = run(lambda u: ItohAbeStiefel(u, h, solve), point(p), rayleigh, 30)
    values = [float(rayleigh(u)) for u in points]
    assert all(after <= before + 1e-14 for before, after in pairwise(values))
    assert max(defect(u) for u in points) < 1e-13
    if h == 0.3 or solve == "frugal":
        assert values[-1] == pytest.approx(least, abs=1e-4)


def test_entries_by_themselves_leave_the_sphere() -> None:
    assert defect(run(lambda u: ItohAbe(u, 0.05), point(1), rayleigh, 1)[-1]) > 1e-2


def test_the_frugal_solve_takes_three_values_and_no_step_that_errors_may_have_made() -> None:
    calls = []

    def value(s: float) -> float:
        calls.append(s)
        return (s - 1) ** 2

    assert frugal(value, 10.0, 0.2, 1.0) == pytest.approx((1.0, 0.0))
    assert len(calls) == 3
    # s²/h = 0.1: errors of 0.06 in both values may have made it, errors of 0.04 not.
    assert frugal(value, 10.0, 0.2, 1.0, error=0.06) == (0.0, 1.0)
    assert frugal(value, 10.0, 0.2, 1.0, error=0.04) == pytest.approx((1.0, 0.0))


@pytest.mark.parametrize("solve", SOLVES)
def test_a_stored_state_goes_on_as_if_it_had_not_stopped(solve: str) -> None:
    through = START.clone().requires_grad_()
    optimiser = ItohAbe([through], 0.5, solve)
    for _ in range(3):
        optimiser.step(lambda: camel(through))
    halted, bare = (through.detach().clone().requires_grad_() for _ in range(2))
    again, without = ItohAbe([halted], 0.5, solve), ItohAbe([bare], 0.5, solve)
    again.load_state_dict(copy.deepcopy(optimiser.state_dict()))
    optimiser.step(lambda: camel(through)), again.step(lambda: camel(halted))
    without.step(lambda: camel(bare))
    assert torch.equal(through, halted)
    if solve == "frugal":  # the twin: where searches begin matters to what they find
        assert not torch.equal(through, bare)


def test_what_cannot_be_is_refused() -> None:
    u = [torch.zeros(2, requires_grad=True)]
    with pytest.raises(InputError, match="closure"):
        ItohAbe(u, 0.1).step()
    for made in (lambda: ItohAbe(u, -1.0), lambda: ItohAbeStiefel([torch.ones(3, 2)], 1.0)):
        with pytest.raises(InputError, match="expected"):
            made()
    with pytest.raises(InputError, match="known: exact, frugal"):
        ItohAbe(u, 1.0, "cheap")


def test_frozen_parameters_stay() -> None:
    """And the others beside them move."""
    free, frozen = (
        torch.ones(1, dtype=torch.float64, requires_grad=held) for held in (True, False)
    )
    optimiser = ItohAbe([free, frozen], 0.1)
    optimiser.step(lambda: free.square().sum() + frozen.square().sum())
    assert frozen.tolist() == [1.0]
    assert free.item() < 1


def test_a_closure_without_a_number_is_refused() -> None:
    with pytest.raises(InputError, match="gives a NoneType; expected the loss"):
        ItohAbe([torch.ones(1, requires_grad=True)], 0.1).step(lambda: None)


def test_the_step_size_of_a_group_is_checked() -> None:
    u = torch.ones(1, requires_grad=True)
    with pytest.raises(InputError, match="lr is -1"):
        ItohAbe([{"params": [u], "lr": -1}], 0.1)
    with pytest.raises(InputError, match="lr is 'a'"):
        HeavyBall([{"params": [u], "lr": "a"}], 0.1, 1.0)


def test_complex_parameters_and_unknown_solves_of_a_group_are_refused() -> None:
    with pytest.raises(InputError, match="complex"):
        ItohAbe([torch.ones(1, dtype=torch.cfloat, requires_grad=True)], 0.1)
    with pytest.raises(InputError, match="unknown solve"):
        ItohAbe([{"params": [torch.ones(1, requires_grad=True)], "solve": "none"}], 0.1)


def test_entries_move_however_they_lie_in_memory() -> None:
    filters = torch.ones(2, 3, 2, 2).to(memory_format=torch.channels_last).requires_grad_()
    with pytest.raises(RuntimeError):
        filters.view(-1)  # what lies like this has no flat view
    ItohAbe([filters], 0.5, "frugal").step(lambda: filters.square().sum())
    assert bool((filters < 1).all())

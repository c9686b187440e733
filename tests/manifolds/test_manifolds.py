"""Geometry of the manifolds: each law, and a twin that breaks it."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from laws.manifolds import CASES, CIRCLE, LINE, NAMES, TENSORS, Case, congruence
from laws.networks import random_tensor
from pnp_recon.errors import InputError
from pnp_recon.manifolds import Flat, PositiveDefinite, Rotations
from pnp_recon.manifolds.circle import arc, phase
from pnp_recon.manifolds.spd import exp_euclidean, log_euclidean

every = pytest.mark.parametrize("case", CASES, ids=NAMES)


@every
def test_exponential_and_logarithm_undo_each_other(case: Case) -> None:
    space, x, v = case.space, case.points(40), case.vectors(40, seed=1, spread=0.4)
    y = space.exp(x, v)
    assert float((space.log(x, y) - v).abs().max()) < 1e-11
    z = case.points(40, seed=2)
    assert float(space.distance(space.exp(x, space.log(x, z)), z).max()) < 1e-7
    assert float(space.norm(x, space.log(x, x)).max()) < 1e-7


@every
def test_points_stay_on_the_manifold(case: Case) -> None:
    space, x = case.space, case.points(40, spread=1.5)
    for seed in range(20):
        x = space.geodesic(x, case.points(40, seed=seed), 0.7)
    assert float(space.off(x).max()) < 1e-12


def test_straight_steps_leave_the_manifold() -> None:
    x, v = TENSORS.points(40), 1.5 * TENSORS.vectors(40, seed=1)
    assert float(TENSORS.space.off(TENSORS.space.exp(x, v)).max()) < 1e-12
    assert float(TENSORS.space.off(x + v).max()) == math.inf


@every
def test_distances(case: Case) -> None:
    space = case.space
    x, y, z = (case.points(60, seed=seed) for seed in range(3))
    there, back, found = space.logs(x, y)
    assert torch.allclose(found, space.distance(y, x), atol=1e-12)
    assert torch.allclose(found, space.norm(x, there), atol=1e-12)
    assert torch.allclose(back, space.log(y, x), atol=1e-10)
    assert torch.allclose(there, space.log(x, y), atol=1e-10)
    assert bool((found <= space.distance(x, z) + space.distance(z, y) + 1e-12).all())
    middle = space.geodesic(x, y, 0.25)
    assert torch.allclose(space.distance(x, middle), found / 4, atol=1e-7)


@every
def test_isometries_keep_distances_and_means(case: Case) -> None:
    space, move = case.space, case.isometry
    x, y = case.points(30), case.points(30, seed=1)
    assert torch.allclose(space.distance(move(x), move(y)), space.distance(x, y), atol=1e-7)
    apart = space.distance(move(space.mean(x)[None]), space.mean(move(x))[None])
    assert float(apart) < 1e-7


def log_euclidean_mean(x: Tensor) -> Tensor:
    return exp_euclidean(log_euclidean(x).mean(0))


def test_other_means_of_tensors_break_invariance() -> None:
    x = TENSORS.points(30)
    for mean, exact in ((TENSORS.space.mean, True), (log_euclidean_mean, False)):
        apart = TENSORS.space.distance(congruence(mean(x)[None]), mean(congruence(x))[None])
        assert (float(apart) < 1e-7) is exact, mean
    # The straight mean keeps congruences, being linear; but not inversion, nor the determinant.
    straight = TENSORS.space.distance(x.mean(0)[None].inverse(), x.inverse().mean(0)[None])
    found = TENSORS.space.mean(x)[None]
    inverse = TENSORS.space.distance(found.inverse(), TENSORS.space.mean(x.inverse())[None])
    assert float(inverse) < 1e-7 < 1e-2 < float(straight)


def test_means_of_angles_across_the_wrap() -> None:
    angles = torch.tensor([3.0, -3.0, 3.1], dtype=torch.float64)
    assert float(CIRCLE.space.mean(phase(angles)).angle()) == pytest.approx(3.127728435, abs=1e-8)
    assert float(LINE.space.mean(angles)) == pytest.approx(3.1 / 3)


def test_interpolated_tensors_do_not_swell() -> None:
    x, y = TENSORS.points(50), TENSORS.points(50, seed=1)
    for t in (0.25, 0.5, 0.9):
        volume = (1 - t) * x.logdet() + t * y.logdet()
        assert torch.allclose(TENSORS.space.geodesic(x, y, t).logdet(), volume, atol=1e-10)
        swollen = Flat(2).geodesic(x, y, t).logdet() - volume
        assert float(swollen.min()) > 0
        assert float(swollen.max()) > 0.2


def test_logarithms_keep_eight_digits_at_the_largest_condition() -> None:
    turn, _ = torch.linalg.qr(random_tensor(50, 3, 3))
    ends = (
        turn @ torch.diag(torch.tensor(w, dtype=torch.float64)) @ turn.mT
        for w in ([1e2, 1e-2, 1e-2], [1e-2, 1e2, 1.0])
    )
    x, y = ((one + one.mT) / 2 for one in ends)
    exact = math.sqrt(2 * math.log(1e4) ** 2 + math.log(1e2) ** 2)
    error = (TENSORS.space.distance(x, y) - exact).abs() / exact
    assert float(error.max()) < 1e-8
    # The twin, far beyond it, keeps half as many.
    x, y = x @ x @ x, y @ y @ y
    error = (TENSORS.space.distance((x + x.mT) / 2, (y + y.mT) / 2) - 3 * exact).abs() / exact
    assert not float(error.max()) < 1e-8


def thinness(case: Case, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """d(m, z)² − ½d(x, z)² − ½d(y, z)² + ¼d(x, y)², m between x and y: at most 0 where CAT(0)."""
    space = case.space
    middle = space.geodesic(x, y, 0.5)
    far = space.distance(x, z).square() + space.distance(y, z).square()
    return space.distance(middle, z).square() - far / 2 + space.distance(x, y).square() / 4


def test_triangles_are_thin_on_hadamard_manifolds_alone() -> None:
    for case in CASES:
        x, y, z = (case.points(200, seed=seed, spread=1.5) for seed in range(3))
        thin = float(thinness(case, x, y, z).max()) < 1e-9
        assert thin is not isinstance(case.space.convexity(phase(torch.arange(7.0).double())), str)


@every
def test_distances_of_two_moving_points_are_convex_but_for_rotations(case: Case) -> None:
    space, one = case.space, case.origin.expand(100, *case.origin.shape)
    v, w = (case.vectors(100, seed=seed, spread=0.1) for seed in (0, 1))
    half, whole = (space.distance(space.exp(one, t * v), space.exp(one, t * w)) for t in (0.5, 1.0))
    bent = float((half - whole / 2).max())
    assert (bent < 1e-12) is (case.space.name != "SO(3)")


def test_arcs() -> None:
    angles = torch.tensor([3.0, -3.0, 3.1], dtype=torch.float64)
    assert arc(phase(angles)) == pytest.approx(2 * math.pi - 6)
    assert arc(phase(torch.arange(4).double() * math.pi / 2)) == pytest.approx(1.5 * math.pi)
    assert arc(phase(angles[:1])) == pytest.approx(0, abs=1e-12)
    space = CIRCLE.space
    assert not isinstance(space.convexity(phase(angles)), str)
    assert "no half circle" in str(space.convexity(phase(torch.arange(7).double())))
    assert space.covers(phase(angles), phase(angles + 0.5))
    assert not space.covers(phase(angles), phase(angles - 3))


def test_half_turns_and_tiny_turns() -> None:
    space, one = Rotations(), torch.tensor([1.0, 0, 0, 0], dtype=torch.float64)
    half = torch.tensor([0.0, 1, 0, 0], dtype=torch.float64)
    assert float(space.distance(one, half)) == pytest.approx(math.pi)
    assert float(space.distance(one, -one)) == 0
    tiny = torch.tensor([1e-9, 0, 0], dtype=torch.float64)
    assert torch.allclose(space.log(one, space.exp(one, tiny)), tiny, atol=1e-16)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (torch.eye(3).expand(2, 2, 3, 3), "float32"),
        (torch.diag(torch.tensor([1.0, 1.0, -0.1]).double())[None, None], "off Sym⁺"),
        (torch.diag(torch.tensor([1.0, 1.0, 1e-5]).double())[None, None], "condition 1e\\+05"),
        (torch.full((1, 1, 3, 3), torch.nan).double(), "off Sym⁺"),
        (torch.eye(3).double()[None, None] + torch.eye(3).double().roll(1, 0), "off Sym⁺"),
    ],
)
def test_what_is_no_tensor_is_refused(found: Tensor, words: str) -> None:
    with pytest.raises(InputError, match=words):
        PositiveDefinite().require(found)


def test_a_mean_that_is_not_reached_is_refused() -> None:
    with pytest.raises(InputError, match="raise max_iter"):
        TENSORS.space.mean(TENSORS.points(30, spread=2.0), max_iter=2)

"""Proximal maps against brute force, firm nonexpansiveness attacked, and where it fails."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from laws.manifolds import CASES, CIRCLE, NAMES, TENSORS, Case, climbed
from laws.networks import random_tensor
from pnp_recon.manifolds import Variation, denoise
from pnp_recon.manifolds.circle import phase
from pnp_recon.manifolds.proximal import sweep, swept, together, towards
from pnp_recon.manifolds.variation import huber

every = pytest.mark.parametrize("case", CASES, ids=NAMES)
KNEE = 0.3


def around(case: Case, x: Tensor, spread: float, seed: int) -> Tensor:
    """Points (200, *point) near a point (1, *point)."""
    at = x.expand(200, *x.shape[1:])
    return case.space.exp(at, case.vectors(200, seed=seed, spread=spread))


@every
@pytest.mark.parametrize("step", [0.2, 3.0])
def test_nothing_near_is_better_than_the_proximal_points(case: Case, step: float) -> None:
    space, x, y = case.space, case.points(1), case.points(1, seed=1)

    def alone(v: Tensor) -> Tensor:
        return (step * space.distance(v, y).square() + space.distance(v, x).square()) / 2

    def both(v: Tensor, w: Tensor) -> Tensor:
        moved = space.distance(v, x).square() + space.distance(w, y).square()
        return step * huber(space.distance(v, w), KNEE) + moved / 2

    best = towards(space, x, y, step)
    first, second = together(space, x, y, step, KNEE)
    for spread in (1e-3, 0.05, 0.5):
        v, w = around(case, best, spread, 2), around(case, second, spread, 3)
        assert float(alone(best)) <= float(alone(v).min()) + 1e-12
        assert float(both(first, second)) <= float(both(around(case, first, spread, 4), w).min())
    # The twin stops short.
    short = space.geodesic(x, y, 0.5 * step / (1 + step))
    assert float(alone(short)) > float(alone(around(case, short, 0.02, 5)).min())


def firmness(case: Case, make: object, share: float = 0.0) -> object:
    """d(Px, Pz)/d(x_t, z_t) with x_t at the share t from x to Px: at most 1 for all t < 1."""

    def ratio(vectors: Tensor) -> Tensor:
        at = case.origin.expand(*vectors.shape[:2], *case.origin.shape)
        symmetric = (vectors + vectors.mT) / 2 if len(case.tangent) == 2 else vectors
        x, z = case.space.exp(at, symmetric).unbind(1)
        px, pz = make(x), make(z)
        near = case.space.distance(
            case.space.geodesic(x, px, share), case.space.geodesic(z, pz, share)
        )
        return case.space.distance(px, pz) / near.clamp_min(1e-6)

    return ratio


def to_data(case: Case, step: float) -> object:
    y = case.points(1, seed=9)
    return lambda x: towards(case.space, x, y.expand_as(x), step)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
def test_proximal_maps_of_tensors_are_firmly_nonexpansive(share: float) -> None:
    start = random_tensor(64, 2, 3, 3)
    assert climbed(firmness(TENSORS, to_data(TENSORS, 0.3), share), start) <= 1 + 1e-9

    def of_pairs(vectors: Tensor) -> Tensor:  # two points of Sym⁺ × Sym⁺
        vectors = (vectors + vectors.mT) / 2
        x = TENSORS.space.exp(TENSORS.origin.expand(*vectors.shape), vectors)
        made = torch.stack(together(TENSORS.space, x[:, :, 0], x[:, :, 1], 0.4, KNEE), 2)
        part = TENSORS.space.geodesic(x, made, share)
        apart, near = (TENSORS.space.distance(p[:, 0], p[:, 1]).norm(dim=-1) for p in (made, part))
        return apart / near.clamp_min(1e-6)

    assert climbed(of_pairs, random_tensor(64, 2, 2, 3, 3)) <= 1 + 1e-9


def test_the_attack_sees_a_map_that_expands() -> None:
    y = TENSORS.points(1, seed=9)

    def beyond(x: Tensor) -> Tensor:  # the way from y, lengthened
        return TENSORS.space.geodesic(y.expand_as(x), x, 1.1)

    assert climbed(firmness(TENSORS, beyond), random_tensor(64, 2, 3, 3), 10) > 1.05


def test_on_the_circle_two_near_points_are_torn_apart() -> None:
    y = phase(torch.zeros(1).double())
    x, z = (phase(torch.tensor([angle]).double()) for angle in (3.13, -3.13))
    space = CIRCLE.space
    before = float(space.distance(x, z))
    after = float(space.distance(towards(space, x, y, 1.0), towards(space, z, y, 1.0)))
    assert before < 0.03
    assert after > 3


@every
def test_sweeps_come_to_where_descent_comes(case: Case) -> None:
    y = case.points(4, 5, spread=0.3)
    energy = Variation(case.space, y, 0.3, KNEE)
    found = denoise(case.space, y, 0.3, KNEE, tol=1e-8)
    near = [energy.distance(swept(energy, y, sweeps), found.x) for sweeps in (10, 100)]
    assert near[1] < near[0] / 3
    assert near[1] < 0.05
    curve = Variation(case.space, y[:1], 0.3, KNEE)
    assert swept(curve, y[:1], 2).shape == y[:1].shape
    # Constant steps stop elsewhere.
    x = y
    for _ in range(100):
        x = sweep(energy, x, 1.0)
    assert energy.distance(x, found.x) > 0.05

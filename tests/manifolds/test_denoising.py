"""The functional and its descent: gradient, bar, invariances, verdicts, each with a twin."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from laws.manifolds import CASES, CIRCLE, LINE, NAMES, TENSORS, TURNS, Case, congruence
from laws.networks import random_tensor
from pnp_recon.errors import InputError
from pnp_recon.manifolds import Circle, Flat, PositiveDefinite, Rotations, Variation, denoise
from pnp_recon.manifolds.circle import phase
from pnp_recon.manifolds.spd import log_euclidean
from pnp_recon.solvers.core.stopping import Status
from pnp_recon.solvers.core.theorem import Premise

every = pytest.mark.parametrize("case", CASES, ids=NAMES)


def wound() -> Tensor:
    """Phases (6, 7) that go round the circle, with noise."""
    ramp = torch.arange(7).double() + 0.5 * torch.arange(6).double()[:, None]
    return phase(ramp + 0.4 * random_tensor(6, 7))


@every
def test_the_gradient_is_that_of_the_functional(case: Case) -> None:
    space, y = case.space, case.points(3, 4, spread=0.4)
    energy, x = Variation(space, y, 0.7, 0.2), case.points(3, 4, seed=1, spread=0.4)
    value, gradient = energy.value_and_gradient(x)
    assert value == pytest.approx(energy.value(x), rel=1e-12)
    v, h = case.vectors(3, 4, seed=2), 1e-5
    slope = (energy.value(space.exp(x, h * v)) - energy.value(space.exp(x, -h * v))) / (2 * h)
    assert slope == pytest.approx(float(space.inner(x, gradient, v).sum()), rel=1e-6)
    assert abs(slope - float(space.inner(x, 0.9 * gradient, v).sum())) > 1e-3


def test_on_the_line_it_is_a_linear_system_where_differences_are_small() -> None:
    y = LINE.points(4, 5, spread=0.1)
    system = torch.eye(20, dtype=torch.float64)
    places = torch.arange(20).view(4, 5)
    for a, b in ((places[:, :-1], places[:, 1:]), (places[:-1], places[1:])):
        for i, j in zip(a.flatten().tolist(), b.flatten().tolist(), strict=True):
            e = torch.zeros(20, dtype=torch.float64)
            e[i], e[j] = 1, -1
            system += 0.6 / 2.0 * torch.outer(e, e)
    exact = torch.linalg.solve(system, y.flatten()).view(4, 5)
    found = denoise(Flat(), y, 0.6, knee=2.0, tol=1e-10)
    assert float((found.x - exact).square().mean().sqrt()) <= found.gradient + 1e-13
    assert found.certificate.holds


@pytest.mark.parametrize("case", [TENSORS, LINE], ids=["Sym⁺", "line"])
def test_the_bar_holds_everywhere(case: Case) -> None:
    y = case.points(4, 5, spread=0.4)
    energy, best = Variation(case.space, y, 0.8, 0.1), denoise(case.space, y, 0.8, 0.1, tol=1e-9)
    for seed, spread in ((1, 0.1), (2, 1.0), (3, 2.5)):
        x = case.points(4, 5, seed=seed, spread=spread)
        value, gradient = energy.value_and_gradient(x)
        size = energy.norm(x, gradient)
        assert energy.distance(x, best.x) <= size + 1e-7
        assert value - best.energy <= size**2 / 2 + 1e-7


def test_the_result_does_not_depend_on_the_start() -> None:
    y = TENSORS.points(4, 5, spread=0.4)
    found = [denoise(TENSORS.space, y, 0.8, start=s) for s in (y, TENSORS.points(4, 5, seed=1))]
    apart = Variation(TENSORS.space, y, 0.8, 0.05).distance(found[0].x, found[1].x)
    assert apart <= 20**0.5 * (found[0].gradient + found[1].gradient)


def test_on_the_circle_it_does() -> None:
    place = torch.arange(8).double() - 3.5
    vortex = phase(torch.atan2(place[:, None].expand(8, 8), place[None].expand(8, 8)))
    found = [denoise(Circle(), vortex, 5.0, start=s) for s in (vortex, torch.ones_like(vortex))]
    assert found[0].energy > found[1].energy + 10
    assert all(one.gradient < 1e-5 for one in found)


@every
def test_the_output_is_on_the_manifold_and_moves_with_isometries(case: Case) -> None:
    y = wound() if case is CIRCLE else case.points(4, 5, spread=0.4)
    found, moved = denoise(case.space, y, 0.5), denoise(case.space, case.isometry(y), 0.5)
    assert float(case.space.off(found.x).max()) < 1e-12
    apart = case.space.distance(case.isometry(found.x), moved.x)
    assert float(apart.square().mean().sqrt()) < 3e-5
    assert float(case.space.distance(found.x, y).max()) > 0.05  # and it did something


def test_flat_twins_break_the_invariances() -> None:
    y = TENSORS.points(4, 5, spread=0.4)
    flat = [denoise(Flat(2), part, 0.5).x for part in (y, congruence(y))]
    assert float(TENSORS.space.distance(congruence(flat[0]), flat[1]).max()) > 0.05
    logs = [denoise(Flat(2), log_euclidean(part), 0.5).x for part in (y, congruence(y))]
    exps = [torch.linalg.matrix_exp(part) for part in logs]
    assert float(TENSORS.space.distance(congruence(exps[0]), exps[1]).max()) > 0.05
    angles = wound().angle()
    turned = phase(angles + 2.9).angle()
    raw = [phase(denoise(Flat(), part, 0.5).x) for part in (angles, turned)]
    assert float(CIRCLE.space.distance(raw[0] * phase(torch.tensor(2.9)), raw[1]).max()) > 0.5


def test_verdicts() -> None:
    certified = denoise(TENSORS.space, TENSORS.points(4, 5), 0.5)
    assert certified.status is Status.CONVERGED
    assert certified.certificate.holds
    assert "Hadamard" in certified.certificate.theorem.premises[0].words
    arc = denoise(Circle(), phase(3.0 + 0.2 * random_tensor(4, 5)), 0.5)
    assert arc.certificate.holds
    assert "arc of" in arc.certificate.theorem.premises[0].words
    assert certified.certificate.to_dict()["proven"]
    for space, y in ((Circle(), wound()), (Rotations(), TURNS.points(4, 5))):
        verdict = denoise(space, y, 0.5).certificate.verdict
        assert verdict.startswith("no guarantee: ")


class ClaimedCircle(Circle):
    """A circle that says of itself what is false."""

    def convexity(self, y: Tensor) -> Premise | str:
        return Premise("all is convex")

    def covers(self, y: Tensor, x: Tensor) -> bool:
        return True


class ClaimedRotations(Rotations):
    """The same of rotations."""

    def convexity(self, y: Tensor) -> Premise | str:
        return Premise("all is convex")


def test_a_false_theorem_is_contradicted_by_the_run() -> None:
    scattered = phase(6 * random_tensor(8, 8))
    assert denoise(ClaimedCircle(), scattered, 2.0).certificate.contradicted
    turns = TURNS.points(8, 8, spread=3.0)
    assert denoise(ClaimedRotations(), turns, 2.0).certificate.contradicted


def test_a_gradient_that_is_too_short_is_contradicted(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Variation.value_and_gradient

    def wrong(self: Variation, x: Tensor) -> tuple[float, Tensor]:
        value, gradient = right(self, x)
        return value, gradient / 2

    monkeypatch.setattr(Variation, "value_and_gradient", wrong)
    assert denoise(TENSORS.space, TENSORS.points(4, 5), 0.5).certificate.contradicted


def test_a_run_of_no_steps_certifies_nothing() -> None:
    found = denoise(TENSORS.space, TENSORS.points(4, 5), 0.0)
    assert found.iterations == 0
    assert found.certificate.verdict == "not certified: no iteration was checked"


def test_an_iterate_outside_of_the_half_circle_voids_the_certificate() -> None:
    y = phase(3.0 + 0.2 * random_tensor(4, 5))
    found = denoise(Circle(), y, 0.5, start=-y)
    assert not found.certificate.holds
    assert "half circle" in found.certificate.verdict


def test_a_curve_is_a_field_of_one_row() -> None:
    found = denoise(TENSORS.space, TENSORS.points(1, 12), 0.5)
    assert found.x.shape == (1, 12, 3, 3)
    assert found.certificate.holds


def test_too_few_steps_are_said() -> None:
    found = denoise(TENSORS.space, TENSORS.points(4, 5), 0.5, max_iter=2)
    assert found.status is Status.ITERATION_LIMIT
    assert found.iterations == 2
    assert found.certificate.holds  # its bar is true, and large
    assert found.gradient > 1e-3


def test_refusals() -> None:
    y = TENSORS.points(4, 5)
    with pytest.raises(InputError, match="strength"):
        denoise(TENSORS.space, y, -1.0)
    with pytest.raises(InputError, match="knee"):
        denoise(TENSORS.space, y, 1.0, knee=0.0)
    with pytest.raises(InputError, match="start"):
        denoise(TENSORS.space, y, 1.0, start=-y)
    with pytest.raises(InputError, match="off S¹"):
        denoise(Circle(), 2 * wound(), 1.0)


def test_what_is_not_certified_is_given_no_bar() -> None:
    """A winding of the circle is at rest far from the minimum, whatever its gradient."""
    turns = phase(2 * torch.pi * torch.arange(40).double() / 40)[None]
    found = denoise(Circle(), torch.ones_like(turns), 50.0, 1.0, start=turns)
    assert not found.certificate.holds
    assert found.certificate.remarks == ()
    near = denoise(Circle(), phase(0.1 * random_tensor(1, 40)), 0.5)  # the twin
    assert near.certificate.holds
    assert "of the minimiser" in near.certificate.remarks[0]


def test_half_a_circle_to_rounding_is_no_half_circle() -> None:
    for gap, holds in ((1e-15, False), (1e-3, True)):
        y = phase(torch.tensor([[0.1, 0.1 + torch.pi - gap]], dtype=torch.float64))
        assert denoise(Circle(), y, 0.5).certificate.holds == holds


@pytest.mark.parametrize(
    ("space", "y", "said"),
    [
        (Circle(), torch.ones(4, dtype=torch.complex128), r"\(H, W\)"),
        (Circle(), torch.ones(1, 4, 4, dtype=torch.complex128), r"\(H, W\)"),
        (Circle(), torch.ones(0, 4, dtype=torch.complex128), r"\(H, W\)"),
        (Circle(), None, "is a NoneType"),
        (Circle, torch.ones(4, 4, dtype=torch.complex128), "expected a manifold"),
        (PositiveDefinite(), torch.ones(4, 4, 3, 2, dtype=torch.float64), "no point of Sym"),
        (PositiveDefinite(), torch.eye(3, dtype=torch.float64).expand(4, 3, 3), r"\(H, W\)"),
        (Rotations(), torch.eye(3, dtype=torch.float64).expand(4, 4, 3, 3), "no point of SO"),
    ],
)
def test_what_is_no_field_is_refused(space: Any, y: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        denoise(space, y, 0.5)


def test_a_start_of_another_shape_is_refused() -> None:
    y = phase(0.1 * random_tensor(4, 5))
    assert denoise(Circle(), y, 0.5, start=y).certificate.holds
    with pytest.raises(InputError, match=r"start has the shape \(2, 5\)"):
        denoise(Circle(), y, 0.5, start=y[:2])

"""Every registered fidelity keeps the laws; broken twins show that they can fail."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from laws.fidelity import (
    CASES,
    F64,
    SIZE,
    STEPS,
    Case,
    attained_smoothness,
    blur,
    counts,
    data,
    entries,
    gradient_defect,
    points,
    prox_defect,
)
from laws.networks import picture
from operators.conjugate_gradient import image_dots, image_norms
from pnp_recon.errors import InputError
from pnp_recon.fidelity import (
    FIDELITIES,
    Huber,
    KullbackLeibler,
)

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.label)
smooth_case = pytest.mark.parametrize(
    "case", [case for case in CASES if case.smooth], ids=lambda case: case.label
)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """A second thread only waits for tensors as small as these."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_everything_registered_is_tested() -> None:
    assert {type(case.build()) for case in CASES} == set(FIDELITIES.values())
    assert all(kind.name == name for name, kind in FIDELITIES.items())


# ---- laws of the loss --------------------------------------------------------------------------


@every_case
def test_loss_is_the_sum_of_itsentries(case: Case) -> None:
    f, v = case.build(), points(case)
    assert torch.allclose(f.loss(v), entries(f, v).flatten(1).sum(1), rtol=1e-12)
    x = picture(3, *SIZE, seed=2)
    assert torch.equal(f.value(x), f.loss(f.A.A(x)))
    assert float(f.loss(f.y + 0 * v).min()) >= -1e-12


@every_case
def test_gradient_agrees_with_autograd(case: Case) -> None:
    f, v = case.build(), points(case)
    assert gradient_defect(f, v) < 1e-9 * (1 + float(f.loss_gradient(v).abs().max()))
    x = picture(3, *SIZE, seed=2).requires_grad_()
    (expected,) = torch.autograd.grad(f.value(x).sum(), x)
    assert torch.allclose(f.gradient(x), expected)


@every_case
def test_loss_prox_minimises(case: Case) -> None:
    f, v = case.build(), points(case)
    diagonal = 0.1 + picture(1, *SIZE, seed=9)
    for step in (*STEPS, diagonal):
        assert prox_defect(f, v, step) < 1e-12
        assert prox_defect(f, -v, step) < 1e-12  # from outside of every domain, too


@every_case
def test_moreau_and_fenchel(case: Case) -> None:
    f, v = case.build(), points(case)
    for step in STEPS:
        u, p = f.loss_prox(v, step), f.conjugate_prox(v / step, 1 / step)
        assert torch.allclose(u + step * p, v, atol=1e-12)
        for seed in range(3):  # p is a subgradient at u
            z = points(case, seed=20 + seed)
            assert bool((f.loss(z) >= f.loss(u) + image_dots(p, z - u) - 1e-9).all())


@every_case
def test_each_picture_by_itself(case: Case) -> None:
    f, v = case.build(), points(case)
    whole = f.loss_prox(v, 0.7)
    for index in range(3):
        moved = v.clone()
        moved[:index] += 0.3
        moved[index + 1 :] += 0.3
        assert torch.equal(f.loss_prox(moved, 0.7)[index], whole[index])
        assert torch.equal(f.loss(moved)[index], f.loss(v)[index])


@every_case
def test_convexity_is_as_strong_as_stated(case: Case) -> None:
    f, m = case.build(), case.build().loss_strong_convexity
    assert m >= 0
    a, b = points(case), points(case, seed=1)
    slope = image_dots(f.loss_gradient(a) - f.loss_gradient(b), a - b)
    assert bool((slope >= m * image_norms(a - b).square() * (1 - 1e-12)).all())


# ---- laws of the fidelity ----------------------------------------------------------------------


@smooth_case
def test_smoothness_is_an_upper_bound(case: Case) -> None:
    f = case.build()
    attained = attained_smoothness(f)
    assert attained <= f.lipschitz * (1 + 1e-6)
    assert attained > 0.01 * f.lipschitz, "half of the bound would have to be noticed"
    assert f.lipschitz <= f.loss_lipschitz * f.A.norm_bound**2 * (1 + 1e-12)
    if case.label in ("least-squares", "weighted-shared"):
        assert attained > 0.9 * f.lipschitz


@smooth_case
def test_prox_is_within_its_error(case: Case) -> None:
    f, z = case.build(), picture(3, *SIZE, seed=4)
    assert f.has_prox
    for gamma in (0.3, 5.0):
        exact, rest = f.prox(z, gamma, tol=1e-10)
        # Its condition, x + γ∇f(x) = z, bounds the error by what it misses.
        missed = image_norms(exact + gamma * f.gradient(exact) - z)
        assert float(missed.max()) < 1e-7
        for tol in (1e-1, 1e-3):
            x, bound = f.prox(z, gamma, start=z, tol=tol)
            if not f.exact_prox:
                assert bool((bound <= tol).all())
            assert bool((image_norms(x - exact) <= bound + rest + missed).all())
        narrow, bound = f.prox(z.float(), gamma, tol=1e-4)
        assert f.exact_prox or narrow.dtype == torch.float32
        apart = image_norms(narrow.double() - exact)
        assert bool((apart <= bound + rest + missed + 1e-5).all())


def test_prox_is_refused_where_there_is_none() -> None:
    f = KullbackLeibler(blur(), counts())
    assert not f.has_prox
    assert math.isinf(f.lipschitz)
    with pytest.raises(InputError, match="splits the operator off"):
        f.prox(picture(3, *SIZE), 1.0)
    with pytest.raises(InputError, match="gamma is"):
        Huber(blur(), data(), 1.0).prox(picture(3, *SIZE), 0.0)


# ---- twins -------------------------------------------------------------------------------------


class Steep(Huber):
    """A broken twin: gradient, proximal map and smoothness of another slope."""

    def loss_gradient(self, v: Tensor) -> Tensor:
        return 1.5 * super().loss_gradient(v)

    def loss_prox(self, v: Tensor, step: float | Tensor) -> Tensor:
        return super().loss_prox(v, 1.5 * torch.as_tensor(step, dtype=F64))


class Careless(Huber):
    """A broken twin: half of the smoothness, so that the inner loop and the bound go wrong."""

    @property
    def loss_lipschitz(self) -> float:
        return 0.5


def test_laws_notice_broken_twins() -> None:
    f = Steep(blur(), data(), 0.1)
    v = points(CASES[4])
    assert gradient_defect(f, v) > 0.01
    assert prox_defect(f, v, 1.0) > 1e-4
    u, p = f.loss_prox(v, 2.0), f.conjugate_prox(v, 0.5)
    assert not torch.allclose(u + 2 * p, v)
    careless = Careless(blur(), data(), 10.0)
    assert attained_smoothness(careless) > 1.5 * careless.lipschitz


def test_an_unfinished_prox_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pnp_recon.fidelity.base.INNER_LIMIT", 2)
    f = Huber(blur(), data(), 10.0)
    _, bound = f.prox(picture(3, *SIZE), 50.0, tol=1e-6)
    assert float(bound.min()) > 1e-3

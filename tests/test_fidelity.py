"""Every registered fidelity keeps the laws; broken twins show that they can fail."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pytest
import scipy.stats
import torch
from torch import Tensor

from net_laws import picture, random_tensor
from operators import Convolution, Gradient, LinearOperator, to_matrix
from operators.conjugate_gradient import image_dots, image_norms
from pnp_recon.errors import InputError
from pnp_recon.fidelity import (
    FIDELITIES,
    Fidelity,
    Huber,
    KullbackLeibler,
    LeastSquares,
    WeightedLeastSquares,
)

SIZE = (1, 5, 6)
STEPS = (0.2, 1.0, 9.0)
F64 = torch.float64


def blur(boundary: str = "reflect") -> Convolution:
    kernel = torch.rand(3, 3, generator=torch.Generator().manual_seed(0), dtype=F64)
    return Convolution(kernel / kernel.sum(), SIZE, boundary)  # type: ignore[arg-type]


def data(batch: int = 3) -> Tensor:
    return 0.1 + picture(batch, *SIZE, seed=7)


def weights(batch: int = 3) -> Tensor:
    w = 4 * picture(batch, *SIZE, seed=8) ** 3
    w[:, :, 0, :3] = 0
    return w


def counts() -> Tensor:
    y = torch.poisson(20 * data(), generator=torch.Generator().manual_seed(1))
    y[:, :, 2, 2] = 0
    return y


@dataclass(frozen=True)
class Case:
    """A registered fidelity.

    Attributes:
        label: for the test's name.
        build: makes a fresh one, for a batch of three.
        smooth: its gradient is Lipschitz.
        low: where its domain begins.
    """

    label: str
    build: Callable[[], Fidelity]
    smooth: bool = True
    low: float = -math.inf


CASES = (
    Case("least-squares", lambda: LeastSquares(blur(), data())),
    Case("least-squares-circular", lambda: LeastSquares(blur("circular"), data())),
    Case("weighted", lambda: WeightedLeastSquares(blur(), data(), weights())),
    Case("weighted-shared", lambda: WeightedLeastSquares(blur(), data(), weights(1))),
    Case("huber", lambda: Huber(blur(), data(), 0.1)),
    Case("kl", lambda: KullbackLeibler(blur(), counts()), False, 0.0),
    Case("kl-background", lambda: KullbackLeibler(blur(), counts(), 3.0)),
    Case("kl-background-map", lambda: KullbackLeibler(blur(), counts(), 1 + data(1))),
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


def points(case: Case, seed: int = 0) -> Tensor:
    """Data around and far from y, inside the domain."""
    scale = torch.tensor([0.1, 1.0, 20.0], dtype=F64)[:, None, None, None]
    v = case.build().y + scale * random_tensor(3, *SIZE, seed=seed)
    return v if math.isinf(case.low) else v.abs() + 0.01


# ---- laws of the loss --------------------------------------------------------------------------


def gradient_defect(f: Fidelity, v: Tensor) -> float:
    """max |∇φ − that of autograd|."""
    v = v.clone().requires_grad_()
    (expected,) = torch.autograd.grad(f.loss(v).sum(), v)
    return float((f.loss_gradient(v.detach()) - expected).abs().max())


def prox_defect(f: Fidelity, v: Tensor, step: float | Tensor) -> float:
    """How much F(u) + ½‖z − u‖² exceeds F(z), F = step·φ + ½‖· − v‖², at worst; relative to F."""
    u = f.loss_prox(v, step)

    def objective(z: Tensor) -> Tensor:
        # One loss for each entry: a step that differs from entry to entry weighs them.
        return torch.as_tensor(step, dtype=F64) * _entries(f, z) + 0.5 * (z - v).square()

    worst = -math.inf
    for size in (1e-3, 0.1, 3.0):
        for sign in (-1, 1):
            z = u + sign * size
            excess = objective(u) + 0.5 * (z - u).square() - objective(z)
            worst = max(worst, float((excess / (1 + objective(u).abs())).max()))
    return worst


def _entries(f: Fidelity, v: Tensor) -> Tensor:
    """φ entry by entry: the difference that each makes to the loss at y, where all of it is 0."""
    if isinstance(f, LeastSquares):
        return 0.5 * (v - f.y).square()
    if isinstance(f, WeightedLeastSquares):
        return 0.5 * f.weights * (v - f.y).square()
    if isinstance(f, Huber):
        r = (v - f.y).abs()
        return torch.where(r <= f.delta, 0.5 * r**2, f.delta * r - 0.5 * f.delta**2)
    assert isinstance(f, KullbackLeibler)
    b = torch.as_tensor(f.background, dtype=F64) + 0 * f.y

    def divergence(t: Tensor) -> Tensor:
        return t - f.y + torch.xlogy(f.y, f.y) - torch.xlogy(f.y, t)

    if bool((b == 0).any()):
        return torch.where(v >= 0, divergence(v.clamp_min(0)), math.inf)
    taylor = divergence(b) + (1 - f.y / b) * v + 0.5 * f.y / b**2 * v**2
    return torch.where(v >= 0, divergence(v.clamp_min(0) + b), taylor)


@every_case
def test_loss_is_the_sum_of_its_entries(case: Case) -> None:
    f, v = case.build(), points(case)
    assert torch.allclose(f.loss(v), _entries(f, v).flatten(1).sum(1), rtol=1e-12)
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


def attained_smoothness(f: Fidelity) -> float:
    """Largest ‖∇f(x) − ∇f(z)‖/‖x − z‖ met, by power steps on the difference."""
    best = 0.0
    for start in (torch.zeros(3, *SIZE, dtype=F64), picture(3, *SIZE)):
        d = torch.ones(3, *SIZE, dtype=F64)
        for _ in range(60):
            d = 1e-4 * d / image_norms(d)[:, None, None, None]
            change = f.gradient(start + d) - f.gradient(start)
            best = max(best, float((image_norms(change) / image_norms(d)).max()))
            d = change
    return best


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


# ---- what each is for --------------------------------------------------------------------------


def test_weights_of_one_are_least_squares() -> None:
    A, y, x = blur(), data(), picture(3, *SIZE)
    plain, weighted = LeastSquares(A, y), WeightedLeastSquares(A, y, torch.ones_like(y))
    assert torch.allclose(plain.value(x), weighted.value(x))
    assert torch.allclose(plain.gradient(x), weighted.gradient(x))
    assert weighted.lipschitz == pytest.approx(plain.lipschitz, rel=5e-3)
    ours, theirs = (f.prox(x, 2.0, tol=1e-10)[0] for f in (plain, weighted))
    assert torch.allclose(ours, theirs, atol=1e-9)


def test_weighted_norm_is_tighter_than_the_product() -> None:
    w = weights()
    f = WeightedLeastSquares(blur(), data(), w)
    matrix = to_matrix(f.A)
    exact = max(
        float(torch.linalg.matrix_norm(one.flatten().sqrt()[:, None] * matrix, ord=2)) ** 2
        for one in w
    )
    assert exact <= f.lipschitz < 0.8 * f.loss_lipschitz * f.A.norm_bound**2
    signed: LinearOperator = Gradient(SIZE)  # entries of both signs: the product it is
    g = WeightedLeastSquares(
        signed, torch.zeros(1, 2, *SIZE, dtype=F64), torch.full((1, 2, *SIZE), 2.0, dtype=F64)
    )
    assert g.lipschitz == pytest.approx(2 * signed.norm_bound**2)
    nothing = WeightedLeastSquares(blur(), data(), torch.zeros_like(data()))
    assert 0 <= nothing.lipschitz < 1e-12


def test_huber_is_least_squares_for_small_residuals_and_l1_for_large() -> None:
    A, y = blur(), data()
    v = y + 0.5 * random_tensor(3, *SIZE)
    assert torch.allclose(Huber(A, y, 100.0).loss(v), LeastSquares(A, y).loss(v))
    absolute = (v - y).abs().flatten(1).sum(1)
    assert torch.allclose(Huber(A, y, 1e-8).loss(v) / 1e-8, absolute, rtol=1e-6)


def test_kullback_leibler_is_the_poisson_likelihood() -> None:
    y = counts()
    f = KullbackLeibler(blur(), y, 3.0)
    a, b = 20 * picture(3, *SIZE, seed=1), 20 * picture(3, *SIZE, seed=2)

    def likelihood(v: Tensor) -> np.ndarray:
        return -scipy.stats.poisson.logpmf(y.numpy(), (v + 3.0).numpy()).sum((1, 2, 3))

    assert np.allclose((f.loss(a) - f.loss(b)).numpy(), likelihood(a) - likelihood(b))


def test_kullback_leibler_domain() -> None:
    y = counts()
    f, v = KullbackLeibler(blur(), y), y + 1.0
    assert bool(torch.isfinite(f.loss(v)).all())
    v[0, 0, 0, 0] = -0.1
    v[1, 0, 1, 1] = 0.0  # y > 0 there
    v[2, 0, 2, 2] = 0.0  # and y = 0 here
    assert torch.isinf(f.loss(v)).tolist() == [True, True, False]
    for step in STEPS:
        assert float(f.loss_prox(-50 * v, step).min()) >= 0
    large = f.loss_prox(torch.full_like(v, -1e6), 1.0)  # no digits are lost far outside
    assert torch.allclose(large, y / (1e6 + 1), rtol=1e-4)
    # With background it is finite everywhere, and smooth where the continuation begins.
    g = KullbackLeibler(blur(), y, 3.0)
    at = torch.zeros_like(y)
    assert torch.allclose(g.loss_gradient(at - 1e-9), g.loss_gradient(at + 1e-9), atol=1e-6)
    assert bool(torch.isfinite(g.loss(at - 100)).all())
    assert g.loss_lipschitz == pytest.approx(float(y.max()) / 9)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda y: LeastSquares(blur(), y[:, :, :4]), r"shape \(3, 1, 4, 6\)"),
        (lambda y: LeastSquares(blur(), y[0]), "gives"),
        (lambda y: WeightedLeastSquares(blur(), y, -y), "finite and >= 0"),
        (lambda y: WeightedLeastSquares(blur(), y, y * math.nan), "finite and >= 0"),
        (lambda y: WeightedLeastSquares(blur(), y, y[:2]), "weights have shape"),
        (lambda y: WeightedLeastSquares(blur(), y, y[0]), "weights have shape"),
        (lambda y: Huber(blur(), y, 0.0), "delta is"),
        (lambda y: Huber(blur(), y, math.inf), "delta is"),
        (lambda y: KullbackLeibler(blur(), y - 5), "counts"),
        (lambda y: KullbackLeibler(blur(), y / 0), "counts"),
        (lambda y: KullbackLeibler(blur(), y, -1.0), "background"),
        (lambda y: KullbackLeibler(blur(), y, math.nan), "background"),
    ],
)
def test_bad_data_is_refused(build: Callable[[Tensor], Fidelity], words: str) -> None:
    with pytest.raises(InputError, match=words):
        build(data())

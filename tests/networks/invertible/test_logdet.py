"""Log-determinants of residual maps: bounds hold, estimates have the right mean, twins do not."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from pnp_recon.errors import InputError
from pnp_recon.networks.invertible import logdet
from pnp_recon.networks.invertible.logdet import (
    dense_logdet,
    drawn_length,
    hutchinson_logdet,
    random_signs,
    reach,
    roulette_logdet,
    roulette_spread,
    series_logdet,
    truncation_bound,
)

DIM, CONSTANT = 4, 0.8
ROUNDING = 1e-12


class Residual:
    """f(x) = c Vᵀ tanh(V x) with an orthogonal V: Lip f ≤ c, attained at 0."""

    def __init__(self, constant: float = CONSTANT, sign: float = 1.0) -> None:
        generator = torch.Generator().manual_seed(3)
        start = torch.randn(DIM, DIM, generator=generator, dtype=torch.float64)
        self.left = sign * constant * torch.linalg.qr(start)[0]
        self.right = torch.linalg.qr(start @ start + start)[0]

    def __call__(self, x: Tensor) -> Tensor:
        return torch.tanh(x @ self.right) @ self.left


def points(count: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    return 0.5 * torch.randn(count, DIM, generator=generator, dtype=torch.float64)


def all_signs() -> Tensor:
    every = itertools.product((-1.0, 1.0), repeat=DIM)
    return torch.tensor(list(every), dtype=torch.float64)


def mean_over_signs(x: Tensor, estimate) -> Tensor:
    """The exact mean over all 2ᵈ vectors of signs: no chance is left."""
    return torch.stack([estimate(v.expand_as(x)) for v in all_signs()]).mean(0)


@pytest.mark.parametrize("terms", [1, 2, 5, 12])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_series_is_cut_with_the_stated_error(terms: int, sign: float) -> None:
    f, x = Residual(sign=sign), torch.cat((points(), torch.zeros(1, DIM, dtype=torch.float64)))
    exact = dense_logdet(f, x)
    error = (series_logdet(f, x, terms) - exact).abs().max()
    assert error <= truncation_bound(DIM, CONSTANT, terms)
    # Nothing is loose by much: J = −cI attains the bound.
    cut = series_logdet(lambda z: -CONSTANT * z, x, terms)
    full = DIM * math.log(1 - CONSTANT)
    attained = float((cut - full).abs().max().detach())
    assert attained == pytest.approx(truncation_bound(DIM, CONSTANT, terms), rel=1e-6)


def test_a_constant_declared_half_is_noticed() -> None:
    x, bound = points(), truncation_bound(DIM, CONSTANT / 2, 3)
    cut = series_logdet(lambda z: -CONSTANT * z, x, 3)
    assert float((cut - DIM * math.log(1 - CONSTANT)).abs().max().detach()) > 3 * bound


def test_hutchinson_has_the_trace_as_its_mean_and_each_sample_its_bound() -> None:
    f, x, terms = Residual(), points(), 6
    mean = mean_over_signs(x, lambda v: hutchinson_logdet(f, x, terms, v))
    assert torch.allclose(mean, series_logdet(f, x, terms), atol=ROUNDING)
    for v in all_signs():
        apart = hutchinson_logdet(f, x, terms, v.expand_as(x)) - hutchinson_logdet(
            f, x, 80, v.expand_as(x)
        )
        assert float(apart.detach().abs().max()) <= truncation_bound(DIM, CONSTANT, terms)
    # The twin: vectors that are not of mean zero and variance one.
    wrong = mean_over_signs(x, lambda v: hutchinson_logdet(f, x, terms, (v + 1) / 2))
    assert float((wrong - series_logdet(f, x, terms)).detach().abs().max()) > 1e-2


def mean_over_lengths(f: Residual, x: Tensor, v: Tensor, always: int, survival: float) -> Tensor:
    """Σ_n P(n)·estimate(n) over all lengths that matter."""
    total = torch.zeros(len(x), dtype=x.dtype)
    for n in range(always, 40):
        chance = reach(n, always, survival) - reach(n + 1, always, survival)
        total = total + chance * roulette_logdet(f, x, v, n, always, survival)
    return total


def test_roulette_has_the_whole_series_as_its_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    f, x = Residual(0.4), points()
    v = random_signs(x, torch.Generator().manual_seed(1))
    whole = hutchinson_logdet(f, x, 60, v)
    assert torch.allclose(mean_over_lengths(f, x, v, 2, 0.6), whole, atol=1e-7)
    # The twin: terms are not divided by their probability.
    monkeypatch.setattr(
        logdet,
        "reach",
        lambda k, always, survival: 1.0 if k else 0.0,
    )
    wrong = torch.zeros(len(x), dtype=x.dtype)
    for n in range(2, 30):
        wrong = wrong + 0.6 ** (n - 2) * 0.4 * roulette_logdet(f, x, v, n, 2, 0.6)
    assert float((wrong - whole).detach().abs().max()) > 1e-3


def test_lengths_are_drawn_as_often_as_they_say() -> None:
    generator = torch.Generator().manual_seed(0)
    found = torch.tensor([drawn_length(generator, 2, 0.5) for _ in range(4000)])
    assert int(found.min()) == 2
    for k in (3, 4, 6):
        share, expected = float((found >= k).double().mean()), reach(k, 2, 0.5)
        assert abs(share - expected) < 5 * math.sqrt(expected * (1 - expected) / 4000)
    # The twin: another survival is told apart.
    assert abs(float((found >= 3).double().mean()) - reach(3, 2, 0.6)) > 0.05


def test_the_spread_of_the_roulette_is_bounded_where_it_is_finite() -> None:
    f, x, always, survival = Residual(0.5), points(), 2, 0.5
    second = torch.zeros(len(x), dtype=x.dtype)
    for n in range(always, 60):
        chance = reach(n, always, survival) - reach(n + 1, always, survival)
        squares = [
            roulette_logdet(f, x, v.expand_as(x), n, always, survival).square()
            for v in all_signs()[:4]
        ]
        second = second + chance * torch.stack(squares).mean(0)
    assert float(second.detach().sqrt().max()) <= roulette_spread(0.5, DIM, always, survival)
    assert math.isinf(roulette_spread(0.8, DIM, always, survival))


def test_estimates_are_differentiable() -> None:
    f, x = Residual(), points()
    f.left.requires_grad_()
    v = random_signs(x, torch.Generator().manual_seed(2))
    mean = mean_over_signs(x, lambda v: hutchinson_logdet(f, x, 60, v))
    (estimated,) = torch.autograd.grad(mean.sum(), f.left, retain_graph=True)
    (exact,) = torch.autograd.grad(dense_logdet(f, x).sum(), f.left)
    assert torch.allclose(estimated, exact, atol=1e-4)
    (alone,) = torch.autograd.grad(hutchinson_logdet(f, x, 60, v).sum(), f.left)
    assert not torch.allclose(alone, exact, atol=1e-2)


@pytest.mark.parametrize("constant", [1.0, 1.5, -0.1, math.nan])
def test_no_bound_without_a_contraction(constant: float) -> None:
    with pytest.raises(InputError, match="below 1"):
        truncation_bound(2, constant, 3)


def test_roulettes_that_never_end_are_refused() -> None:
    for always, survival in ((0, 0.5), (2, 1.0), (2, 0.0)):
        with pytest.raises(InputError, match="survival"):
            reach(1, always, survival)

"""Normalising flows: one law for all, ∫p = 1, and determinants by every way."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pnp_recon.errors import InputError
from pnp_recon.guarantees import Guarantee
from pnp_recon.networks.invertible.base import Chain, Invertible, round_trip_error
from pnp_recon.networks.invertible.coupling import AdditiveCoupling, AffineCoupling, SplineCoupling
from pnp_recon.networks.invertible.density import (
    NormalisingFlow,
    gaussian_log_prob,
    gaussian_nll,
    mass_on_grid,
)
from pnp_recon.networks.invertible.logdet import (
    Map,
    drawn_length,
    hutchinson_logdet,
    random_signs,
    roulette_logdet,
    series_logdet,
    truncation_bound,
)
from pnp_recon.networks.invertible.residual import ResidualBlock

F64 = torch.float64


def residual(bound: float = 0.9) -> ResidualBlock:
    return ResidualBlock(2, bound=bound, hidden=16, depth=1).double()


def coupling(kind: type) -> Callable[[], Invertible]:
    return lambda: Chain(
        [kind(2, flip=bool(k), hidden=8, activation="tanh", zero=False).double() for k in (0, 1)]
    )


MAPS: dict[str, Callable[[], Invertible]] = {
    "additive": coupling(AdditiveCoupling),
    "affine": coupling(AffineCoupling),
    "spline": coupling(SplineCoupling),
    "residual": lambda: Chain([residual() for _ in range(3)]),
}


@pytest.fixture(params=MAPS)
def transform(request: pytest.FixtureRequest) -> Invertible:
    torch.manual_seed(0)
    made = MAPS[request.param]()
    return made.requires_grad_(False)


def points(count: int = 6) -> Tensor:
    return torch.randn(count, 2, generator=torch.Generator().manual_seed(1), dtype=F64)


class Forgetful(Invertible):
    """The twin: it forgets that it stretches by 1.2."""

    def __init__(self, inner: Invertible) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z, logdet = self.inner(x)
        return 1.2 * z, logdet

    def inverse(self, y: Tensor) -> Tensor:
        return self.inner.inverse(y / 1.2)

    def check(self) -> Guarantee:
        return self.inner.check()


def test_every_flow_has_mass_one(transform: Invertible) -> None:
    flow = NormalisingFlow(transform)
    assert mass_on_grid(lambda z: flow(z).detach(), 9.0, 250) == pytest.approx(1.0, abs=1.5e-2)
    wrong = NormalisingFlow(Forgetful(transform))
    assert abs(mass_on_grid(lambda z: wrong(z).detach(), 9.0, 250) - 1) > 0.05


def test_samples_go_back_and_the_determinant_is_the_jacobians(transform: Invertible) -> None:
    x = points()
    assert round_trip_error(transform, x) < 1e-5
    logdet = transform(x)[1].detach()
    for k in range(len(x)):
        J = torch.autograd.functional.jacobian(lambda z: transform(z[None])[0][0], x[k])
        assert float(logdet[k]) == pytest.approx(float(torch.linalg.slogdet(J)[1]), abs=1e-9)
    flow = NormalisingFlow(transform.double().requires_grad_(True))
    drawn = flow.sample(5, 2, torch.Generator().manual_seed(0))
    z = torch.randn(5, 2, generator=torch.Generator().manual_seed(0), dtype=F64)
    assert torch.allclose(transform(drawn)[0].detach(), z, atol=1e-5)


def test_the_ways_to_a_determinant_agree() -> None:
    torch.manual_seed(3)
    part, x = residual(0.6).requires_grad_(False), points(4)
    exact, constant = part(x)[1].detach(), part.inner.lipschitz()
    part.logdet = lambda f, at: series_logdet(f, at, 8)
    assert float((part(x)[1].detach() - exact).abs().max()) <= truncation_bound(2, constant, 8)
    generator = torch.Generator().manual_seed(0)

    def by_signs(f: Map, at: Tensor) -> Tensor:
        return hutchinson_logdet(f, at, 40, random_signs(at, generator))

    def by_roulette(f: Map, at: Tensor) -> Tensor:
        return roulette_logdet(f, at, random_signs(at, generator), drawn_length(generator))

    for way in (by_signs, by_roulette):
        part.logdet = way
        drawn = torch.stack([part(x)[1].detach() for _ in range(144)])
        standard = drawn.std(0) / 12
        assert bool(((drawn.mean(0) - exact).abs() <= 5 * standard + 1e-9).all())
        # The twin: twice the determinant is told apart.
        assert bool(((drawn.mean(0) - 2 * exact).abs() > 5 * standard).any())


def test_gaussians_are_gaussians() -> None:
    x = points(3)
    normal = torch.distributions.Normal(0.0, 1.0)
    assert torch.allclose(gaussian_log_prob(x), normal.log_prob(x).sum(1))
    many = torch.randn(20_000, 2, generator=torch.Generator().manual_seed(0), dtype=F64)
    assert gaussian_nll(many, many) == pytest.approx(2.8379, abs=0.03)
    assert mass_on_grid(gaussian_log_prob, 6.0, 100) == pytest.approx(1.0, abs=1e-6)
    with pytest.raises(InputError, match="two or more"):
        mass_on_grid(gaussian_log_prob, 6.0, 1)

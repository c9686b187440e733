"""Normalising flows: one law for all, ∫p = 1; residual maps are bi-Lipschitz, with an inverse."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pnp_recon.errors import InputError
from pnp_recon.guarantees import Guarantee
from pnp_recon.networks.invertible.base import Chain, Invertible, round_trip_error
from pnp_recon.networks.invertible.contraction import Contraction, ResidualMap
from pnp_recon.networks.invertible.coupling import AdditiveCoupling, AffineCoupling, SplineCoupling
from pnp_recon.networks.invertible.density import (
    NormalisingFlow,
    gaussian_log_prob,
    gaussian_nll,
    mass_on_grid,
)
from pnp_recon.networks.invertible.logdet import truncation_bound

F64 = torch.float64


def residual(constant: float = 0.9) -> ResidualMap:
    f = Contraction(2, 16, 1, constant).double()
    f.settle()
    return ResidualMap(f)


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


def test_a_residual_map_keeps_to_its_constants() -> None:
    torch.manual_seed(1)
    part = residual(0.8).requires_grad_(False)
    held = part.check()
    assert held.lipschitz == pytest.approx(1.8, abs=1e-3)
    assert held.lower == pytest.approx(0.2, abs=1e-3)
    x, y = points(400), points(400).flip(0) + 1e-3
    ratios = (part(x)[0] - part(y)[0]).norm(dim=1) / (x - y).norm(dim=1)
    assert float(ratios.max()) <= held.lipschitz
    assert float(ratios.min()) >= held.lower
    # The twin: weights that were changed after they had settled.
    for layer in part.f.layers:
        layer.weight.mul_(3)
    assert not part.check().holds
    with pytest.raises(InputError, match="expected below 1"):
        part.inverse(x)


def test_the_inverse_is_as_near_as_is_proven() -> None:
    torch.manual_seed(2)
    part = residual(0.9).requires_grad_(False)
    x = points(20)
    y = part(x)[0]
    for tol in (1e-2, 1e-6, 1e-10):
        part.tol = tol
        error = float((part.inverse(y) - x).norm(dim=1).max())
        assert error <= tol + 1e-14
    # The twin: a tolerance that is not kept where the bound is taken for a smaller constant.
    part.tol, part.f.lipschitz = 1e-2, lambda: 1e-4  # type: ignore[method-assign]
    assert float((part.inverse(y) - x).norm(dim=1).max()) > 1e-2


def test_the_ways_to_a_determinant_agree() -> None:
    torch.manual_seed(3)
    part = residual(0.6).requires_grad_(False)
    x = points(4)
    exact = part.logdet(x).detach()
    part.way, part.terms = "series", 8
    bound = truncation_bound(2, part.f.lipschitz(), 8)
    assert float((part.logdet(x).detach() - exact).abs().max()) <= bound
    for way in ("hutchinson", "roulette"):
        part.way, part.terms = way, 40  # type: ignore[assignment]
        drawn = torch.stack([part.logdet(x).detach() for _ in range(144)])
        standard = drawn.std(0) / 12
        assert bool(((drawn.mean(0) - exact).abs() <= 5 * standard + 1e-9).all())
        # The twin: twice the determinant is told apart.
        assert bool(((drawn.mean(0) - 2 * exact).abs() > 5 * standard).any())


@pytest.mark.parametrize("constant", [0.0, 1.0, 1.2])
def test_no_contraction_without_a_constant_below_one(constant: float) -> None:
    with pytest.raises(InputError, match="between 0 and 1"):
        Contraction(2, constant=constant)


def test_gaussians_are_gaussians() -> None:
    x = points(3)
    normal = torch.distributions.Normal(0.0, 1.0)
    assert torch.allclose(gaussian_log_prob(x), normal.log_prob(x).sum(1))
    many = torch.randn(20_000, 2, generator=torch.Generator().manual_seed(0), dtype=F64)
    assert gaussian_nll(many, many) == pytest.approx(2.8379, abs=0.03)
    assert mass_on_grid(gaussian_log_prob, 6.0, 100) == pytest.approx(1.0, abs=1e-6)
    with pytest.raises(InputError, match="two or more"):
        mass_on_grid(gaussian_log_prob, 6.0, 1)

"""Flows of the plane with `log_prob` and `sample`: coupling, residual, continuous, and zuko's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from pnp_recon.networks.invertible.base import Chain
from pnp_recon.networks.invertible.coupling import AffineCoupling, SplineCoupling
from pnp_recon.networks.invertible.density import NormalisingFlow, gaussian_log_prob
from pnp_recon.networks.invertible.residual import ResidualBlock

# Relative and absolute tolerance of the ODE solver: in training, and where a law is measured.
TOLERANCES = (1e-3, 1e-6)


def coupling(layers: int = 12, hidden: int = 64) -> NormalisingFlow:
    """Affine couplings that take turns (Dinh et al. 2017)."""
    parts = [
        AffineCoupling(2, flip=bool(k % 2), hidden=hidden, activation="tanh") for k in range(layers)
    ]
    return NormalisingFlow(Chain(parts))


def spline(layers: int = 4, hidden: int = 32) -> NormalisingFlow:
    """Monotone rational-quadratic couplings (Durkan et al. 2019)."""
    parts = [
        SplineCoupling(2, flip=bool(k % 2), hidden=hidden, activation="tanh") for k in range(layers)
    ]
    return NormalisingFlow(Chain(parts))


def residual(layers: int = 14, hidden: int = 64, bound: float = 0.97) -> NormalisingFlow:
    """x + f(x) with Lip f ≤ c proven (Behrmann et al. 2019); exact determinants."""
    parts = [ResidualBlock(2, bound=bound, hidden=hidden, depth=1) for _ in range(layers)]
    return NormalisingFlow(Chain(parts))


class Continuous(nn.Module):
    """ẋ = f(t, x) from t = 0 to 1; log p(x) = log N(x(1)) + ∫ div f dt (Chen et al. 2018).

    The divergence is exact: two derivatives in the plane. The ODE is solved by torchdiffeq.
    """

    def __init__(self, hidden: int = 64) -> None:
        super().__init__()
        self.field = nn.Sequential(
            nn.Linear(3, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh(),
            nn.Linear(hidden, 2),
        )  # fmt: skip

    def velocity(self, t: Tensor, x: Tensor) -> Tensor:
        found: Tensor = self.field(torch.cat((x, t.expand(len(x), 1).to(x)), 1))
        return found

    def log_prob(self, x: Tensor) -> Tensor:
        from torchdiffeq import odeint

        def moving(t: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
            with torch.enable_grad():
                at = state[0] if state[0].requires_grad else state[0].detach().requires_grad_()
                v = self.velocity(t, at)
                divergence = sum(_slope(v[:, i], at, self.training)[:, i] for i in range(2))
            return v, divergence

        tol = TOLERANCES[0 if self.training else 1]
        times = torch.tensor([0.0, 1.0], dtype=x.dtype)
        begin = (x, x.new_zeros(len(x)))
        ends, gained = odeint(moving, begin, times, rtol=tol, atol=tol, method="dopri5")
        return gaussian_log_prob(ends[-1]) + gained[-1]

    @torch.no_grad()
    def sample(self, count: int, dim: int, generator: torch.Generator) -> Tensor:
        from torchdiffeq import odeint

        like = next(self.parameters())
        z = torch.randn(count, dim, generator=generator, dtype=like.dtype)
        times = torch.tensor([1.0, 0.0], dtype=like.dtype)
        found: Tensor = odeint(self.velocity, z, times, rtol=1e-5, atol=1e-5, method="dopri5")
        return found[-1]


def _slope(value: Tensor, at: Tensor, again: bool) -> Tensor:
    return torch.autograd.grad(value.sum(), at, create_graph=again, retain_graph=True)[0]


class ByZuko(nn.Module):
    """A neural spline flow by other hands, as a reference."""

    def __init__(self) -> None:
        super().__init__()
        import zuko

        self.flow: Any = zuko.flows.NSF(2, transforms=3, hidden_features=(48, 48))

    def log_prob(self, x: Tensor) -> Tensor:
        found: Tensor = self.flow().log_prob(x)
        return found

    @torch.no_grad()
    def sample(self, count: int, dim: int, generator: torch.Generator) -> Tensor:
        with torch.random.fork_rng():
            torch.manual_seed(int(torch.randint(2**31, (1,), generator=generator)))
            found: Tensor = self.flow().sample((count,))
        return found


MODELS: dict[str, Callable[[], Any]] = {
    "affine coupling": coupling,
    "spline coupling": spline,
    "residual": residual,
    "continuous (torchdiffeq)": Continuous,
    "spline (zuko)": ByZuko,
}
# Seconds that one step takes differ by a factor of ten: steps of each.
STEPS = {
    "affine coupling": 1000,
    "spline coupling": 600,
    "residual": 900,
    "continuous (torchdiffeq)": 300,
    "spline (zuko)": 600,
}

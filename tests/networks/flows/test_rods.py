"""Rods that turn: their lengths and energy stay, by which steps, and twins that lose them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pnp_recon.errors import InputError
from pnp_recon.networks.flows.conserving import HamiltonianField, RodField
from pnp_recon.networks.flows.facts import ENERGY, RODS
from pnp_recon.networks.flows.registry import integrator


def double_pendulum(x: Tensor) -> Tensor:
    """Unit rods and masses; u = (1, 0) hangs."""
    u, v, p, q = x[..., :2], x[..., 2:4], x[..., 4], x[..., 5]
    along, across = (u * v).sum(-1), u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]
    moved = (p.square() + 2 * q.square() - 2 * p * q * along) / (2 * (1 + across.square()))
    return moved - 2 * u[..., 0] - v[..., 0]


def swung(method: str, steps: int = 20, h: float = 0.1) -> tuple[float, float]:
    """Largest change of the rods' lengths and of the energy, from a start far from rest."""
    turns = torch.tensor([1.0, -0.5]).double()
    x = torch.cat([torch.stack([turns.cos(), turns.sin()], -1).flatten(), 0 * turns + 0.3])
    field, made, first = RodField(double_pendulum), integrator(method), double_pendulum(x)
    off = 0.0
    with torch.no_grad():
        for _ in range(steps):
            x = made.step(field, x, h)
            off = max(off, float((x[:4].view(2, 2).norm(dim=-1) - 1).abs().max()))
    return off, abs(float(double_pendulum(x) - first))


def test_rods_and_energy_stay_by_discrete_gradients() -> None:
    facts = RodField(double_pendulum).facts()
    for name in ("gonzalez", "itoh_abe"):
        assert integrator(name).check(facts, 0.1).keeps == {RODS, ENERGY}
        assert max(swung(name)) < 1e-13
    # The midpoint rule keeps the rods, which are quadratic, and not this energy.
    assert integrator("implicit_midpoint").check(facts, 0.1).keeps == {RODS}
    rods, energy = swung("implicit_midpoint")
    assert rods < 1e-13
    assert energy > 1e-6
    # The twin: explicit steps lose both, and claim neither.
    assert not integrator("rk4").check(facts, 0.1).keeps
    assert min(swung("rk4")) > 1e-7


def test_a_structure_at_the_old_point_loses_the_rods(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = RodField.structure

    def old(self: RodField, x: Tensor) -> Tensor:
        return exact(self, x + 0.01 * x.new_tensor([0, 1, 0, 0, 0, 0]))

    monkeypatch.setattr(RodField, "structure", old)
    rods, energy = swung("gonzalez")
    assert rods > 1e-4
    assert energy < 1e-13


def test_states_of_other_sizes_are_refused() -> None:
    field = RodField(lambda x: x.square().sum(-1))
    assert field(torch.rand(2, 6)).shape == (2, 6)
    with pytest.raises(InputError, match="found 7 numbers"):
        field(torch.rand(2, 7))


def test_rods_turn_as_angles_do() -> None:
    """ẋ in (θ, p), by the chain rule."""
    x = torch.cat([torch.tensor([0.3, -1.2]).double(), torch.tensor([0.5, 0.2]).double()])

    def placed(z: Tensor) -> Tensor:
        return torch.cat([torch.stack([z[:2].cos(), z[:2].sin()], -1).flatten(), z[2:]])

    angles = HamiltonianField(lambda z: double_pendulum(placed(z)))
    slopes = torch.func.jacrev(placed)(x)
    found = RodField(double_pendulum)(placed(x))
    torch.testing.assert_close(found, slopes @ angles(x[None])[0], atol=1e-13, rtol=0)

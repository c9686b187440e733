"""One step: contractive and averaged as proven, and not beyond; implicit steps with their error."""

from __future__ import annotations

import pytest
import torch

from pnp_recon.errors import InputError
from pnp_recon.networks.flows.facts import Facts, gradient
from pnp_recon.networks.flows.fields import GradientField, LayerField
from pnp_recon.networks.flows.implicit import ImplicitRungeKutta
from pnp_recon.networks.flows.integrators import averagedness
from pnp_recon.networks.flows.matrices import matrix_norm_bound
from pnp_recon.networks.flows.registry import integrator
from pnp_recon.networks.flows.tableaux import CONTRACTIVE, TABLEAUX
from tests.laws.flows import attained, field

EXPLICIT = [name for name in CONTRACTIVE if TABLEAUX[name].is_explicit]
IMPLICIT = [name for name in CONTRACTIVE if not TABLEAUX[name].is_explicit]


@pytest.mark.parametrize("name", EXPLICIT)
def test_no_attack_beats_the_proven_averagedness(name: str) -> None:
    method = integrator(name)
    for share in (0.3, 0.95):
        h = share * 2 * TABLEAUX[name].radius
        held = method.check(gradient(1.0), h)
        assert held.averagedness is not None
        assert held.averagedness < 1
        assert attained(method, h) <= 1 + 1e-9
        assert attained(method, h, held.averagedness) <= 1 + 1e-9


@pytest.mark.parametrize(
    ("name", "share"), [("euler", 1.25), ("improved_euler", 1.25), ("ssp33", 1.6), ("rk4", 1.6)]
)
def test_the_attack_finds_steps_that_are_too_long(name: str, share: float) -> None:
    """Beyond 2r/L nothing is proven, and the attack that the law rests on finds expansion."""
    method = integrator(name)
    h = share * 2 * TABLEAUX[name].radius
    assert not method.check(gradient(1.0), h).is_nonexpansive
    assert attained(method, h) > 1.05


def test_a_smaller_averagedness_is_refuted() -> None:
    """Euler's constant is attained: with one a tenth smaller the reflected map expands."""
    held = integrator("euler").check(gradient(1.0), 1.5)
    assert held.averagedness == 0.75
    assert attained(integrator("euler"), 1.5, 0.9 * 0.75) > 1.1


def test_the_euler_constant_is_that_of_the_block_to_the_last_bit() -> None:
    for s in (0.1, 0.3333333333333333, 0.7071067811865476, 0.99):
        assert averagedness(2 * s, 1.0) == s
    assert averagedness(2.0, 1.0) == 1.0
    assert averagedness(4.0, 1.0) >= 1.0


@pytest.mark.parametrize("name", ["midpoint", "heun3"])
def test_methods_without_positive_weights_prove_nothing_of_the_kind(name: str) -> None:
    held = integrator(name).check(gradient(1.0), 0.1)
    assert not held.is_nonexpansive
    assert held.lipschitz is not None
    assert held.lipschitz > 1
    assert integrator(name).limit(gradient(1.0)) == 0


def test_lipschitz_bounds_of_free_fields_hold() -> None:
    torch.manual_seed(0)
    made = LayerField(3).double()
    for name in ("euler", "rk4", "midpoint"):
        held = integrator(name).check(made.facts(), 0.7)
        x, y = torch.randn(2, 2000, 3, dtype=torch.float64)
        moved = integrator(name).step(made, x, 0.7) - integrator(name).step(made, y, 0.7)
        assert held.lipschitz is not None
        assert float((moved.norm(dim=1) / (x - y).norm(dim=1)).detach().max()) <= held.lipschitz


def test_strong_convexity_contracts_and_too_much_of_it_is_caught() -> None:
    torch.manual_seed(1)
    made = GradientField(3, 4, "relu", convexity=0.5).double()
    h = 1 / made.facts().smoothness  # type: ignore[operator]
    held = integrator("euler").check(made.facts(), h)
    assert held.lipschitz == pytest.approx(1 - 0.5 * h)
    x, y = torch.randn(2, 4000, 3, dtype=torch.float64)
    moved = integrator("euler").step(made, x, h) - integrator("euler").step(made, y, h)
    ratio = float((moved.norm(dim=1) / (x - y).norm(dim=1)).detach().max())
    assert ratio <= held.lipschitz  # type: ignore[operator]
    facts = made.facts()
    wrong = Facts(facts.lipschitz, -0.9, facts.smoothness, 0.9)
    assert ratio > integrator("euler").check(wrong, h).lipschitz  # type: ignore[operator]


def test_matrix_norms_are_upper_bounds() -> None:
    for seed in range(20):
        torch.manual_seed(seed)
        w = torch.randn(5, 7, dtype=torch.float64)
        assert matrix_norm_bound(w) >= float(torch.linalg.svdvals(w)[0])
    assert matrix_norm_bound(torch.zeros(2, 3)) == 0.0
    with pytest.raises(ValueError, match="finite"):
        matrix_norm_bound(torch.full((2, 2), float("nan")))


@pytest.mark.parametrize("name", IMPLICIT)
def test_implicit_steps_contract_at_every_step_size(name: str) -> None:
    method = integrator(name)
    made = field(3, 4, "tanh", seed=3)
    x, y = torch.randn(2, 30, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for h in (0.5, 1e3):
        assert method.check(made.facts(), h).is_averaged
        moved = method.step(made, x, h) - method.step(made, y, h)
        assert float((moved.norm(dim=1) / (x - y).norm(dim=1)).detach().max()) <= 1 + 1e-9
    # The twin: an explicit method of the same order expands at the same step.
    twin = integrator("euler").step(made, x, 1e3) - integrator("euler").step(made, y, 1e3)
    assert float((twin.norm(dim=1) / (x - y).norm(dim=1)).detach().max()) > 10


@pytest.mark.parametrize("name", IMPLICIT)
def test_the_proven_error_of_an_inner_solve_holds_and_can_fail(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stages that are moved off give a step whose distance from the exact one the bound covers."""
    method = integrator(name)
    assert isinstance(method, ImplicitRungeKutta)
    made = field(3, 4, "tanh", seed=4)
    x = torch.randn(20, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    exact, tiny = method.error(made, made.facts(), x, 2.0)
    assert float(tiny.max()) < 1e-9
    solve = method._newton

    def careless(*arguments: object) -> torch.Tensor:
        stages = solve(*arguments)  # type: ignore[arg-type]
        noise = torch.randn(stages.shape, generator=torch.Generator().manual_seed(2))
        return stages + 1e-2 * noise.double()

    monkeypatch.setattr(method, "_newton", careless)
    rough, bound = method.error(made, made.facts(), x, 2.0)
    off = (rough - exact).norm(dim=1).detach()
    assert bool((off <= bound).all())
    assert bool((bound < 100 * off).all())
    assert bool((off > 0.01 * bound).any())  # a hundredth of the bound would be refuted
    with pytest.raises(InputError, match="no error is proven"):
        method.error(made, Facts(lipschitz=1.0, one_sided=0.5), x, 2.0)


def test_gradients_of_implicit_steps_are_those_of_the_exact_map() -> None:
    made = field(2, 3, "tanh", seed=5)
    x = torch.tensor([[0.3, -0.7]], dtype=torch.float64, requires_grad=True)
    for name in IMPLICIT:
        method = integrator(name)
        assert torch.autograd.gradcheck(lambda z: method.step(made, z, 0.8), (x,))  # noqa: B023


def test_an_implicit_step_in_many_dimensions_is_refused() -> None:
    with pytest.raises(InputError, match="Jacobian"):
        integrator("implicit_euler").step(torch.tanh, torch.zeros(1, 4096), 0.1)

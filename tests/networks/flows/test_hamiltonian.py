"""Symplectic, volume-preserving and conserving steps: each law, and a twin that breaks it."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pnp_recon.errors import InputError
from pnp_recon.guarantees import INVERTIBLE, SYMPLECTIC, VOLUME
from pnp_recon.networks.flows.conserving import (
    HamiltonianField,
    MassField,
    NormField,
    TransportField,
    canonical,
)
from pnp_recon.networks.flows.facts import ENERGY, NORM, SUM
from pnp_recon.networks.flows.fields import AntisymmetricField, Field, GradientField
from pnp_recon.networks.flows.flow import Flow
from pnp_recon.networks.flows.registry import STRUCTURED, integrator
from pnp_recon.networks.flows.separable import (
    SecondOrderField,
    SeparableField,
    ShearField,
    SymplecticField,
)
from pnp_recon.networks.flows.splitting import Splitting, StormerVerlet, SymplecticEuler
from pnp_recon.networks.flows.tableaux import TABLEAUX
from pnp_recon.networks.invertible.hamiltonian import SplittingBlock

OMEGA = canonical(4)
SPLITTINGS = ("symplectic_euler", "stormer_verlet")


def filled(field: Field, seed: int = 0) -> Field:
    """In float64, with weights that are none of the first ones."""
    torch.manual_seed(seed)
    made = field.double().requires_grad_(False)
    for weights in made.parameters():
        weights.add_(0.5 * torch.randn_like(weights))
    return made


def fields() -> dict[str, SeparableField]:
    torch.manual_seed(3)
    made = {
        "symplectic": SymplecticField(4, 6),
        "chang": SymplecticField(4, 6, scaled=False),
        "second order": SecondOrderField(4, 5),
        "shears": ShearField(4),
        "haber-ruthotto": ShearField(4, tied=True),
    }
    return {name: filled(field) for name, field in made.items()}  # type: ignore[misc]


def point(seed: int = 1) -> Tensor:
    return torch.randn(4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def jacobian(flow: Flow) -> Tensor:
    found = torch.autograd.functional.jacobian(flow, point())
    assert isinstance(found, Tensor)
    return found


def defect(j: Tensor) -> float:
    return float((j.T @ OMEGA @ j - OMEGA).abs().max())


# ---- separable fields -------------------------------------------------------------------------


@pytest.mark.parametrize("method", SPLITTINGS)
@pytest.mark.parametrize("name", list(fields()))
def test_what_is_declared_of_separable_fields_holds(name: str, method: str) -> None:
    flow = Flow([fields()[name]] * 2, method, [0.3, -0.2])
    held, j = flow.check(), jacobian(flow)
    values = torch.linalg.svdvals(j)
    assert {INVERTIBLE, VOLUME} <= held.keeps
    assert float(torch.linalg.slogdet(j)[1]) == pytest.approx(0, abs=1e-12)
    assert held.lipschitz is not None
    assert held.lower <= float(values[-1])
    assert float(values[0]) <= held.lipschitz
    if SYMPLECTIC in held.keeps:
        assert defect(j) < 1e-12
        assert float(values[0] * values[-1]) == pytest.approx(1, abs=1e-12)
        assert float(values[0]) >= 1
    else:  # the skew matrix of Haber & Ruthotto makes no Hamiltonian
        assert name in ("shears", "haber-ruthotto")
        assert defect(j) > 1e-2


def test_explicit_euler_is_the_twin_and_claims_nothing() -> None:
    flow = Flow([fields()["symplectic"]], "euler", [0.3])
    j = jacobian(flow)
    assert flow.check().keeps == set()
    assert defect(j) > 1e-2
    assert abs(float(torch.linalg.slogdet(j)[1])) > 1e-3


def test_a_field_whose_declaration_is_false_is_found_out() -> None:
    """One half with a matrix that is not its own transpose: no gradient, and Ω is not kept."""

    class Wrong(SymplecticField):
        def velocity(self, p: Tensor) -> Tensor:
            return super().velocity(p) @ torch.tensor([[1.0, 0.5], [0.0, 1.0]]).double()

    flow = Flow([filled(Wrong(4, 6))], "symplectic_euler", [0.3])
    assert SYMPLECTIC in flow.check().keeps
    assert defect(jacobian(flow)) > 1e-2


@pytest.mark.parametrize("method", [SymplecticEuler(), StormerVerlet()])
def test_steps_are_undone_and_only_the_symmetric_one_by_itself(method: Splitting) -> None:
    field, x = fields()["chang"], point()
    y = method.step(field, x, 0.4)
    assert float((method.back(field, y, 0.4) - x).abs().max()) < 1e-14
    itself = float((method.step(field, y, -0.4) - x).abs().max())
    assert (itself < 1e-14) is isinstance(method, StormerVerlet)


def test_reversed_momenta_run_backwards() -> None:
    """ρ(q, p) = (q, −p) turns the second-order field around; a bias in the velocity breaks it."""
    flip = torch.tensor([1.0, 1, -1, -1]).double()
    method = StormerVerlet()

    def returns(field: SeparableField) -> float:
        there = method.step(field, point(), 0.4)
        return float((flip * method.step(field, flip * there, 0.4) - point()).abs().max())

    assert returns(fields()["second order"]) < 1e-14
    assert returns(fields()["chang"]) > 1e-3


def test_chang_and_the_symplectic_network_are_as_printed() -> None:
    field, x = fields()["symplectic"], point()
    assert isinstance(field, SymplecticField)
    q, p = x[:2], x[2:]
    q = q + 0.3 * field.first.T @ (
        field.first_scale * torch.tanh(field.first @ p + field.first_bias)
    )
    p = p - 0.3 * field.second.T @ (
        field.second_scale * torch.tanh(field.second @ q + field.second_bias)
    )
    found = SymplecticEuler().step(field, x, 0.3)
    torch.testing.assert_close(found, torch.cat([q, p]), atol=1e-14, rtol=0)


def test_a_block_is_the_same_step_at_every_pixel() -> None:
    block = SplittingBlock(fields()["symplectic"], 0.3)
    x = torch.randn(2, 4, 3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    moved = block(x)[0]
    alone = SymplecticEuler().step(block.field, x[1, :, 2, 4], 0.3)
    torch.testing.assert_close(moved[1, :, 2, 4], alone, atol=1e-14, rtol=0)


def test_of_weights_or_steps_that_are_no_numbers_nothing_is_proven() -> None:
    field = fields()["shears"]
    assert not SymplecticEuler().check(field.facts(), math.inf).keeps
    assert not integrator("gonzalez").check(HamiltonianField(henon_heiles).facts(), math.nan).keeps
    block = SplittingBlock(field, 0.3)
    assert block.check().keeps
    field.first_bias[0] = math.nan  # type: ignore[index, operator]
    assert not block.check().keeps


# ---- implicit steps ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["implicit_midpoint", "gauss4"])
def test_conservative_tableaux_keep_the_form_and_lengths(name: str) -> None:
    assert TABLEAUX[name].is_conservative
    field = fields()["symplectic"]
    size = field.facts().lipschitz
    assert size is not None
    flow = Flow([field], name, [0.3 / size])
    assert SYMPLECTIC in flow.check().keeps
    assert defect(jacobian(flow)) < 1e-12
    # Beyond h‖A‖ℓ = 1 the stages need not be unique, and nothing is said of the form.
    assert Flow([field], name, [3 / size]).check().keeps == set()


def test_other_tableaux_are_not_conservative() -> None:
    assert {name for name in TABLEAUX if TABLEAUX[name].is_conservative} == {
        "implicit_midpoint",
        "gauss4",
    }


# ---- sums and lengths -------------------------------------------------------------------------


def walked(field: Field, method: str, steps: int = 40, h: float = 0.2) -> tuple[float, float]:
    """Largest changes of sum and length."""
    x, made = point(), integrator(method)
    y = x
    with torch.no_grad():
        for _ in range(steps):
            y = made.step(field, y, h)
    return abs(float(y.sum() - x.sum())), abs(float(y.norm() - x.norm()))


@pytest.mark.parametrize("method", ["euler", "rk4", "implicit_midpoint"])
def test_sums_stay_by_every_runge_kutta_method(method: str) -> None:
    field = filled(MassField(4, 8))
    assert SUM in Flow([field], method, [0.2]).check().keeps
    assert walked(field, method)[0] < 1e-13
    # The twins: a free field, and one that keeps something else.
    for twin in (filled(AntisymmetricField(4)), filled(NormField(4, 8))):
        assert SUM not in Flow([twin], method, [0.2]).check().keeps
        assert walked(twin, method)[0] > 1e-3


def test_lengths_stay_by_the_implicit_midpoint_rule_alone() -> None:
    field = filled(NormField(4, 8))
    assert NORM in Flow([field], "implicit_midpoint", [0.2]).check().keeps
    assert walked(field, "implicit_midpoint", 10)[1] < 1e-12
    for method in ("euler", "rk4"):
        assert NORM not in Flow([field], method, [0.2]).check().keeps
        assert walked(field, method, 10, 0.5)[1] > 1e-6


def test_transport_keeps_both_and_is_advection() -> None:
    field = TransportField(1).double()
    with torch.no_grad():
        field.weights.fill_(0.5)
    assert Flow([field], "implicit_midpoint", [0.3]).check().keeps >= {SUM, NORM}
    assert max(walked(field, "implicit_midpoint", 10)) < 1e-13
    assert walked(field, "euler", 10)[1] > 1e-2
    wave = torch.sin(torch.arange(16).double() * 2 * math.pi / 16)
    slope = torch.cos(torch.arange(16).double() * 2 * math.pi / 16) * math.sin(2 * math.pi / 16)
    torch.testing.assert_close(field(wave).detach(), slope, atol=1e-14, rtol=0)


# ---- energies ---------------------------------------------------------------------------------


def henon_heiles(x: Tensor) -> Tensor:
    q1, q2, p1, p2 = x.unbind(-1)
    return (q1**2 + q2**2 + p1**2 + p2**2) / 2 + q1**2 * q2 - q2**3 / 3


START = torch.tensor([0.1, 0.2, 0.3, -0.1]).double()


@pytest.mark.parametrize("name", ["gonzalez", "mean_value", "itoh_abe"])
def test_discrete_gradients_keep_the_energy(name: str) -> None:
    field, method = HamiltonianField(henon_heiles, degree=3), integrator(name)
    assert method.check(field.facts(), 0.5).keeps == {ENERGY}
    x = START
    with torch.no_grad():
        for _ in range(3):
            x = method.step(field, x, 0.5)
    assert float((x - START).norm()) > 0.1
    assert abs(float(henon_heiles(x) - henon_heiles(START))) < 2e-16 * 2


@pytest.mark.parametrize("name", ["implicit_midpoint", "rk4", "euler"])
def test_other_methods_do_not_and_claim_it_not(name: str) -> None:
    field, method = HamiltonianField(henon_heiles, degree=3), integrator(name)
    assert ENERGY not in method.check(field.facts(), 0.5).keeps
    with torch.no_grad():
        x = method.step(field, START, 0.5)
    assert abs(float(henon_heiles(x) - henon_heiles(START))) > 1e-7


def test_the_mean_value_is_proven_for_polynomials_alone() -> None:
    def steep(x: Tensor) -> Tensor:
        return (1 - torch.cos(6 * x)).sum(-1)

    field, method = HamiltonianField(steep), integrator("mean_value")
    assert method.check(field.facts(), 0.1).keeps == set()
    assert "take gonzalez" in method.check(field.facts(), 0.1).source
    assert integrator("gonzalez").check(field.facts(), 0.1).keeps == {ENERGY}
    # A degree is the caller's word, and the guarantee says on whose word it stands.
    said = HamiltonianField(henon_heiles, degree=3).facts()
    assert "declared" in method.check(said, 0.1).source
    assert "declared" not in integrator("gonzalez").check(said, 0.1).source


def test_at_rest_a_step_stays_and_gradients_are_exact() -> None:
    field = HamiltonianField(henon_heiles, degree=3)
    method = integrator("gonzalez")
    rest = torch.zeros(4, dtype=torch.float64)
    assert torch.equal(method.step(field, rest, 0.3), rest)
    x = START[None].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda z: method.step(field, z, 0.3), (x,))


# ---- all --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", STRUCTURED)
def test_a_method_refuses_fields_that_it_is_not_for(name: str) -> None:
    wrong = GradientField(4).double()
    with pytest.raises(InputError, match="take implicit_midpoint"):
        integrator(name).step(wrong, point(), 0.1)
    assert not integrator(name).check(wrong.facts(), 0.1).keeps
    assert integrator(name).check(wrong.facts(), 0.0).keeps == {INVERTIBLE, VOLUME}


@pytest.mark.parametrize("name", STRUCTURED)
def test_measured_orders(name: str) -> None:
    """A linear field with a known solution; errors at two step sizes tell the order."""
    k = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).double()
    if name in SPLITTINGS:
        field: Field = SecondOrderField(2, 1, "identity").double().requires_grad_(False)
        field.weight.fill_(1.0)  # type: ignore[union-attr, operator]
    else:  # a coupled energy: without one the quotients of Itoh and Abe are those of the midpoint
        k = torch.tensor([[1.0, 0.5], [0.5, 1.0]]).double()
        field = HamiltonianField(lambda x: torch.einsum("...i,ij,...j->...", x, k, x) / 2, degree=2)
    method, x, errors = integrator(name), torch.tensor([1.0, 0.3]).double(), []
    exact = torch.linalg.matrix_exp(0.8 * canonical(2) @ k) @ x
    for count in (4, 8):
        y = x
        with torch.no_grad():
            for _ in range(count):
                y = method.step(field, y, 0.8 / count)
        errors.append(float((y - exact).norm()))
    order = math.log2(errors[0] / errors[1])
    assert order == pytest.approx(method.order, abs=0.25)  # type: ignore[attr-defined]

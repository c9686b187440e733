"""Steps on orthonormal matrices: orthonormality, descent, MEC's energy, torch as the oracle."""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import orthogonal

from pnp_recon.errors import InputError
from pnp_recon.training.structured.orthogonal import (
    RETRACTIONS,
    Mec,
    Stiefel,
    defect,
    mec,
    orthonormalise,
    rotation,
    tall,
)
from scripts.studies.optimisers.ica import contrast, crosstalk, mixture

Made = Callable[[list[Tensor]], torch.optim.Optimizer]


def start(n: int, p: int, seed: int = 0) -> Tensor:
    u = torch.randn(n, p, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    orthonormalise(u)
    return u.requires_grad_()


def brockett(u: Tensor) -> Tensor:
    """½ tr(UᵀAUN): least where the columns are eigenvectors of A."""
    n, p = tall(u).shape
    a, weights = torch.arange(1.0, n + 1).to(u), torch.arange(p, 0.0, -1).to(u)
    return (tall(u).square() * a[:, None] * weights).sum() / 2


def run(made: Made, u: Tensor, steps: int, loss: Callable[[Tensor], Tensor] = brockett) -> list:
    optimiser, values = made([u]), []
    for _ in range(steps):
        optimiser.zero_grad()
        value = loss(u)
        value.backward()
        values.append(float(value.detach()))
        optimiser.step()
    return values


METHODS: dict[str, Made] = {
    **{name: lambda u, name=name: Stiefel(u, 0.05, name) for name in RETRACTIONS},
    "mec": lambda u: Mec(u, 0.1, 2.0),
}


@pytest.mark.parametrize("name", METHODS)
def test_columns_stay_orthonormal_and_the_loss_falls_to_its_minimum(name: str) -> None:
    u = start(5, 3)
    values = run(METHODS[name], u, 600)
    assert defect(u) < 1e-14
    assert values[-1] == pytest.approx((3 * 1 + 2 * 2 + 1 * 3) / 2, abs=1e-6)
    if name != "mec":
        assert all(b <= a + 1e-13 for a, b in pairwise(values))


def test_a_euclidean_step_leaves_the_manifold() -> None:
    u = start(5, 3)
    run(lambda u: torch.optim.SGD(u, 0.05), u, 1)
    assert defect(u) > 1e-2


@pytest.mark.parametrize("name", RETRACTIONS)
def test_retractions_are_orthonormal_and_exact_to_first_order(name: str) -> None:
    """By themselves, without what removes rounding afterwards; twin: Euler's step."""
    move, u = RETRACTIONS[name], start(6, 2).detach()
    b = rotation(u, start(*u.shape, 7).detach() * 2)
    assert defect(move(3 * b, u)) < 1e-14
    assert defect(u + 3 * b @ u) > 1e-1
    gaps = [float((move(h * b, u) - u - h * b @ u).norm()) for h in (1e-3, 5e-4)]
    assert gaps[0] / gaps[1] == pytest.approx(4, rel=0.02)


def test_float32_does_not_drift_over_many_steps() -> None:
    u = start(8, 4).detach().float().requires_grad_()
    run(lambda u: Stiefel(u, 0.2), u, 3000)
    assert defect(u) < 1e-6


@pytest.mark.parametrize(("ours", "theirs"), [("exp", "matrix_exp"), ("cayley", "cayley")])
def test_the_first_step_is_that_of_torchs_parametrisation(ours: str, theirs: str) -> None:
    u = start(4, 4)
    layer = nn.Linear(4, 4, bias=False).double()
    orthogonal(layer, orthogonal_map=theirs)
    layer.weight = u.detach().clone()
    for k in range(2):
        optimiser = torch.optim.SGD(layer.parameters(), 0.05)
        optimiser.zero_grad()
        brockett(layer.weight).backward()
        optimiser.step()
        if k == 0:
            first = layer.weight.detach().clone()
    run(lambda u: Stiefel(u, 0.05, ours), u, 1)
    torch.testing.assert_close(u.detach(), first, atol=1e-13, rtol=0)
    # The twin: torch's coordinates stay about the first point, so that the second one differs.
    run(lambda u: Stiefel(u, 0.05, ours), u, 1)
    assert float((u.detach() - layer.weight).detach().norm()) > 1e-6


def test_mec_loses_the_energy_that_friction_takes() -> None:
    """dH/dt = −γ‖BU‖² as h → 0; the twin, a kinetic energy ½‖B‖², is refuted."""
    u, h, gamma = start(5, 3).detach(), 1e-6, 0.7
    b = rotation(u, start(*u.shape, 7).detach() * 2)
    slope = torch.func.grad(brockett)
    after, speed = mec(u, b, slope(u), h, gamma)

    def energy(u: Tensor, b: Tensor, share: float) -> float:
        return float(share * b.square().sum() + brockett(u))

    expected = -gamma * float((b @ u).square().sum())
    rate = (energy(after, speed, 0.25) - energy(u, b, 0.25)) / h
    assert rate == pytest.approx(expected, rel=1e-4)
    wrong = (energy(after, speed, 0.5) - energy(u, b, 0.5)) / h
    assert wrong != pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("damping", [1.0, -1.0])
def test_mec_falls_with_friction_and_rises_against_it(damping: float) -> None:
    u, energies = start(5, 3).detach(), []
    b, slope = torch.zeros(5, 5).double(), torch.func.grad(brockett)
    for _ in range(400):
        u, b = mec(u, b, slope(u), 0.01, damping)
        energies.append(float(b.square().sum() / 4 + brockett(u)))
    assert (energies[-1] < energies[0] - 0.1) == (damping > 0)


def test_independent_components_are_recovered_and_not_without_whitening() -> None:
    seen, mixing = mixture(whitened=True)
    u = start(3, 3, 1)
    run(lambda u: Mec(u, 0.3, 1.0), u, 150, lambda u: contrast(u, seen))
    assert crosstalk(u.detach(), mixing) < 0.05
    seen, mixing = mixture(whitened=False)
    u = start(3, 3, 1)
    run(lambda u: Mec(u, 0.3, 1.0), u, 150, lambda u: contrast(u, seen))
    assert crosstalk(u.detach(), mixing) > 0.2


def test_filters_are_matrices_of_rows() -> None:
    filters = nn.Parameter(torch.randn(4, 2, 3, 3, dtype=torch.float64))
    orthonormalise(filters)
    torch.testing.assert_close(filters.flatten(1) @ filters.flatten(1).T, torch.eye(4).double())
    before = filters.detach().clone()
    run(lambda u: Stiefel(u, 0.1), filters, 5)
    assert defect(filters) < 1e-14
    assert float((filters - before).detach().norm()) > 1e-2


@pytest.mark.parametrize("made", [lambda u: Mec(u, 0.1, 2.0), lambda u: Stiefel(u, 0.1)])
def test_a_stored_state_goes_on_as_if_it_had_not_stopped(made: Made) -> None:
    through, halted = start(5, 3), start(5, 3)
    optimiser = made([through])

    def step(optimiser: torch.optim.Optimizer, u: Tensor) -> None:
        optimiser.zero_grad()
        brockett(u).backward()
        optimiser.step()

    for _ in range(3):
        step(optimiser, through)
    state = copy.deepcopy(optimiser.state_dict())
    with torch.no_grad():
        halted.copy_(through)
    again = made([halted])
    again.load_state_dict(state)
    step(optimiser, through), step(again, halted)
    assert torch.equal(through, halted)


def test_what_cannot_be_is_refused() -> None:
    for made in (
        lambda: Stiefel([torch.ones(3, 2)], 0.1),
        lambda: Stiefel([torch.full((3, 2), torch.nan)], 0.1),
        lambda: Stiefel([torch.ones(3)], 0.1),
        lambda: Stiefel([start(3, 2)], -1.0),
        lambda: Mec([start(3, 2)], 1.0, 0.6),
        lambda: Mec([start(3, 2)], 1.0, -0.1),
    ):
        with pytest.raises(InputError, match="expected"):
            made()
    with pytest.raises(InputError, match="known: exp, cayley, qr"):
        Stiefel([start(3, 2)], 0.1, "polar")


def test_filters_that_are_no_rows_in_memory_are_refused_before_a_copy_is_moved() -> None:
    filters = torch.randn(3, 2, 2, 2, generator=torch.Generator().manual_seed(0))
    scattered = filters.to(memory_format=torch.channels_last)
    with pytest.raises(InputError, match="expected contiguous"):
        orthonormalise(scattered)
    # The twin: a copy is made orthonormal, and the filters stay as they were.
    orthonormalise(scattered.flatten(1))
    assert torch.equal(scattered, filters)
    orthonormalise(filters)
    optimiser = Stiefel([filters.requires_grad_()], 0.1)
    filters.grad = torch.randn(3, 2, 2, 2).to(memory_format=torch.channels_last)
    before = filters.detach().clone()
    optimiser.step()
    assert not torch.equal(filters, before)
    assert defect(filters) < 1e-6

"""Runs of descent on tiny energies: what they reach, with which data, and how it is certified."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from operators import Convolution, Identity, Inpainting, LinearOperator, kernels
from pnp_recon import Stopping, reconstruct
from pnp_recon.errors import InputError
from pnp_recon.networks.energies.energy import Energy
from pnp_recon.networks.energies.gradient_step import GradientStepNet
from pnp_recon.priors.energies.base import LearnedEnergy, energy_from
from pnp_recon.problems.problem import Problem
from pnp_recon.solvers.core.certificate import Certificate
from pnp_recon.solvers.core.laws import H1
from pnp_recon.solvers.core.loop import iterate
from pnp_recon.solvers.core.solution import Solution
from pnp_recon.solvers.core.solver import Step
from pnp_recon.solvers.descent.differences import LAW
from pnp_recon.solvers.descent.solver import Descending, Descent
from pnp_recon.solvers.knobs import Knobs
from pnp_recon.training.seeding import seeded
from support.energies import STEP, clean, drawn, energy

NOISE, LEVELS = 0.05, (0.01, 0.2)
STOPPING = Stopping(tol=1e-4, max_iter=40)
SHAPE = (1, 16, 16)


def logcosh(x: Tensor) -> Tensor:
    found = x.new_zeros(len(x))
    for dim in (-1, -2):
        d = 10 * x.diff(dim=dim)
        found = found + (F.softplus(2 * d) - d).flatten(1).sum(1) / 50
    return found


def network(family: str) -> Energy:
    if family == "ridge":
        return energy(family).requires_grad_(False)
    if family in ("patch-flow", "critic"):
        return drawn(family)
    with seeded(3):
        net = GradientStepNet(STEP).requires_grad_(False)
    net.exit.mul_(4)  # what is learned weighs something beside the high-pass
    return net


def prior(family: str, dtype: torch.dtype = torch.float32) -> LearnedEnergy:
    if family == "caller":
        return energy_from(logcosh, "mine")
    return LearnedEnergy(network(family).to(dtype), family, channels=1, sigma_range=LEVELS)


def operator(kind: str, dtype: torch.dtype = torch.float32) -> LinearOperator:
    if kind == "identity":
        return Identity(SHAPE)
    if kind == "inpainting":
        mask = torch.rand(SHAPE[1:], generator=torch.Generator().manual_seed(2)) < 0.6
        return Inpainting(mask.to(dtype), SHAPE)
    return Convolution(kernels.gaussian(1.0), SHAPE, boundary=kind)


def data(A: LinearOperator, dtype: torch.dtype = torch.float32, count: int = 2) -> Tensor:
    image = A.A(clean()[:count].to(dtype))
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
    return image + NOISE * noise.to(dtype)


def run(held: LearnedEnergy, A: LinearOperator, y: Tensor, **settings: Any) -> Solution:
    given = {"noise_level": NOISE, "strength": 1.0, "stopping": STOPPING, **settings}
    return reconstruct(y, A, held, **given)


@pytest.mark.parametrize("kind", ["circular", "valid", "inpainting"])
@pytest.mark.parametrize("family", ["ridge", "step", "patch-flow", "critic", "caller"])
def test_every_energy_with_all_data(family: str, kind: str) -> None:
    A = operator(kind)
    solution = run(prior(family), A, data(A))
    assert solution.status.name == "CONVERGED"
    assert solution.certificate.holds
    history = solution.history
    assert all(fell > 0 for row in history.falls for fell in row)
    starts = zip(history.gradients[0], history.gradients[-1], strict=True)
    assert all(last < 0.02 and last <= first for first, last in starts)


@pytest.mark.parametrize("family", ["ridge", "step"])
def test_float64_goes_further_and_again_the_same_way(family: str) -> None:
    A = operator("circular", torch.float64)
    y = data(A, torch.float64, 1)
    tight = Stopping(tol=1e-8, max_iter=80)
    one, two = (run(prior(family, torch.float64), A, y, stopping=tight) for _ in range(2))
    assert one.status.name == "CONVERGED"
    assert one.certificate.holds
    assert one.history.gradients[-1][0] < 1e-6
    assert torch.equal(one.image, two.image)
    assert one.history.energies == two.history.energies


# ---- twins ---------------------------------------------------------------------------------------


def test_another_value_than_that_of_the_gradient_is_caught() -> None:
    """The gradient is that of log cosh; what is evaluated is not."""

    def gradient(x: Tensor) -> Tensor:
        return energy_from(logcosh).gradient(x, 0.1)

    def other(x: Tensor) -> Tensor:
        return 0.3 * x.diff(dim=-1).square().flatten(1).sum(1)

    A = operator("circular")
    certificate = run(energy_from(other, gradient=gradient), A, data(A)).certificate
    broken = [item.law for item in certificate.observed if not item.passed]
    assert certificate.contradicted
    assert LAW in broken
    right = run(energy_from(logcosh, gradient=gradient), A, data(A)).certificate
    assert right.holds


def test_an_unmatched_adjoint_has_no_guarantee() -> None:
    A = operator("circular")
    A.adjoint_matched = False
    certificate = run(prior("ridge"), A, data(A), stopping=Stopping(max_iter=2)).certificate
    assert not certificate.proven
    assert "not the transpose" in certificate.verdict


def climbing(self: Descent, state: Descending, iteration: int) -> Step[Descending]:
    """To where the energy is higher."""
    facts = self.objective.facts(state.z)
    z = state.z + 0.05
    seen = self.objective.facts(z)
    moved = (z - state.z).double().flatten(1).norm(dim=1)
    rows = [seen.energy, facts.energy - seen.energy, seen.stationarity, moved]
    return Step(
        Descending(z, seen),
        z.new_zeros(len(z)),
        residual=seen.stationarity.to(z.dtype),
        descent=torch.stack(rows),
    )


class Mine(Descent):
    """A solver of a caller's own, about which the package has proven nothing."""


def started(kind: type[Descent]) -> Certificate:
    A = operator("circular")
    solver = kind.configure(Problem(A, data(A), NOISE), prior("step"), Knobs())
    return iterate(solver, Stopping(tol=1e-12, max_iter=4)).certificate


def test_a_run_that_climbs_breaks_its_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    assert started(Descent).holds
    monkeypatch.setattr(Descent, "step", climbing)
    found = started(Descent)
    assert found.contradicted
    assert H1 in [item.law for item in found.observed if not item.passed]


def test_a_solver_of_ones_own_is_certified_under_a_condition() -> None:
    assert started(Descent).conditions == ()
    assert any("makes the steps" in words for words in started(Mine).conditions)


# ---- the half-quadratic picture, and the one minimiser -------------------------------------------


def test_the_picture_of_a_split_energy_is_a_fixed_point_of_half_quadratic_splitting() -> None:
    A = operator("circular", torch.float64)
    y, held = data(A, torch.float64, 1), prior("step", torch.float64)
    assert held.split
    found = run(held, A, y, stopping=Stopping(tol=1e-9, max_iter=100))
    weight, level = found.parameters["lambda"], found.parameters["denoiser_level"]
    x = found.image
    z = A.prox_l2(x, y, 1 / weight)
    torch.testing.assert_close(z + A.A_adjoint(A.A(z) - y) / weight, x)  # P⁻¹(z) = z + ∇f(z)/λ
    outside = z - z.clamp(0, 1)
    with torch.no_grad():
        again = z - held.gradient(z, level) - outside
    assert (again - x).abs().max() < 1e-7
    assert (x - z).abs().max() > 1e-3


@pytest.mark.parametrize(("share", "one"), [(0.9, True), (1.1, False)])
def test_one_minimiser_where_the_data_outweigh_the_bend(share: float, one: bool) -> None:
    problem, held = Problem(operator("identity"), data(operator("identity")), NOISE), prior("ridge")
    objective = Descent.configure(problem, held, Knobs()).objective
    bend = held.weak_convexity(objective.level)
    assert bend is not None
    strength = share / (objective.weight * bend)  # f = ½‖x − y‖² is 1-strongly convex
    statement = Descent.configure(problem, held, Knobs(strength=strength)).theorem().statement
    assert ("one minimiser" in statement) is one
    assert ("critical point of E" in statement) is not one


@pytest.mark.parametrize("level", [LEVELS[0] / 2, 2 * LEVELS[1]])
def test_a_level_that_the_energy_does_not_serve_is_refused(level: float) -> None:
    A = operator("identity")
    with pytest.raises(InputError, match="serves levels"):
        run(prior("ridge"), A, data(A), denoiser_level=level)

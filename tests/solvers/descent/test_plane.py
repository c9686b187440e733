"""Descent on the plane of a total: the law, critical points on it, its proximal map, twins."""

from __future__ import annotations

from typing import Any

import pytest
from torch import Tensor

from laws.networks import random_tensor
from operators import Convolution, LinearOperator, kernels
from operators.matrix import MatrixOperator
from pnp_recon import Stopping, reconstruct
from pnp_recon.errors import InputError
from pnp_recon.fidelity import Fidelity, KullbackLeibler
from pnp_recon.networks.energies.energy import Energy
from pnp_recon.networks.energies.gradient_step import GradientStepNet
from pnp_recon.priors.energies.base import LearnedEnergy
from pnp_recon.problems.problem import Problem
from pnp_recon.proximal.total import BoxTotal
from pnp_recon.solvers.core.solution import Solution
from pnp_recon.solvers.descent.objective import Objective
from pnp_recon.solvers.descent.plane import Plane
from pnp_recon.solvers.descent.solver import Descent
from pnp_recon.solvers.kept import LAW
from pnp_recon.solvers.knobs import Knobs
from pnp_recon.training.seeding import seeded
from support.energies import STEP, clean, energy

SIGMA = 0.05
every_energy = pytest.mark.parametrize("family", ["ridge", "step"])
every_operator = pytest.mark.parametrize("kind", ["blur", "matrix"])


def prior(family: str) -> LearnedEnergy:
    with seeded(3):
        net: Energy = energy("ridge") if family == "ridge" else GradientStepNet(STEP)
    return LearnedEnergy(
        net.double().requires_grad_(False), family, channels=1, sigma_range=(0.01, 0.2)
    )


def posed(kind: str) -> tuple[Tensor, LinearOperator]:
    x = clean(side=12)[:1]
    if kind == "blur":
        A: LinearOperator = Convolution(kernels.linear_motion(5, 30).double(), (1, 12, 12))
    else:  # rows and columns whose sums differ
        entries = random_tensor(100, 144, seed=4).abs() / 60
        A = MatrixOperator(entries, (1, 12, 12), (1, 10, 10))
    y = A.A(x)
    return y + SIGMA * random_tensor(*y.shape, seed=5), A


def run(family: str, kind: str, keep: bool) -> tuple[Solution, float]:
    y, A = posed(kind)
    given: dict[str, Any] = {"noise_level": SIGMA, "denoiser_level": 0.1, "strength": 1.0}
    solution = reconstruct(
        y, A, prior(family), stopping=Stopping(1e-5, 60), keep_total=keep, **given
    )
    return solution, abs(float(A.A(solution.image).sum() - y.sum()))


@every_energy
@every_operator
def test_the_total_stays_and_the_certificate_says_so(family: str, kind: str) -> None:
    solution, off = run(family, kind, True)
    assert solution.certificate.holds, solution.certificate.lines()
    assert LAW in {item.law for item in solution.certificate.observed}
    assert "Σ A x = Σ y" in solution.certificate.verdict
    assert off < 1e-10
    twin, lost = run(family, kind, False)
    assert lost > 1e-7
    assert "Σ A x = Σ y" not in twin.certificate.verdict


@every_energy
@every_operator
def test_its_points_are_critical_along_the_plane_and_its_steps_proximal(
    family: str, kind: str
) -> None:
    y, A = posed(kind)
    knobs = Knobs(denoiser_level=0.1, keep_total=True)
    solver = Descent.configure(Problem(A, y, SIGMA), prior(family), knobs)
    objective, plane = solver.objective, solver.objective.plane
    assert plane is not None
    # What a plain step minimises has no slope along the plane at its end, but has one across it.
    w = 0.5 + random_tensor(1, 1, 12, 12, seed=6)
    found = objective.backward(w, 0.3, w, 1e-13)
    slope = (found - w) / 0.3 + objective.fidelity.gradient(found)
    assert float(plane.tangent(slope).norm()) < 1e-8
    assert float(slope.norm()) > 1e-3
    assert float((plane.onto(found) - found).norm()) < 1e-12
    picture = objective.picture(found) if objective.split else found
    assert float((A.A(picture).sum() - y.sum()).abs()) < 1e-9
    # The twin: the nearest point instead.
    lazy = plane.onto(objective.fidelity.prox(w, 0.3, start=w, tol=1e-13)[0])
    slope = (lazy - w) / 0.3 + objective.fidelity.gradient(lazy)
    assert (float(plane.tangent(slope).norm()) > 1e-6) is (kind == "matrix")


def test_another_plane_fails_the_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = Plane.of

    def of(kept: BoxTotal, fidelity: Fidelity, flat: Fidelity, share: float) -> Plane:
        return exact(kept, fidelity, flat, 0.0)  # of z itself, whose picture is another one

    monkeypatch.setattr(Plane, "of", of)
    solution, off = run("step", "matrix", True)
    assert off > 1e-6
    assert solution.certificate.contradicted
    assert LAW in solution.certificate.verdict


@pytest.mark.parametrize("beside", [0.0, 1.0])
def test_in_float32_what_z_was_rounded_to_is_allowed_and_no_more(
    beside: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The picture z + ∇f(z)/λ magnifies it; 1 + L/λ times four machine epsilons, which was the
    limit, let twice as much pass."""
    y, A = posed("blur")
    given: dict[str, Any] = {"noise_level": SIGMA, "denoiser_level": 0.1, "strength": 1.0}
    exact = prior("step")
    narrow = LearnedEnergy(exact.network.float(), "step", channels=1, sigma_range=(0.01, 0.2))
    whole, apart = Objective.picture, [0.0]

    def picture(self: Objective, z: Tensor) -> Tensor:
        apart[0] = beside * 2 * 1.2e-7 * (1 + self.fidelity.lipschitz / self.weight)
        return whole(self, z) + apart[0]

    monkeypatch.setattr(Objective, "picture", picture)
    solution = reconstruct(
        y.float(), A.float(), narrow, stopping=Stopping(1e-5, 30), keep_total=True, **given
    )
    (law,) = (item for item in solution.certificate.observed if item.law == LAW)
    assert law.passed == (beside == 0), (law, apart)


def test_a_fidelity_that_is_not_quadratic_is_refused() -> None:
    y, A = posed("blur")
    counts = (100 * y).clamp_min(1).round()
    fidelity = KullbackLeibler(A, counts)
    with pytest.raises(InputError, match="keep_total is about"):
        reconstruct(counts, A, prior("step"), fidelity=fidelity, keep_total=True)

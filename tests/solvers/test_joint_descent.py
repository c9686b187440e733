"""Picture and kernel together: laws of the run, and what breaks them is caught."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from operators import Boundary, Convolution, Inpainting, kernels
from pnp_recon import Stopping, reconstruct
from pnp_recon.errors import InputError
from pnp_recon.fidelity import WeightedLeastSquares
from pnp_recon.priors.energies.base import energy_from
from pnp_recon.problems.problem import Problem
from pnp_recon.solvers.core.laws import H1, H2
from pnp_recon.solvers.core.loop import iterate
from pnp_recon.solvers.core.solution import Solution
from pnp_recon.solvers.descent.solver import Descent
from pnp_recon.solvers.joint import solver as joint_solver
from pnp_recon.solvers.joint.differences import LAW
from pnp_recon.solvers.joint.kernel import KernelTerm, minimised
from pnp_recon.solvers.joint.solver import JointDescent
from pnp_recon.solvers.knobs import Knobs

NOISE = 0.01
STOPPING = Stopping(tol=1e-4, max_iter=8)
BOUNDARIES: tuple[Boundary, ...] = ("circular", "replicate", "reflect", "constant", "valid")
KNOBS = Knobs(1.0, None, None, None, None, None, False)


def roughness(x: Tensor) -> Tensor:
    """A smooth energy of differences: log cosh, as a sum of softplus."""
    found = x.new_zeros(len(x))
    for dim in (-1, -2):
        d = 20 * x.diff(dim=dim)
        found = found + (F.softplus(2 * d) - d - math.log(2)).flatten(1).sum(1) / 100
    return found


def problem(
    boundary: Boundary = "circular", channels: int = 1, dtype: torch.dtype = torch.float32
) -> tuple[Problem, Tensor]:
    """A picture blurred by a shake, with a Gaussian for its kernel; and the true kernel."""
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(1, channels, 5, 6, generator=generator)
    x = x.repeat_interleave(6, 2).repeat_interleave(6, 3).to(dtype)
    true = kernels.trajectory(5, 1, dtype=torch.float64)
    y = Convolution(true, x.shape[1:], boundary).A(x)
    y = y + NOISE * torch.randn(y.shape, generator=generator).to(dtype)
    start = kernels.gaussian(1.2, 5, dtype=torch.float64)
    return Problem(Convolution(start, x.shape[1:], boundary), y, NOISE), true


def solved(given: Problem, stopping: Stopping = STOPPING, **more: object) -> Solution:
    return reconstruct(
        given.y, given.A, energy_from(roughness), noise_level=NOISE, strength=1.0,
        solver="joint-descent", stopping=stopping, **more,  # type: ignore[arg-type]
    )  # fmt: skip


def broken(solution: Solution) -> list[str]:
    return [item.law for item in solution.certificate.observed if not item.passed]


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_the_energy_falls_and_the_kernel_is_one(boundary: Boundary) -> None:
    given, true = problem(boundary)
    solution = solved(given)
    laws = {item.law for item in solution.certificate.observed}
    assert solution.certificate.holds
    assert {H1, H2, LAW} <= laws
    assert all(fell[0] > 0 for fell in solution.history.falls)
    k = solution.found["kernel"]
    assert k.dtype == torch.float64
    assert float(k.min()) >= 0
    assert float(k.sum()) == pytest.approx(1, abs=1e-14)
    start = given.A.kernel
    assert isinstance(start, Tensor)
    assert float((k - true).norm()) < 0.95 * float((start - true).norm())


def test_it_converges_and_says_what_is_heuristic() -> None:
    solution = solved(problem(dtype=torch.float64)[0], Stopping(tol=1e-3, max_iter=60))
    verdict = solution.certificate.verdict
    assert solution.status.name == "CONVERGED"
    assert "start: heuristic" in verdict
    assert "end: critical point of the joint energy" in verdict
    assert "nothing says that k is the true kernel" in verdict


def test_a_kernel_is_shared_by_the_channels() -> None:
    solution = solved(problem("valid", channels=3)[0], Stopping(tol=1e-4, max_iter=3))
    assert solution.certificate.holds
    assert solution.found["kernel"].shape == (5, 5)
    assert solution.image.shape[1] == 3


def test_pixels_without_weight_do_not_count() -> None:
    given, _ = problem("valid")
    known = torch.ones_like(given.y)
    known[..., 3:6, 4:8] = 0
    spoiled = torch.where(known > 0, given.y, torch.ones_like(given.y))
    found = []
    for y in (given.y, spoiled):
        fidelity = WeightedLeastSquares(given.A, y, known / NOISE**2)
        data = replace(given, y=y)
        found.append(solved(data, fidelity=fidelity).found["kernel"])
    assert torch.allclose(*found, atol=1e-3)


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("weighted", [False, True])
def test_the_kernel_term_is_the_operator(boundary: Boundary, weighted: bool) -> None:
    """Residual and gradient against the operator itself and its dense matrix in k."""
    given, true = problem(boundary, channels=2, dtype=torch.float64)
    generator = torch.Generator().manual_seed(2)
    x = torch.rand(1, *given.A.image_shape, generator=generator, dtype=torch.float64)
    weights = torch.rand(given.y.shape, generator=generator).double() if weighted else None
    term = KernelTerm.of(x, given.y, weights, boundary, true)
    columns = []
    for tap in range(true.numel()):
        one = torch.zeros(true.numel(), dtype=torch.float64)
        one[tap] = 1.0
        A = Convolution(one.view(true.shape), x.shape[1:], boundary, method="direct")
        columns.append(A.A(x).flatten())
    matrix = torch.stack(columns, 1)
    residual = matrix @ true.flatten() - given.y.flatten()
    held = residual if weights is None else weights.flatten() * residual
    off = (matrix.T @ held).view(true.shape) - term.gradient(true)
    assert torch.allclose(term.residual(true).flatten(), residual, atol=1e-12)
    assert float(off.max() - off.min()) < 1e-10  # a constant is normal to the simplex
    rows = matrix if weights is None else weights.flatten().sqrt()[:, None] * matrix
    flat = torch.eye(true.numel(), dtype=torch.float64) - 1 / true.numel()
    attained = float(torch.linalg.matrix_norm(rows @ flat, 2)) ** 2
    assert attained <= term.lipschitz
    if boundary != "constant":  # there the brightness counts
        assert term.lipschitz < 20 * attained


def test_the_step_in_k_ends_at_the_minimiser() -> None:
    given, true = problem(dtype=torch.float64)
    x = torch.rand(1, *given.A.image_shape, generator=torch.Generator().manual_seed(3)).double()
    y = Convolution(true, x.shape[1:], "circular").A(x)
    start = kernels.gaussian(1.2, 5, dtype=torch.float64)
    found = minimised(KernelTerm.of(x, y, None, "circular", start), start, 200)
    assert torch.allclose(found, true, atol=1e-6)


# ---- twins ---------------------------------------------------------------------------------------


def test_a_wrong_gradient_in_the_kernel_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    right = KernelTerm.gradient
    monkeypatch.setattr(KernelTerm, "gradient", lambda self, k: 0.5 * right(self, k))
    solution = solved(problem()[0])
    assert LAW in broken(solution)
    assert solution.certificate.contradicted


def test_a_gradient_of_another_blur_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    right = KernelTerm.gradient
    monkeypatch.setattr(KernelTerm, "gradient", lambda self, k: right(self, k).flip(0))
    assert LAW in broken(solved(problem()[0]))


def test_a_step_too_large_is_not_taken_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """With ten times the proven step in k, and no check before it is taken, E rises."""
    monkeypatch.setattr(
        joint_solver,
        "minimised",
        lambda term, k, count: joint_solver.projected_step(term, k, 1000 / term.lipschitz),
    )
    monkeypatch.setattr(JointDescent, "_allowed", lambda *_: True)
    assert H1 in broken(solved(problem()[0]))


def test_where_the_candidate_fails_plain_steps_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joint_solver, "minimised", lambda _, k, __: k.flip(0).contiguous())
    solution = solved(problem()[0], Stopping(tol=1e-9, max_iter=3))
    assert solution.parameters["halvings"] > 0
    assert solution.certificate.holds
    assert all(fell[0] > 0 for fell in solution.history.falls)


def test_another_energy_is_caught() -> None:
    """What falls is not what the certificate is about: no step is one, and nothing is certified."""
    given, _ = problem()
    right = JointDescent.configure(given, energy_from(roughness), KNOBS)
    held = right.joint

    class Other(type(held)):  # type: ignore[misc]
        def facts(self, x: Tensor, k: Tensor) -> object:
            seen = super().facts(x, k)
            return replace(seen, energy=-seen.energy)

    wrong = Other(held.objective, held.kernel, held.unit)
    solution = iterate(JointDescent(wrong, right.alone), Stopping(tol=1e-9, max_iter=3))
    assert not solution.certificate.holds


# ---- refusals ------------------------------------------------------------------------------------


def test_what_it_cannot_take_is_refused_in_words() -> None:
    given, _ = problem()
    energy = energy_from(roughness)
    mask = torch.ones(given.A.image_shape[1:])
    with pytest.raises(InputError, match="take the solver descent"):
        reconstruct(given.y, Inpainting(mask, given.A.image_shape), energy, solver="joint-descent")
    signed = torch.tensor([[0.5, -0.1, 0.6]])
    A = Convolution(signed, given.A.image_shape)
    with pytest.raises(InputError, match="without negative weights"):
        reconstruct(given.y, A, energy, solver="joint-descent")
    with pytest.raises(InputError, match="one picture"):
        reconstruct(given.y.repeat(2, 1, 1, 1), given.A, energy, solver="joint-descent")
    with pytest.raises(InputError, match="least squares"):
        solved(given, ridge=0.01)


def test_a_strength_is_chosen_for_the_first_kernel() -> None:
    given, _ = problem()
    held = JointDescent.configure(given, energy_from(roughness), KNOBS)
    alone = Descent.configure(given, energy_from(roughness), KNOBS)
    assert held.trial().step_size == alone.trial().step_size


def test_a_strength_of_its_own_is_found_with_the_kernel_as_it_is() -> None:
    """Trials move the data of two pictures at once, which a joint descent does not take."""
    given, _ = problem()
    found = reconstruct(
        given.y, given.A, energy_from(roughness), noise_level=NOISE, strength="auto",
        solver="joint-descent", stopping=Stopping(tol=1e-3, max_iter=2),
    )  # fmt: skip
    assert found.strength is not None
    assert found.strength.trials
    assert found.found["kernel"].shape == given.A.kernel.shape  # type: ignore[union-attr]
    with pytest.raises(InputError, match="one picture"):
        JointDescent.configure(
            replace(given, y=given.y.repeat(2, 1, 1, 1)), energy_from(roughness), KNOBS
        )

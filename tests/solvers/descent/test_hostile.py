"""Energies, fidelities and runs of a caller who is wrong, or worse: none of them is certified."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from operators import Identity
from pnp_recon import Stopping, reconstruct
from pnp_recon.errors import InputError
from pnp_recon.fidelity import LeastSquares
from pnp_recon.priors.energies.base import LearnedEnergy, energy_from
from pnp_recon.problems.problem import Problem
from pnp_recon.solvers.core import loop
from pnp_recon.solvers.core.certificate import Certificate
from pnp_recon.solvers.core.loop import iterate
from pnp_recon.solvers.descent.differences import LAW, NOT_BELOW, UNCHANGED, difference
from pnp_recon.solvers.descent.solver import Descent
from pnp_recon.solvers.knobs import Knobs
from solvers.descent.test_runs import data, logcosh, operator, prior, run


def broken(certificate: Certificate) -> list[str]:
    return [item.law for item in certificate.observed if not item.passed]


def waves(x: Tensor) -> Tensor:
    return 1e-2 * (20 * x).sin().square().flatten(1).sum(1)


def test_a_gradient_of_zero_is_not_that_of_an_energy_that_varies() -> None:
    A = operator("circular")
    held = energy_from(waves, gradient=torch.zeros_like)
    found = run(held, A, data(A), stopping=Stopping(tol=1e3)).certificate
    assert LAW in broken(found)
    assert not broken(run(energy_from(waves), A, data(A)).certificate)


@pytest.mark.parametrize("level", [0.01, 0.1])
def test_kinks_of_a_slope_are_no_wrong_gradient(level: float) -> None:
    """Potentials of a ridge bend within the longest step; on a flat picture there is no slope."""
    A = operator("circular")
    pictures = data(A)
    pictures[0] = 0.5
    solver = Descent.configure(
        Problem(A, pictures, 0.01), prior("ridge"), Knobs(denoiser_level=level)
    )
    assert difference(solver.objective, pictures) < 2e-4


@dataclass(frozen=True)
class Steep(LeastSquares):
    """Its gradient is a tenth too long."""

    def loss_gradient(self, v: Tensor) -> Tensor:
        return 1.1 * super().loss_gradient(v)


def test_a_fidelity_with_a_wrong_gradient_is_caught() -> None:
    A = operator("circular")
    y = data(A)

    def found(fidelity: LeastSquares) -> Certificate:
        settings: dict[str, Any] = {"fidelity": fidelity, "noise_level": None}
        return run(prior("ridge"), A, y, stopping=Stopping(max_iter=2), **settings).certificate

    assert LAW in broken(found(Steep(A, y)))
    assert LAW not in broken(found(LeastSquares(A, y)))


@dataclass(frozen=True)
class Mine(LeastSquares):
    """What a caller wrote, right as it is."""


def test_a_fidelity_of_ones_own_is_to_be_definable() -> None:
    A = operator("circular")
    y = data(A)
    found = run(prior("ridge"), A, y, fidelity=Mine(A, y), noise_level=None).certificate
    assert any("is definable" in words for words in found.conditions)


def test_an_energy_that_changes_under_way_is_caught() -> None:
    A, weight = operator("circular"), torch.ones(())
    held = energy_from(lambda x: weight.to(x) * logcosh(x))
    found = run(held, A, data(A), callback=lambda look: weight.mul_(0.9)).certificate
    assert UNCHANGED in broken(found)
    weight.fill_(1)
    assert UNCHANGED not in broken(run(held, A, data(A)).certificate)


def test_an_energy_below_zero_is_caught() -> None:
    A = operator("circular")
    found = run(energy_from(lambda x: logcosh(x) - 30), A, data(A)).certificate
    assert NOT_BELOW in broken(found)
    assert found.contradicted


class Believed(LearnedEnergy):
    """Says of itself that it is of the package."""

    ours = True

    def in_double(self) -> LearnedEnergy:
        return Believed(self.network, self.name)


def test_a_subclass_is_not_believed_by_its_word() -> None:
    A = operator("circular")
    network = energy_from(logcosh).network
    assert run(Believed(network, "mine"), A, data(A)).certificate.conditions


def test_a_prior_with_a_method_of_its_own_is_not_ours() -> None:
    held = prior("ridge")
    assert held.ours
    held.in_double = lambda: energy_from(logcosh)  # type: ignore[method-assign]
    assert not held.ours


def test_an_energy_in_another_precision_has_no_guarantee() -> None:
    A = operator("circular")
    few = Stopping(max_iter=1)
    found = run(energy_from(lambda x: logcosh(x.float())), A, data(A), stopping=few).certificate
    assert not found.proven
    assert "gives torch.float32 of pictures in float64" in found.verdict
    rounded = energy_from(lambda x: logcosh(x.half().to(x)))
    found = run(rounded, A, data(A), stopping=few).certificate
    assert "rounding from torch.float64 to torch.float16" in found.verdict


def test_weights_that_are_not_converted_are_refused_with_the_remedy() -> None:
    kernel = torch.ones(1, 1, 3, 3)
    held = energy_from(lambda x: F.conv2d(x, kernel).square().flatten(1).sum(1))
    A = operator("circular")
    with pytest.raises(InputError, match=r"in float64.*make it a torch\.nn\.Module"):
        run(held, A, data(A))


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x: logcosh(x).sum(), r"shape \(\); expected one value for each of 2 pictures"),
        (lambda x: x.square(), r"shape \(2, 1, 16, 16\); expected one value"),
        (lambda x: logcosh(x.detach()), "cannot differentiate"),
        (lambda x: 0.0, "cannot differentiate"),
    ],
)
def test_what_is_no_energy_is_refused(function: Any, words: str) -> None:
    A = operator("circular")
    with pytest.raises(InputError, match=words):
        run(energy_from(function), A, data(A))


def test_a_gradient_of_another_shape_is_refused() -> None:
    A = operator("circular")
    held = energy_from(logcosh, gradient=lambda x: x[:1])
    with pytest.raises(InputError, match=r"shape of the pictures, \(2, 1, 16, 16\)"):
        run(held, A, data(A))


class Colour(nn.Module):
    """Takes pictures of three channels and of one size."""

    def __init__(self) -> None:
        super().__init__()
        self.filters = nn.Conv2d(3, 2, 3)
        self.weight = nn.Parameter(torch.ones(22, 18))

    def forward(self, x: Tensor) -> Tensor:
        return (self.weight * F.softplus(self.filters(x))).flatten(1).sum(1)


def test_operations_are_looked_at_on_pictures_of_the_run() -> None:
    torch.manual_seed(0)
    y = torch.rand(1, 3, 24, 20)
    held = energy_from(Colour().requires_grad_(False))
    solution = reconstruct(y, Identity((3, 24, 20)), held, noise_level=0.05, strength=1.0)
    assert solution.certificate.holds


def standing(tol: float, monkeypatch: pytest.MonkeyPatch, first: int) -> tuple[str, Certificate]:
    """Two pictures, of which the first is done and finds no step from iteration `first` on."""
    step = Descent.step

    def stopping(self: Descent, state: Any, iteration: int) -> Any:
        found = step(self, state, iteration)
        if iteration < first:
            return found
        stay = torch.tensor([True, False])
        z = torch.where(stay.view(-1, 1, 1, 1), state.z, found.state.z)
        rows = found.descent.clone()
        rows[3, 0] = 0
        state = type(found.state)(z, None, None, 0, stay)
        return type(found)(state, found.error, found.residual * ~stay, descent=rows)

    monkeypatch.setattr(Descent, "step", stopping)
    A = operator("circular")
    solver = Descent.configure(Problem(A, data(A), 0.05), prior("ridge"), Knobs())
    solution = iterate(solver, Stopping(tol=tol, max_iter=12))
    return solution.status.name, solution.certificate


def test_a_picture_that_never_moved_is_not_certified(monkeypatch: pytest.MonkeyPatch) -> None:
    status, found = standing(1e3, monkeypatch, 0)
    assert status == "CONVERGED"
    assert not found.holds
    assert "no step was found" in found.verdict


def test_a_picture_that_is_done_lets_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    status, found = standing(1e-5, monkeypatch, 1)
    assert status == "CONVERGED"
    assert "no step was found" not in found.verdict


def test_steps_that_the_clock_cut_short_are_no_stagnation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "expired", lambda: True)
    status, found = standing(1e-5, monkeypatch, 0)
    assert status == "TIME_LIMIT"
    assert not found.holds

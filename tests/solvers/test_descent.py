"""Descent on an energy: what is certified is a critical point, and what is none is caught."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from operators import Convolution, Inpainting, kernels
from pnp_recon import Stopping, reconstruct
from pnp_recon.fidelity import LeastSquares
from pnp_recon.networks.configs import GradientStepConfig, RidgeConfig
from pnp_recon.networks.energies.gradient_step import GradientStepNet
from pnp_recon.networks.energies.ridge import RidgeNet
from pnp_recon.priors.energies.base import LearnedEnergy, energy_from
from pnp_recon.solvers.core.laws import H1, H2
from pnp_recon.solvers.core.observing import observe
from pnp_recon.solvers.core.solution import History, Solution
from pnp_recon.solvers.core.theorem import CriticalPoint
from pnp_recon.solvers.descent.candidates import advance
from pnp_recon.solvers.descent.differences import LAW
from pnp_recon.solvers.descent.objective import Objective
from pnp_recon.solvers.descent.solver import Descent

NOISE = 0.03
STOPPING = Stopping(tol=1e-4, max_iter=20)


def tiny(dtype: torch.dtype = torch.float32) -> LearnedEnergy:
    torch.manual_seed(0)
    config = GradientStepConfig(
        channels=1, widths=(4, 6), down=(1, 1), up=(1,), embedding=4, sigma_ref=0.1, power=0.5
    )
    network = GradientStepNet(config).to(dtype)
    return LearnedEnergy(network, "tiny", channels=1, sigma_range=(0.002, 0.2))


def roughness(x: Tensor) -> Tensor:
    """A smooth energy of differences: log cosh, as a sum of softplus."""
    found = x.new_zeros(len(x))
    for dim in (-1, -2):
        d = 20 * x.diff(dim=dim)
        found = found + (F.softplus(2 * d) - d - math.log(2)).flatten(1).sum(1) / 100
    return found


def problem(
    dtype: torch.dtype = torch.float32, pictures: int = 1
) -> tuple[Convolution, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(pictures, 1, 5, 6, generator=generator).repeat_interleave(4, 2)
    x = x.repeat_interleave(4, 3).to(dtype)
    A = Convolution(kernels.gaussian(1.0), x.shape[1:], boundary="circular")
    noise = torch.randn(x.shape, generator=generator).to(dtype)
    return A, A.A(x) + NOISE * noise, x


def run(energy: LearnedEnergy, stopping: Stopping = STOPPING, pictures: int = 1) -> Solution:
    A, y, _ = problem(pictures=pictures)
    return reconstruct(y, A, energy, noise_level=NOISE, strength=1.0, stopping=stopping)


@pytest.mark.parametrize("make", [tiny, lambda: energy_from(roughness)])
def test_a_run_ends_at_a_critical_point(make: Callable[[], LearnedEnergy]) -> None:
    solution = run(make())
    assert solution.status.name == "CONVERGED"
    assert "critical point" in solution.certificate.verdict
    assert solution.certificate.holds
    history = solution.history
    assert all(fell[0] > 0 for fell in history.falls)
    assert history.relative(-1)[0] <= STOPPING.tol
    assert history.gradients[-1][0] < 0.01


def test_what_a_caller_says_of_an_energy_is_a_condition() -> None:
    mine = run(energy_from(roughness, "mine")).certificate
    assert mine.verdict.startswith("certified if R_σ of mine is definable")
    assert "and R_σ of mine is not negative" in mine.verdict
    assert run(tiny()).certificate.verdict.startswith("certified: ")


def test_pictures_of_a_batch_are_by_themselves() -> None:
    A, y, _ = problem(pictures=2)
    tight = Stopping(tol=1e-6, max_iter=40)

    def solved(data: Tensor) -> Tensor:
        return reconstruct(data, A, tiny(), noise_level=NOISE, strength=1.0, stopping=tight).image

    together = solved(y)
    apart = torch.cat([solved(y[:1]), solved(y[1:])])
    assert (together - apart).abs().max() < 1e-3


def test_other_data_in_double_precision() -> None:
    _, _, x = problem(torch.float64)
    mask = (torch.rand(x.shape[-2:], generator=torch.Generator().manual_seed(2)) < 0.6).double()
    A = Inpainting(mask, x.shape[1:])
    solution = reconstruct(
        A.A(x), A, tiny(torch.float64), noise_level=0.01, strength=1.0, stopping=STOPPING
    )
    assert solution.certificate.holds


# ---- twins ---------------------------------------------------------------------------------------


def halved(x: Tensor) -> Tensor:
    return 0.5 * autograd_of(x)


def holed(x: Tensor) -> Tensor:
    found = autograd_of(x)
    return torch.cat([torch.zeros_like(found[..., :3]), found[..., 3:]], -1)


def autograd_of(x: Tensor) -> Tensor:
    with torch.inference_mode(False), torch.enable_grad():
        leaf = x.clone().requires_grad_()
        (found,) = torch.autograd.grad(roughness(leaf).sum(), leaf)
    return found


@pytest.mark.parametrize("wrong", [halved, holed])
def test_a_wrong_gradient_is_caught(wrong: Callable[[Tensor], Tensor]) -> None:
    certificate = run(energy_from(roughness, gradient=wrong)).certificate
    broken = [item.law for item in certificate.observed if not item.passed]
    assert certificate.contradicted
    assert LAW in broken


@pytest.mark.parametrize(
    ("function", "word"),
    [
        (lambda x: F.relu(x.diff(dim=-1)).flatten(1).sum(1), "relu"),
        (lambda x: x.diff(dim=-1).abs().flatten(1).sum(1), "abs"),
        (lambda x: x.clamp(min=0.2).flatten(1).sum(1), "clamp"),
        (lambda x: x.diff(dim=-1).square().sqrt().flatten(1).sum(1), "sqrt"),
        (lambda x: F.elu(x.diff(dim=-1), alpha=2.0).square().flatten(1).sum(1), "elu"),
    ],
)
def test_rough_operations_are_refused(function: Callable[[Tensor], Tensor], word: str) -> None:
    certificate = run(energy_from(function)).certificate
    assert not certificate.proven
    assert word in certificate.verdict


@pytest.mark.parametrize("smooth", [F.silu, F.softplus, F.elu, torch.tanh, torch.sigmoid])
def test_smooth_operations_are_not(smooth: Callable[[Tensor], Tensor]) -> None:
    energy = energy_from(lambda x: smooth(x.diff(dim=-1)).square().flatten(1).sum(1))
    assert energy.rough(0.1) == ()


def test_weights_that_change_under_way_are_noticed() -> None:
    energy = tiny()

    def spoil(_: object) -> None:
        with torch.no_grad():
            next(energy.network.parameters()).mul_(1.01)

    A, y, _ = problem()
    solution = reconstruct(
        y, A, energy, noise_level=NOISE, strength=1.0, stopping=STOPPING, callback=spoil
    )
    assert not solution.certificate.holds


def test_a_search_that_climbs_never_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a candidate is, the points of the run descend."""

    def climb(objective: Objective, search: object, count: int) -> object:
        found = advance(objective, search, 1)  # type: ignore[arg-type]
        return replace(found, x=found.x + 0.1)

    monkeypatch.setattr("pnp_recon.solvers.descent.solver.advance", climb)
    solution = run(tiny(), Stopping(tol=1e-4, max_iter=4))
    assert solution.parameters["halvings"] >= 1
    assert all(fell[0] > 0 for fell in solution.history.falls)
    assert solution.certificate.holds


def test_a_run_that_cannot_go_on_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """An energy that no step makes smaller: the point stays, and nothing has converged."""
    monkeypatch.setattr(Descent, "_allowed", lambda self, z, *_: z.new_zeros(len(z)).bool())
    solution = run(tiny())
    assert solution.status.name == "STAGNATED"
    assert not solution.status.succeeded
    assert not solution.certificate.holds
    assert "no step was found" in solution.certificate.verdict


def test_a_gradient_that_is_wrong_at_a_border_of_a_large_picture_is_caught() -> None:
    x = torch.rand(1, 1, 80, 84, generator=torch.Generator().manual_seed(4))
    A = Convolution(kernels.gaussian(1.0), x.shape[1:], boundary="circular")

    def wrong(picture: Tensor) -> Tensor:
        found = autograd_of(picture)
        return torch.cat([0.5 * found[..., :2], found[..., 2:]], -1)

    energy = energy_from(roughness, gradient=wrong)
    found = reconstruct(
        A.A(x), A, energy, noise_level=NOISE, strength=1.0, stopping=Stopping(max_iter=2)
    )
    assert LAW in [item.law for item in found.certificate.observed if not item.passed]


def test_coarse_inner_layers_are_searched_with_and_not_checked_with() -> None:
    energy = tiny()
    energy.network.compute_dtype = torch.bfloat16
    assert energy.in_double().network.compute_dtype is None
    assert energy.network.compute_dtype is torch.bfloat16  # the caller's stays


@pytest.mark.parametrize("spoil", ["function", "knots"])
def test_a_ridge_energy_that_was_tampered_with_proves_nothing(spoil: str) -> None:
    network = RidgeNet(RidgeConfig(1, (2, 2, 2), size=3, group=1)).requires_grad_(False)
    energy = LearnedEnergy(network, "ridge", channels=1)
    assert energy.ours
    if spoil == "function":
        network.potential = lambda r, a, k, tau: r
    else:
        network.knots[0] = -1.0
    assert not energy.ours


def test_a_ridge_goes_with_an_energy() -> None:
    A, y, _ = problem()
    found = reconstruct(
        y, A, tiny(), noise_level=NOISE, strength=1.0, ridge=0.01, stopping=STOPPING
    )
    assert found.certificate.holds


def test_a_fidelity_without_a_lower_bound_has_no_theorem() -> None:
    class Unbounded(LeastSquares):
        least = -math.inf

    A, y, _ = problem()
    found = reconstruct(
        y, A, tiny(), fidelity=Unbounded(A, y), strength=1.0, stopping=Stopping(max_iter=1)
    )
    assert not found.certificate.proven
    assert "no lower bound" in found.certificate.verdict


# ---- the laws ------------------------------------------------------------------------------------

LAWS = CriticalPoint("", None, fall=0.1, slope=10.0).laws()  # type: ignore[arg-type]
ENERGIES, MOVES, GRADIENTS = (5.0, 4.0, 3.5), (2.0, 1.0, 0.5), (3.0, 2.0, 1.0)


def observed(
    energies: tuple[float, ...] = ENERGIES,
    falls: tuple[float, ...] = (1.0, 1.0, 0.5),
    gradients: tuple[float, ...] = GRADIENTS,
    moves: tuple[float, ...] = MOVES,
) -> dict[str, bool]:
    def rows(values: tuple[float, ...]) -> list[list[float]]:
        return [[value] for value in values]

    history = History(
        residuals=rows(gradients), norms=rows((1.0,) * 3), errors=rows((0.0,) * 3),
        energies=rows(energies), falls=rows(falls), gradients=rows(gradients), moves=rows(moves),
    )  # fmt: skip
    return {item.law: item.passed for item in observe(history, LAWS, None)}


def test_laws_hold_of_a_descent() -> None:
    assert observed() == {H1: True, H2: True}


@pytest.mark.parametrize(
    "twin",
    [
        {"energies": (5.0, 5.5, 3.5), "falls": (1.0, -0.5, 2.0)},  # it rose
        {"energies": (5.0, 4.95, 3.5)},  # what it fell by is not what it is
        {"moves": (2.0, 4.0, 0.5)},  # it moved further than it fell
        {"falls": (1.0, math.nan, 0.5)},
    ],
)
def test_h1_is_broken(twin: dict[str, tuple[float, ...]]) -> None:
    assert observed(**twin)[H1] is False


def test_h2_is_broken() -> None:
    assert observed(gradients=(3.0, 20.0, 1.0)) == {H1: True, H2: False}


# ---- the picture of a split energy ---------------------------------------------------------------


def test_the_picture_is_critical_for_the_energy_of_its_proximal_point() -> None:
    A, y, _ = problem(torch.float64)
    energy = tiny(torch.float64)
    solution = reconstruct(
        y, A, energy, noise_level=NOISE, strength=1.0, stopping=Stopping(tol=1e-8, max_iter=60)
    )
    x, weight = solution.image, solution.parameters["lambda"]
    level = solution.parameters["denoiser_level"]
    z = A.prox_l2(x, y, 1 / weight)

    @torch.no_grad()
    def value(picture: Tensor) -> float:
        point = A.prox_l2(picture, y, 1 / weight)
        outside = point - point.clamp(0, 1)
        misfit = 0.5 * (A.A(point) - y).square().sum() + 0.5 * weight * outside.square().sum()
        return float(misfit + weight * energy.value(point, level).sum())

    d = torch.randn(x.shape, generator=torch.Generator().manual_seed(3), dtype=x.dtype)
    h = 1e-5
    slope = (value(x + h * d) - value(x - h * d)) / (2 * h)
    other = (value(z + h * d) - value(z - h * d)) / (2 * h)
    assert abs(slope) < 1e-5
    assert abs(other) > 1e-3  # the point itself is not
    # A fixed point of half-quadratic splitting.
    with torch.no_grad():
        again = z - energy.gradient(z, level) - (z - z.clamp(0, 1))
    assert (again - x).abs().max() < 1e-6

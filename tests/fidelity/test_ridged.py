"""A ridge added to a fidelity: value, gradient, proximal map and moduli are those of the sum."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from laws.fidelity import CASES, F64, SIZE, STEPS, Case, attained_smoothness, blur, data
from laws.networks import picture, random_tensor
from operators import Convolution, Identity, to_matrix
from operators.conjugate_gradient import image_norms
from pnp_recon.errors import InputError
from pnp_recon.fidelity import Fidelity, LeastSquares, Ridged, WeightedLeastSquares
from pnp_recon.proximal import TotalVariation
from pnp_recon.solvers import PDHG
from pnp_recon.solvers.choice import automatic_name, variational_solver

SMOOTH = [case for case in CASES if case.smooth]
smooth_case = pytest.mark.parametrize("case", SMOOTH, ids=lambda case: case.label)
WEIGHT = 0.3


def centre() -> Tensor:
    return picture(3, *SIZE, seed=11)


class Known(Identity):
    """The identity with the lower bound that it has."""

    gram_lower_bound = 1.0


# ---- the modulus of a fidelity -------------------------------------------------------------------


def test_a_modulus_is_that_of_the_loss_times_that_of_the_operator() -> None:
    y = data()
    assert LeastSquares(Known(SIZE), y).strong_convexity == pytest.approx(1.0, abs=1e-12)
    assert LeastSquares(Known(SIZE), y).strong_convexity <= 1.0
    weighted = WeightedLeastSquares(Known(SIZE), y, 0.5 + data())
    assert weighted.strong_convexity == pytest.approx(float((0.5 + data()).min()))
    assert Known(SIZE).gram_lower_bound == 1.0


def test_the_modulus_of_a_known_operator_is_no_larger_than_its_least_eigenvalue() -> None:
    A = blur("circular")
    least = float(torch.linalg.svdvals(to_matrix(A))[-1]) ** 2
    assert LeastSquares(A, data()).strong_convexity <= least * (1 + 1e-9)


# ---- the sum -------------------------------------------------------------------------------------


@smooth_case
@pytest.mark.parametrize("whole", [False, True])
def test_value_and_gradient_are_those_of_the_sum(case: Case, whole: bool) -> None:
    center = centre() if whole else 0.4
    plain = case.build()
    ridged = Ridged(plain, WEIGHT, center)
    x = picture(3, *SIZE, seed=2).requires_grad_()
    sum_ = plain.value(x) + 0.5 * WEIGHT * (x - center).square().flatten(1).sum(1)
    torch.testing.assert_close(ridged.value(x), sum_)
    (expected,) = torch.autograd.grad(sum_.sum(), x)
    torch.testing.assert_close(ridged.gradient(x.detach()), expected)


def below_others(f: Fidelity, z: Tensor, x: Tensor, gamma: float) -> float:
    """How far γf + ½‖· − z‖² at x lies above its values around, at worst."""

    def objective(u: Tensor) -> Tensor:
        return gamma * f.value(u) + 0.5 * (u - z).square().flatten(1).sum(1)

    worst = -math.inf
    for seed in range(6):
        step = random_tensor(3, *SIZE, seed=seed)
        for size in (1e-4, 1e-2, 1.0):
            moved = x + size * step
            curved = 0.5 * (size * step).square().flatten(1).sum(1)
            worst = max(worst, float((objective(x) + curved - objective(moved)).max()))
    return worst


@smooth_case
@pytest.mark.parametrize("gamma", STEPS)
def test_the_proximal_map_is_that_of_the_sum_within_its_bound(case: Case, gamma: float) -> None:
    z = 2 * random_tensor(3, *SIZE, seed=4)
    ridged = Ridged(case.build(), WEIGHT, centre())
    exact, least = ridged.prox(z, gamma, tol=1e-12)
    assert below_others(ridged, z, exact, gamma) <= 1e-9
    # 1-strongly convex: the gradient of its objective bounds the error.
    slope = exact - z + gamma * ridged.gradient(exact)
    assert bool((image_norms(slope) <= 1e-9 * (1 + gamma)).all())
    rough, error = ridged.prox(z, gamma, tol=1e-2)
    assert bool((image_norms(rough - exact) <= error + least + 1e-12).all())
    # The twin: the formula with γ instead of γ/(1 + γ·weight) is seen.
    wrong = ridged.fidelity.prox((z + gamma * WEIGHT * centre()) / (1 + gamma * WEIGHT), gamma)[0]
    assert below_others(ridged, z, wrong, gamma) > 1e-6


@smooth_case
def test_the_moduli_bound_what_is_attained(case: Case) -> None:
    ridged = Ridged(case.build(), WEIGHT)
    attained = attained_smoothness(ridged)
    assert attained <= ridged.lipschitz * (1 + 1e-6)
    assert ridged.strong_convexity >= WEIGHT * (1 - 1e-12)
    assert ridged.exact_prox == ridged.fidelity.exact_prox
    worst = math.inf
    for seed in range(5):
        d = random_tensor(3, *SIZE, seed=seed)
        x = picture(3, *SIZE, seed=seed)
        turn = (ridged.gradient(x + d) - ridged.gradient(x)) * d
        worst = min(worst, float((turn.flatten(1).sum(1) / d.square().flatten(1).sum(1)).min()))
    assert worst >= ridged.strong_convexity * (1 - 1e-9)


def test_a_center_in_float64_does_not_widen_the_picture() -> None:
    A = Convolution(torch.ones(1, 1), SIZE, "circular")
    x = picture(1, *SIZE).float()
    ridged = Ridged(LeastSquares(A, x), WEIGHT, torch.full(SIZE, 0.5, dtype=F64))
    assert ridged.prox(x, 1.0)[0].dtype == torch.float32
    assert ridged.gradient(x).dtype == torch.float32


# ---- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize("weight", [0.0, -1.0, math.nan, math.inf])
def test_a_weight_is_a_positive_number(weight: float) -> None:
    with pytest.raises(InputError, match="weight of the ridge is"):
        Ridged(CASES[0].build(), weight)


@pytest.mark.parametrize("shape", [(2, 2), (4, *SIZE), (1, 1, *SIZE, 1)])
def test_a_center_fits_the_pictures(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="centre of the ridge has shape"):
        Ridged(CASES[0].build(), 1.0, torch.zeros(shape))
    with pytest.raises(InputError, match="not finite"):
        Ridged(CASES[0].build(), 1.0, math.nan)


def test_duality_is_refused_in_words_and_not_chosen() -> None:
    ridged = Ridged(CASES[0].build(), 0.1, 0.5)
    with pytest.raises(
        InputError, match=r"take drs, or leave the ridge out and add proximal\.Ridge"
    ):
        variational_solver("pdhg", ridged, TotalVariation(0.1, box=(0.0, 1.0)), ridged.y)
    for call in (ridged.loss, ridged.loss_gradient, lambda v: ridged.loss_prox(v, 1.0)):
        with pytest.raises(InputError, match="pdhg takes the fidelity by a loss"):
            call(ridged.y)
    assert automatic_name(ridged, TotalVariation(0.1)) == "drs"
    found = variational_solver("auto", ridged, TotalVariation(0.1), ridged.y)
    assert not isinstance(found, PDHG)

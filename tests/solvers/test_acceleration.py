"""Accelerations: same fixed points, their rates attained, false certificates caught."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from laws.networks import picture, random_tensor
from laws.solvers import (
    FOREVER,
    PLUG_AND_PLAY,
    SIZE,
    TINY,
    averaged_map,
    blur,
    declared,
    invertible_kernel,
    make,
    measurements,
)
from laws.solvers import random_kernel as kernel
from pnp_recon import guarantees
from pnp_recon.errors import InputError, StepSizeError
from pnp_recon.problems.problem import Problem
from pnp_recon.solvers import (
    ACCELERATIONS,
    Anderson,
    FixedPoint,
    Halpern,
    KrasnoselskiiMann,
    Solution,
    Solver,
    Status,
    Stopping,
    iterate,
)
from pnp_recon.solvers.acceleration.momentum import PnPFISTA
from pnp_recon.solvers.acceleration.safeguard import STEP_LAW
from pnp_recon.solvers.core.laws import picard_rate
from pnp_recon.solvers.knobs import Knobs
from pnp_recon.solvers.pnp.iterations import PnPPGD

COMBINATIONS = [(label, name) for label in ACCELERATIONS for name in PLUG_AND_PLAY]
# The inner solve is iterative at a reflecting border.
PROBLEMS = [(*both, "circular") for both in COMBINATIONS] + [
    (label, "pnp-drs", "reflect") for label in ACCELERATIONS
]


def run(solver: Solver, iterations: int = 15) -> Solution:
    return iterate(solver, Stopping(FOREVER, iterations))


def plug(name: str, boundary: str = "circular", **options: object) -> Solver:
    A = blur(kernel(0), boundary)  # type: ignore[arg-type]
    denoiser = options.pop("denoiser", TINY)
    return make(name, A, measurements(A), denoiser, **options)  # type: ignore[arg-type]


def rotation(angle: float) -> Tensor:
    c, s = math.cos(angle), math.sin(angle)
    return torch.tensor([[c, -s], [s, c]], dtype=torch.float64)


# ---- certificates ------------------------------------------------------------------------------


@pytest.mark.parametrize(("label", "name", "boundary"), PROBLEMS)
def test_laws_hold_around_every_plug_and_play_solver(label: str, name: str, boundary: str) -> None:
    solver = ACCELERATIONS[label].load()(plug(name, boundary))
    solution = run(solver)
    certificate = solution.certificate
    assert certificate.holds, certificate.verdict
    assert any(item.law.startswith(STEP_LAW) for item in certificate.observed)
    assert max(map(max, solution.history.ratios)) > 0.1
    assert solution.solver == f"{name}+{label}"
    assert solution.history.residuals[-1][0] < 0.3 * solution.history.residuals[0][0]
    assert float(solution.image.min()) >= 0
    assert float(solution.image.max()) <= 1
    inexact = name != "pnp-pgd" and boundary != "circular"
    assert (max(map(max, solution.history.errors)) > 1e-12) == inexact  # above rounding
    assert any("inner solves" in remark for remark in certificate.remarks) == inexact


@pytest.mark.parametrize(("label", "name"), COMBINATIONS)
def test_false_lipschitz_constant_is_contradicted(label: str, name: str) -> None:
    A = blur(invertible_kernel())
    grey = torch.full((1, *SIZE), 0.5, dtype=torch.float64)
    start = grey + 1e-6 * random_tensor(1, *SIZE)
    steep = declared(lambda x: 0.5 + 9 * (x - 0.5))
    solver = make(name, A, A.A(grey), steep, start=start)
    certificate = run(ACCELERATIONS[label].load()(solver)).certificate
    assert certificate.proven
    assert certificate.contradicted
    broken = [item.law for item in certificate.observed if not item.passed]
    assert any(law.startswith(STEP_LAW) for law in broken)


@pytest.mark.parametrize("label", ACCELERATIONS)
def test_false_averagedness_is_contradicted(label: str) -> None:
    start, held = random_tensor(1, 6), guarantees.firm("declared in a test")
    turned = FixedPoint(lambda z: z.flip(-1), held, start)  # a reflection: 1-Lipschitz only
    certificate = run(ACCELERATIONS[label].load()(turned), 5).certificate
    assert certificate.proven
    assert certificate.contradicted


@pytest.mark.parametrize("label", ACCELERATIONS)
def test_no_guarantee_is_passed_on(label: str) -> None:
    solution = run(
        ACCELERATIONS[label].load()(plug("pnp-hqs", denoiser=declared(lambda x: x, None)))
    )
    assert not solution.certificate.proven
    assert solution.certificate.verdict.startswith("no guarantee: denoiser test declares no")
    assert not solution.certificate.observed
    assert not solution.history.ratios


def test_nonexpansive_maps_are_for_those_whose_theorem_asks_no_more() -> None:
    turn = rotation(2.0)
    held = guarantees.lipschitz(1.0, "a rotation")
    inner = FixedPoint(lambda z: z @ turn.T, held, torch.ones(1, 2).double(), math.sqrt(2))
    assert not inner.theorem().holds
    relaxed = iterate(KrasnoselskiiMann(inner, 0.5), Stopping(1e-8, 500))
    assert relaxed.certificate.holds
    assert relaxed.status is Status.CONVERGED
    anchored = run(Halpern(inner), 100)
    assert anchored.certificate.holds
    assert len(anchored.certificate.observed) == 2
    accelerated = run(Anderson(inner), 5)
    assert not accelerated.certificate.proven
    assert "only 1-Lipschitz" in accelerated.certificate.verdict
    with pytest.raises(StepSizeError, match=r"\(0, 1/α\) = \(0, 1\)"):
        KrasnoselskiiMann(inner, 1.0).theorem()


@pytest.mark.parametrize("weight", [0.0, -1.0, math.nan, 2.0])
def test_relaxation_outside_its_range_is_refused(weight: float) -> None:
    with pytest.raises(StepSizeError, match="take"):
        KrasnoselskiiMann(averaged_map(), weight).theorem()


def test_what_is_no_iteration_of_one_map_is_not_wrapped() -> None:
    with pytest.raises(InputError, match=r"halpern accelerates an iteration .* acceleration none"):
        Halpern(Anderson(averaged_map())).theorem()
    nested = KrasnoselskiiMann(KrasnoselskiiMann(averaged_map(), 1.2), 0.5)
    assert run(nested).certificate.holds
    with pytest.raises(InputError, match="memory"):
        Anderson(averaged_map(), memory=0)
    with pytest.raises(InputError, match="factor"):
        Anderson(averaged_map(), factor=math.nan)


# ---- the same fixed point ----------------------------------------------------------------------


@pytest.mark.parametrize(("label", "name", "boundary"), PROBLEMS)
def test_a_unique_fixed_point_is_found(label: str, name: str, boundary: str) -> None:
    # See test_strongly_convex_problems_have_one_fixed_point.
    A = blur(invertible_kernel(), boundary)  # type: ignore[arg-type]
    y = measurements(A)
    # Halpern's rate is 1/k even where T contracts; inner tolerances fall like 1/k².
    tol, distance = (1e-9, 1e-6) if boundary == "circular" else (1e-6, 1e-4)
    plain = iterate(make(name, A, y, TINY), Stopping(tol, 500, check_every=1))
    if label == "halpern":
        tol, distance = 1e-2, 5e-2
    found = iterate(
        ACCELERATIONS[label].load()(make(name, A, y, TINY)), Stopping(tol, 500, check_every=1)
    )
    assert found.status is plain.status is Status.CONVERGED
    assert found.certificate.holds
    torch.testing.assert_close(found.image, plain.image, rtol=0, atol=distance)
    if label == "anderson":
        assert found.iterations <= plain.iterations


@pytest.mark.parametrize("label", ACCELERATIONS)
def test_batch_equals_single_runs(label: str) -> None:
    A = blur(kernel(1))
    y, start = measurements(A, batch=3), picture(3, *SIZE, seed=5)
    start[0] = 0.5
    together = run(ACCELERATIONS[label].load()(make("pnp-hqs", A, y, TINY, start=start)), 10)
    for i in range(3):
        alone = ACCELERATIONS[label].load()(
            make("pnp-hqs", A, y[i : i + 1], TINY, start=start[i : i + 1])
        )
        single = run(alone, 10)
        torch.testing.assert_close(together.image[i : i + 1], single.image, rtol=0, atol=1e-7)
        column = [row[i] for row in together.history.residuals]
        assert column == pytest.approx([row[0] for row in single.history.residuals], abs=1e-7)


@pytest.mark.parametrize("label", ["halpern", "anderson"])
def test_the_picture_has_the_residual_that_was_measured(label: str) -> None:
    inner = averaged_map()
    solution = run(ACCELERATIONS[label].load()(inner), 4)
    moved = float((inner.function(solution.image) - solution.image).norm())
    assert moved <= solution.history.residuals[-1][0] * (1 + 1e-12)


# ---- rates, attained ---------------------------------------------------------------------------


@pytest.mark.parametrize("mu", [0.5, 0.6, 0.9, 0.99])
@pytest.mark.parametrize("k", [0, 1, 7, 40])
def test_rate_of_averaged_maps_is_attained_by_a_rotation(mu: float, k: int) -> None:
    # |1−e^{iθ}|² = 4s and |1−μ+μe^{iθ}|² = 1−4μ(1−μ)s: the worst s of [0, 1] after k steps.
    s = min(1 / ((k + 1) * 4 * mu * (1 - mu)), 1.0)
    R = rotation(2 * math.asin(math.sqrt(s)))
    z = torch.tensor([1.0, 0.0], dtype=torch.float64)
    for _ in range(k):
        z = (1 - mu) * z + mu * R @ z
    residual = mu * float((R @ z - z).norm())
    assert residual == pytest.approx(picard_rate(mu, k), rel=1e-9)
    assert residual <= math.sqrt(mu / (1 - mu) / (k + 1)) * (1 + 1e-12) or k == 0


@pytest.mark.parametrize("mu", [0.01, 0.1, 0.3, 0.45])
def test_rate_below_one_half_holds_for_rotations_and_shifts(mu: float) -> None:
    for k in (0, 1, 3, 10, 100):
        attained = [
            mu * math.sqrt(4 * s) * (1 - 4 * mu * (1 - mu) * s) ** (k / 2)
            for s in torch.linspace(0, 1, 101).tolist()
        ]
        attained.append(2 * mu / (1 + 2 * mu * k))  # a shift until just before the fixed point
        assert max(attained) <= picard_rate(mu, k) * (1 + 1e-12)


@pytest.mark.parametrize("last", [1, 5, 30])
@pytest.mark.parametrize("alpha", [1.0, 0.5, 0.8])
def test_rate_of_halpern_is_attained_by_a_shift(alpha: float, last: int) -> None:
    shift = 2 / (last + 1)
    inner = FixedPoint(
        lambda z: z - alpha * torch.where(z >= shift / 2, shift + 0 * z, 2 * z),
        guarantees.averaged(alpha, "R shifts, then reflects at zero"),
        torch.ones(1, 1).double(),
        distance=1.0,
    )
    solution = run(Halpern(inner), last + 1)
    assert solution.certificate.holds
    assert solution.history.residuals[last][0] == pytest.approx(2 * alpha / (last + 1), rel=1e-12)
    assert solution.history.bounds[last][0] == pytest.approx(2 * alpha / (last + 1), rel=1e-12)


def test_halpern_ends_at_the_fixed_point_nearest_to_the_start() -> None:
    project = torch.tensor([[1.0, 0.0], [0.0, 0.5]], dtype=torch.float64)  # fixed: first axis
    held = guarantees.firm("symmetric with eigenvalues 1/2 and 1")
    start = torch.tensor([[0.3, 1.0]], dtype=torch.float64)
    solution = run(Halpern(FixedPoint(lambda z: z @ project, held, start, 1.0)), 300)
    assert solution.certificate.holds
    torch.testing.assert_close(solution.image, start * torch.tensor([1.0, 0.0]), rtol=0, atol=1e-2)


def test_single_precision_reaches_its_floor_without_breaking_laws() -> None:
    A = blur(invertible_kernel()).float()
    y, start = measurements(blur(invertible_kernel())).float(), picture(1, *SIZE, seed=5).float()
    smooth = declared(lambda x: 0.5 * x + 0.25, alpha=0.5)
    for label in ACCELERATIONS:
        solver = ACCELERATIONS[label].load()(make("pnp-hqs", A, y, smooth, start=start))
        assert run(solver, 60).certificate.holds


def test_momentum_takes_steps_that_suit_it() -> None:
    """Twin: PnP-PGD's own step is longer than 1/L, with which momentum swings."""
    A = blur(kernel(0))
    posed = Problem(A, measurements(A), 0.02)
    momentum = PnPFISTA.configure(posed, TINY, Knobs()).inner.step_size
    plain = PnPPGD.configure(posed, TINY, Knobs()).step_size
    assert momentum * posed.data_term.lipschitz < 1 < plain * posed.data_term.lipschitz

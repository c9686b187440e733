"""Every registered functional keeps the laws of proximal maps; broken twins show they can fail."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from laws.networks import random_tensor
from laws.proximal import (
    CASES,
    STEPS,
    TOLERANCE,
    Broken,
    Case,
    bound_defect,
    brute_force,
    fenchel_defect,
    firmness_defect,
    improvement,
    inputs,
    moreau_defect,
    patient,
)
from pnp_recon.errors import InputError
from pnp_recon.proximal import (
    L1,
    REGULARISERS,
    Box,
    Composite,
    ElasticNet,
    L2Ball,
    Regulariser,
    Ridge,
    TotalVariation,
    WaveletL1,
)

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.label)
exact_case = pytest.mark.parametrize(
    "case", [case for case in CASES if case.build().exact], ids=lambda case: case.label
)
inexact_case = pytest.mark.parametrize(
    "case", [case for case in CASES if not case.build().exact], ids=lambda case: case.label
)
ROUNDING = 1e-10


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """A second thread only waits for tensors as small as these."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_everything_registered_is_tested() -> None:
    tested = {type(case.build()) for case in CASES}
    for name, entry in REGULARISERS.items():
        kind = entry.load()
        assert kind in tested
        assert kind.name == name
        assert dataclasses.is_dataclass(kind)
        assert kind.convex == ("firmly nonexpansive" in entry.theorem)


# ---- laws --------------------------------------------------------------------------------------


@every_case
def test_prox_minimises(case: Case) -> None:
    for step in STEPS:
        assert improvement(case.build(), inputs(case.shape), step) <= 0


@every_case
def test_prox_agrees_with_brute_force(case: Case) -> None:
    g, x = case.build(), inputs(case.tiny, seed=2, batch=2)[1:]
    u, error = g.prox(x, 0.8, tol=TOLERANCE)
    assert float((u - brute_force(g, x, 0.8)).abs().max()) <= 2e-5 + float(error)


@exact_case
def test_moreau_identity(case: Case) -> None:
    for step in STEPS:
        assert moreau_defect(case.build(), inputs(case.shape), step) < ROUNDING


@exact_case
def test_conjugate_prox_is_a_subgradient(case: Case) -> None:
    for step in STEPS:
        assert fenchel_defect(case.build(), inputs(case.shape), step) < 1e-9


@every_case
def test_prox_keeps_its_guarantee(case: Case) -> None:
    g = case.build()
    assert g.convex
    assert g.guarantee.is_firm
    for step in STEPS:
        assert g.guarantee_of(step).is_firm
        m = step * g.strong_convexity
        assert g.guarantee_of(step).lipschitz == pytest.approx(1 / (1 + m))
        defect = firmness_defect(
            lambda x, step=step: g.prox(x, step, tol=1e-3), inputs(case.shape), m
        )
        assert defect < ROUNDING


@inexact_case
def test_error_bound_is_one(case: Case) -> None:
    g = case.build()
    for step in STEPS:
        assert bound_defect(g, patient(g), inputs(case.shape), step) <= 0


@every_case
def test_float32_and_grad_free_inputs(case: Case) -> None:
    g, x = case.build(), inputs(case.shape)
    wide, error = g.prox(x, 1.0, tol=1e-5)
    narrow, bound = g.prox(x.float(), 1.0, tol=1e-5)
    assert narrow.dtype == torch.float32
    assert wide.dtype == torch.float64
    assert wide.shape == narrow.shape == x.shape
    assert error.shape == bound.shape == g.value(x).shape == (3,)
    assert float((wide - narrow).abs().max()) < 2e-5 + float(error.max() + bound.max())


@every_case
def test_each_picture_by_itself(case: Case) -> None:
    g, x = case.build(), inputs(case.shape)
    together, error = g.prox(x, 1.0, tol=TOLERANCE)
    for index in range(3):
        alone, bound = g.prox(x[index : index + 1], 1.0, tol=TOLERANCE)
        assert float((together[index] - alone[0]).norm()) <= float(error[index] + bound) + ROUNDING
        assert torch.allclose(g.value(x)[index], g.value(x[index : index + 1])[0])


@every_case
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_divergence_is_not_hidden(case: Case, value: float) -> None:
    x = inputs(case.shape)
    x[1].flatten()[2] = value
    u, _ = case.build().prox(x, 1.0, tol=1e-3)
    assert not bool(torch.isfinite(u[1]).all())
    assert bool(torch.isfinite(u[0]).all())


@every_case
@pytest.mark.parametrize("step", [0.0, -1.0, math.nan, math.inf])
def test_steps_are_positive(case: Case, step: float) -> None:
    g = case.build()
    for call in (lambda: g.prox(inputs(case.shape), step), lambda: g.guarantee_of(step)):
        with pytest.raises(InputError, match="step"):
            call()


@inexact_case
def test_what_has_no_closed_form_is_split(case: Case) -> None:
    g = case.build()
    assert isinstance(g, Composite)
    with pytest.raises(InputError, match="split it"):
        g.conjugate_prox(inputs(case.shape), 1.0)
    shape = (case.shape[0], case.shape[1], case.shape[2])
    x = inputs(case.shape).clamp(0.3, 0.6)
    parts = g.outer.value(g.operator(shape).A(x))
    assert torch.allclose(parts, g.value(x))
    spacing = getattr(g, "slice_spacing", None)
    most = 8 if spacing is None else 8 + 4 / spacing**2
    assert g.operator(shape).norm_bound <= math.sqrt(most) + 1e-9
    assert g.outer.exact
    if g.domain is not None:
        assert math.isinf(float(g.value(x + 9)[0]))


# ---- twins: each law can fail ------------------------------------------------------------------


@every_case
def test_laws_notice_a_wrong_map(case: Case) -> None:
    x = inputs(case.shape)
    broken = Broken(case.build(), lambda u: u + 0.01)
    assert improvement(broken, x, 1.0) > 1e-5
    tiny = inputs(case.tiny, seed=2, batch=2)[1:]
    u, _ = broken.prox(tiny, 0.8, tol=TOLERANCE)
    exact, error = case.build().prox(tiny, 0.8, tol=TOLERANCE)
    assert float((u - exact).abs().max()) > 2e-5 + float(error)


@exact_case
def test_moreau_and_fenchel_notice_a_wrong_conjugate(case: Case) -> None:
    class WrongStep(Broken):
        def conjugate_prox(self, u: Tensor, step: float) -> Tensor:
            return self.inner.conjugate_prox(u, step) + 0.05

    broken, x = WrongStep(case.build()), inputs(case.shape)
    assert moreau_defect(broken, x, 1.0) > 0.01
    assert fenchel_defect(broken, x, 0.5) > 1e-5


def test_firmness_notices_hard_thresholds_and_overrelaxation() -> None:
    x = inputs((2, 4, 5))
    none = torch.zeros(3, dtype=torch.float64)
    assert firmness_defect(lambda x: (torch.where(x.abs() > 0.4, x, 0.0), none), x, 0.0) > 0.01
    assert firmness_defect(lambda x: (-0.5 * x, none), x, 0.0) > 0.1
    ridge = Ridge(0.5)
    assert firmness_defect(lambda x: ridge.prox(x, 1.0), x, 0.51) > 1e-3


@inexact_case
def test_a_false_bound_is_noticed(case: Case) -> None:
    g = case.build()
    assert bound_defect(Broken(g, claimed=0.0), patient(g), inputs(case.shape), 7.0) > 1e-6


# ---- the closed forms ---------------------------------------------------------------------------


def test_formulas() -> None:
    x = torch.tensor([[[[-2.0, -0.1, 0.0, 0.3, 5.0]]]], dtype=torch.float64)

    def flat(g: Regulariser, step: float = 0.5) -> list[float]:
        return [round(v, 12) for v in g.prox(x, step)[0].flatten().tolist()]

    assert flat(L1(0.4)) == [-1.8, 0, 0, 0.1, 4.8]
    assert flat(Ridge(2.0)) == [-1.0, -0.05, 0, 0.15, 2.5]
    assert flat(ElasticNet(0.4, 2.0)) == [-0.9, 0, 0, 0.05, 2.4]
    assert flat(Box()) == [0, 0, 0, 0.3, 1]
    size = float(x.norm())
    assert flat(L2Ball(1.0)) == [round(float(v) / size, 12) for v in x.flatten()]
    assert flat(L2Ball(9.0)) == x.flatten().tolist()


def test_strong_convexity_is_attained() -> None:
    for g in (Ridge(0.5), ElasticNet(0.0, 0.5)):
        x = random_tensor(1, 1, 3, 3)
        ratio = float(g.prox(x, 2.0)[0].norm() / x.norm())
        held = g.guarantee_of(2.0)
        assert held.is_contraction
        assert ratio == pytest.approx(0.5)
        assert held.lipschitz is not None
        assert ratio <= held.lipschitz


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_projections_land_inside(dtype: torch.dtype) -> None:
    x = 5 * random_tensor(4, 3, 40, 50).to(dtype)
    center = random_tensor(1, 3, 40, 50, seed=1).to(dtype)
    for g in (Box(0.1, 0.7), L2Ball(0.3), L2Ball(2.0, center), L2Ball(0.0, center)):
        assert bool((g.value(g.prox(x, 1.0)[0]) == 0).all())
        assert bool(torch.isinf(g.value(x)).all())
    outside = center + 1.001 * 2.0 * (x - center) / (x - center).flatten(1).norm(dim=1).reshape(
        -1, 1, 1, 1
    )
    assert bool(torch.isinf(L2Ball(2.0, center).value(outside)).all())


@pytest.mark.parametrize(
    "build",
    [
        lambda: L1(-1.0),
        lambda: Ridge(math.inf),
        lambda: ElasticNet(1.0, math.nan),
        lambda: ElasticNet(-1.0, 0.0),
        lambda: Box(1.0, 0.0),
        lambda: Box(math.nan, 1.0),
        lambda: L2Ball(-0.1),
        lambda: TotalVariation(-1.0),
        lambda: TotalVariation(1.0, "colour"),  # type: ignore[arg-type]
        lambda: TotalVariation(1.0, box=(1.0, 0.0)),
        lambda: TotalVariation(1.0, max_iter=0),
        lambda: WaveletL1(-1.0),
    ],
)
def test_bad_parameters_are_refused(build: object) -> None:
    with pytest.raises(InputError, match=r"expected|choose"):
        build()  # type: ignore[operator]

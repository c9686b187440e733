"""A short step does not pass for a small residual: runs end where the natural step would end them.

Every case converged at once, far from its fixed point, while residuals were compared as they came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from laws.networks import picture
from laws.solvers import LEVEL, TINY, blur, random_kernel
from operators.conjugate_gradient import image_norms
from pnp_recon.fidelity import KullbackLeibler, LeastSquares
from pnp_recon.proximal import L1, Box, TotalVariation
from pnp_recon.solvers import (
    ADMM,
    FISTA,
    HQS,
    PDHG,
    RED,
    SIRT,
    Anderson,
    DouglasRachford,
    GradientDescent,
    Halpern,
    Landweber,
    Plugged,
    PnPDRS,
    PnPHQS,
    PnPPGD,
    ProximalGradient,
    Solver,
    Status,
    Stopping,
    iterate,
)
from pnp_recon.solvers.choice import variational_solver
from pnp_recon.solvers.core.solution import History
from pnp_recon.solvers.core.solver import share

TOL = 1e-4


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """A second thread only waits for tensors as small as these."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def data() -> LeastSquares:
    A = blur(random_kernel(0))
    x = picture(1, *A.image_shape, seed=3)
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(1), dtype=x.dtype)
    return LeastSquares(A, A.A(x) + 0.01 * noise)


def red(step: float) -> Solver:
    return RED(data(), Plugged(TINY, LEVEL), 1.0, data().y.clamp(0, 1), step_size=step, weight=0.3)


def drs(relaxation: float) -> Solver:
    return PnPDRS(data(), Plugged(TINY, LEVEL), relaxation, data().y.clamp(0, 1), gamma=2.0)


def descent(step: float) -> Solver:
    f = data()
    return ProximalGradient(f, L1(0.02), step, f.y)


def primal_dual(relaxation: float) -> Solver:
    f = data()
    prior = TotalVariation(0.02, box=(0.0, 1.0))
    return variational_solver("pdhg", f, prior, f.y, relaxation=relaxation)


# How the solver is built, the knob that makes steps short, and one that does not.
SHORT: dict[str, tuple[Callable[[float], Solver], float, float]] = {
    "red": (red, 1e-4, 0.9),
    "pnp-drs": (drs, 1e-3, 0.5),
    "proximal-gradient": (descent, 1e-3, 1.0),
    "pdhg": (primal_dual, 0.1, 1.9),
}


def distance(x: Tensor, end: Tensor) -> float:
    return float((image_norms(x - end) / image_norms(end)).max())


@pytest.mark.parametrize("name", SHORT)
def test_a_run_that_converges_is_near_its_fixed_point(name: str) -> None:
    build, short, natural = SHORT[name]
    end = iterate(build(natural), Stopping(1e-11, 40000, check_every=50)).image
    reached = iterate(build(natural), Stopping(TOL, 40000, check_every=1))
    assert reached.status is Status.CONVERGED
    near = distance(reached.image, end)
    solution = iterate(build(short), Stopping(TOL, 3000, check_every=1))
    if solution.status is Status.CONVERGED:
        assert distance(solution.image, end) <= max(2 * near, 20 * TOL)
    else:
        assert solution.status is Status.ITERATION_LIMIT


@pytest.mark.parametrize("name", ["red", "pnp-drs", "proximal-gradient"])
def test_without_the_stride_they_end_where_they_began(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twin: residuals as they come let a run converge far from its fixed point."""
    build, short, natural = SHORT[name]
    end = iterate(build(natural), Stopping(1e-11, 40000, check_every=50)).image
    solver = build(short)
    monkeypatch.setattr(type(solver), "stride", 1.0)
    solution = iterate(solver, Stopping(TOL, 3000, check_every=1))
    assert solution.status is Status.CONVERGED
    assert distance(solution.image, end) > 100 * TOL


@pytest.mark.parametrize("name", SHORT)
def test_the_stopping_residual_hardly_depends_on_the_step(name: str) -> None:
    """At the start, over the stride, it is that of a natural step, or above it."""
    build, short, natural = SHORT[name]
    found = []
    for knob in (short, natural):
        solver = build(knob)
        found.append(max(iterate(solver, Stopping(1e-300, 1)).history.relative(0)))
    assert found[0] >= 0.3 * found[1]


def test_the_residual_of_a_short_gradient_step_bounds_that_of_a_natural_one() -> None:
    """‖x − T x‖/(τL) at any x and τ ≤ 1/L is at least ‖x − T x‖ for τ = 1/L (Beck, Thm 10.9)."""
    f = data()
    for seed in range(4):
        x = picture(1, *f.A.image_shape, seed=seed)
        natural = ProximalGradient(f, L1(0.05), 1 / f.lipschitz, x)
        for factor in (1e-3, 0.1, 0.7):
            short = replace(natural, step_size=factor / f.lipschitz)
            assert short.stride == pytest.approx(factor)
            moves = [float(image_norms(s.step(s.init(), 0).z - x)) for s in (short, natural)]
            assert moves[0] / short.stride >= moves[1] * (1 - 1e-9)


def strides() -> list[tuple[Solver, float]]:
    """Solvers, and the stride that they should have."""
    f = data()
    x, L, plug = f.y, f.lipschitz, Plugged(TINY, LEVEL)
    alpha = TINY.guarantee.averagedness
    assert alpha is not None
    return [
        (ProximalGradient(f, L1(0.1), 0.2 / L, x), 0.2),
        (ProximalGradient(f, L1(0.1), 1.7 / L, x), 1.0),
        (GradientDescent(f, None, 0.2 / L, x), 0.2),
        (FISTA(f, L1(0.1), 0.2 / L, x), 0.2),
        (Landweber(f, x, step_size=0.2 / L), 0.2),
        (SIRT(f, x, relaxation=0.3), 0.3),
        (RED(f, plug, 0.5, x, step_size=0.1, weight=2.0), 0.1 * (L + alpha * 2.0)),
        (PnPPGD(f, plug, 0.1, x, step_size=0.2 / L), 0.1),
        (PnPPGD(f, plug, 0.5, x, step_size=0.2 / L), 0.5),
        (PnPHQS(f, plug, 0.5, x, gamma=0.1 / L), 0.5),
        (PnPHQS(f, plug, 0.1, x, gamma=0.3 / L), 0.1),
        (PnPHQS(f, plug, 1.0, x, gamma=5.0), 1.0),
        (PnPDRS(f, plug, 0.1, x, gamma=5.0), 0.2),
        (PnPDRS(f, plug, 0.9, x, gamma=0.01), 1.0),
        (HQS(f, L1(0.1), 0.1 / L, x, 0.5), 0.05),
        (DouglasRachford(f, L1(0.1), 2 / L, x, 0.5), 0.5),
        (ADMM(f, L1(0.1), 0.1 / L, x, 1.5), 0.1),
        (Anderson(PnPDRS(f, plug, 0.1, x, gamma=5.0)), 0.2),
        (Halpern(Landweber(f, x, step_size=0.2 / L)), 0.2),
    ]


@pytest.mark.parametrize("index", range(len(strides())))
def test_strides_by_hand(index: int) -> None:
    solver, expected = strides()[index]
    assert solver.stride == pytest.approx(expected, rel=1e-6), solver


def test_the_stride_of_pdhg_counts_relaxation_and_what_steps_use_of_their_budget() -> None:
    full = primal_dual(1.9)
    assert isinstance(full, PDHG)
    assert full.stride == pytest.approx(1.0)
    assert replace(full, relaxation=0.1).stride == pytest.approx(0.1)
    short = replace(full, tau=1e-4 * full.tau)  # type: ignore[operator]
    assert short.stride == pytest.approx(1e-2, rel=1e-6)


def test_where_no_smoothness_is_known_the_relaxation_stands() -> None:
    f = data()
    counts = KullbackLeibler(f.A, f.y.clamp_min(0))
    solver = PnPHQS(counts, Plugged(TINY, LEVEL), 0.3, f.y, gamma=1e-9)
    assert solver.stride == pytest.approx(0.3)
    assert DouglasRachford(counts, Box(), 1e-9, f.y, 1.0).stride == 1.0


@pytest.mark.parametrize("factor", [-1.0, 0.0, float("nan"), float("inf"), 3.0])
def test_what_is_no_share_counts_as_one(factor: float) -> None:
    assert share(factor) == 1.0
    assert share(factor, 0.5) == 0.5


def test_a_history_divides_by_its_stride() -> None:
    rows: dict[str, Any] = {"residuals": [[0.1]], "norms": [[2.0]], "errors": [[0.1]]}
    assert History(**rows).relative(-1) == [0.1]
    assert History(**rows, stride=0.01).relative(-1) == pytest.approx([10.0])

"""Solvers of min f + g: the same answer from all, and theorems that refuse."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from laws.networks import picture, random_tensor
from laws.solvers import invertible_kernel, random_kernel
from operators import Convolution, LinearOperator
from pnp_recon.errors import InputError, StepSizeError
from pnp_recon.fidelity import Huber, KullbackLeibler, LeastSquares
from pnp_recon.proximal import L1, Box, Ridge
from pnp_recon.proximal.total_variation import TotalVariation
from pnp_recon.solvers import (
    ADMM,
    FISTA,
    HQS,
    ISTA,
    SOLVERS,
    DouglasRachford,
    GradientDescent,
    ProximalGradient,
    variational_solver,
)
from support.variational_problems import (
    GRADIENT,
    SIZE,
    SPLITTING,
    Boundless,
    Unmatched,
    problem,
    run,
    solve,
    sparse_on_a_line,
    sparse_with_envelope,
    total_variation_on_a_line,
)

# ---- the same answer ---------------------------------------------------------------------------


VARIATIONAL = {
    name: entry.load() for name, entry in SOLVERS.items() if "functional" in entry.prior_kinds
}


@pytest.mark.parametrize("name", [*GRADIENT, "drs", "admm", "pdhg", "auto"])
def test_sparse_solution(name: str) -> None:
    fidelity, expected = sparse_on_a_line()
    assert 2 <= int((expected.abs() > 1e-9).sum()) <= 12  # sparse, and not trivial
    solution = solve(variational_solver(name, fidelity, L1(0.4), torch.zeros_like(expected)))
    torch.testing.assert_close(solution.image, expected, rtol=0, atol=1e-6)


def test_hqs_minimises_the_envelope() -> None:
    gamma = 2.0
    fidelity, expected = sparse_with_envelope(gamma)
    start = torch.zeros_like(expected)
    solution = solve(variational_solver("hqs", fidelity, L1(0.4), start, gamma=gamma))
    torch.testing.assert_close(solution.image, expected, rtol=0, atol=1e-6)
    assert float((expected - sparse_on_a_line()[1]).abs().max()) > 0.05  # another problem
    assert "not of f + g" in solution.certificate.verdict


@pytest.mark.parametrize("name", ["proximal-gradient", "drs", "admm", "auto"])
@pytest.mark.parametrize("box", [None, (0.0, 1.0)])
def test_total_variation(name: str, box: tuple[float, float] | None) -> None:
    fidelity, expected = total_variation_on_a_line()
    solver = variational_solver(name, fidelity, TotalVariation(0.05, box=box), fidelity.y)
    solution = solve(solver, 1e-8 if name == "auto" else 3e-6, 1500)
    torch.testing.assert_close(solution.image, expected, rtol=0, atol=1e-6)
    if name != "auto":  # an inner loop: its premise is observed as well
        assert any("inner solves" in remark for remark in solution.certificate.remarks)
        assert max(row[0] for row in solution.history.errors) > 0


@pytest.mark.parametrize("name", ["gradient-descent", "proximal-gradient", "fista", "drs", "admm"])
def test_ridge(name: str) -> None:
    fidelity = problem()
    solution = solve(variational_solver(name, fidelity, Ridge(0.1), fidelity.y))
    residual = fidelity.gradient(solution.image) + 0.1 * solution.image
    assert float(residual.abs().max()) < 1e-6
    assert "only one" in solution.certificate.verdict or "linearly" in solution.certificate.verdict


@pytest.mark.parametrize("fidelity_name", ["huber", "kullback-leibler"])
@pytest.mark.parametrize("name", ["proximal-gradient", "fista", "drs", "admm", "pdhg"])
def test_other_fidelities(name: str, fidelity_name: str) -> None:
    A = Convolution(invertible_kernel(), (1, 5, 5), "constant")
    y = A.A(picture(1, 1, 5, 5, seed=3))
    fidelity = Huber(A, y, 0.1) if fidelity_name == "huber" else KullbackLeibler(A, y, 0.5)
    reference = solve(variational_solver("proximal-gradient", fidelity, Box(0.2, 0.7), y), 1e-9)
    solution = solve(variational_solver(name, fidelity, Box(0.2, 0.7), y), 1e-7)
    torch.testing.assert_close(solution.image, reference.image, rtol=0, atol=1e-5)


def test_admm_is_douglas_rachford() -> None:
    # s = v + w follows z ← z + ρ(prox_f(2 prox_g z − z) − prox_g z), g before f.
    fidelity, g, gamma, rho = problem(), L1(0.05), 3.0, 1.4
    admm = ADMM(fidelity, g, gamma, fidelity.y, rho)
    state, s = admm.init(), fidelity.y
    for k in range(8):
        v = g.prox(s, gamma)[0]
        x = fidelity.prox(2 * v - s, gamma, start=v, tol=1e-13)[0]
        s = s + rho * (x - v)
        state = admm.step(state, k + 10**9).state
        torch.testing.assert_close(state.z.sum(1), s, rtol=0, atol=1e-11)
        torch.testing.assert_close(admm.image(state), g.prox(s, gamma)[0], rtol=0, atol=1e-11)
    moved = admm.at(state, state.z.clone())  # a z from outside, such as an accelerated one
    assert moved.owed is None
    found = admm.step(moved, 10**9).z
    torch.testing.assert_close(found, admm.step(state, 10**9).z, rtol=0, atol=1e-10)


def test_admm_residual_is_primal_plus_dual() -> None:
    fidelity, g = problem(), L1(0.05)
    admm = ADMM(fidelity, g, 3.0, fidelity.y)
    state = admm.init()
    for k in range(5):
        z = state.z
        v, w = z.unbind(1)
        x = fidelity.prox(v - w, 3.0, start=v, tol=1e-13)[0]
        state = admm.step(state, k + 10**9).state
        after = state.z
        primal, dual = x - after[:, 0], after[:, 0] - v
        torch.testing.assert_close(after.sum(1) - z.sum(1), primal + dual, rtol=0, atol=1e-11)
        assert float(primal.norm() ** 2 + dual.norm() ** 2) <= float(admm.norm(z - after) ** 2) + 9


# ---- FISTA -------------------------------------------------------------------------------------


def test_restarts_save_iterations_and_keep_the_solution() -> None:
    fidelity, expected = sparse_on_a_line()
    start = torch.zeros_like(expected)
    step = 0.99 / fidelity.lipschitz
    plain, restarted = (
        solve(FISTA(fidelity, L1(0.4), step, start, restart=restart), 1e-9)
        for restart in (False, True)
    )
    assert restarted.iterations < plain.iterations
    torch.testing.assert_close(plain.image, expected, rtol=0, atol=1e-6)
    slow = solve(ProximalGradient(fidelity, L1(0.4), step, start), 1e-9)
    assert restarted.iterations < slow.iterations


@pytest.mark.parametrize("restart", [True, False])
def test_iterates_stay_within_the_first_distance(restart: bool) -> None:
    # The step of the proof that carries convergence across restarts: ‖x_k − x*‖ ≤ ‖x₀ − x*‖.
    fidelity, expected = sparse_on_a_line()
    for seed in range(3):
        start = expected + random_tensor(*expected.shape, seed=seed)
        solver = FISTA(fidelity, L1(0.4), 0.99 / fidelity.lipschitz, start, restart=restart)
        state = solver.init()
        for k in range(60):
            state = solver.step(state, k).state
            assert float((state.z - expected).norm()) <= float((start - expected).norm()) + 1e-12


def test_fista_needs_an_exact_proximal_map() -> None:
    fidelity = problem()
    solver = variational_solver("fista", fidelity, TotalVariation(0.1), fidelity.y)
    assert "loop of its own" in solver.theorem().why_not
    assert not solver.theorem().holds
    with pytest.raises(InputError, match="> 2"):
        FISTA(fidelity, L1(0.1), 0.1, fidelity.y, a=2.0)


# ---- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [1.001, 2.0, 0.0, -1.0, math.nan])
@pytest.mark.parametrize("name", [*GRADIENT, "gradient-descent"])
def test_steps_outside_their_range(name: str, factor: float) -> None:
    fidelity = problem()
    g = Ridge(0.1) if name == "gradient-descent" else L1(0.1)
    limit = (1 if name == "fista" else 2) / (fidelity.lipschitz + g.strong_convexity)
    make = {"regulariser": g, "fidelity": fidelity, "start": fidelity.y, "step": factor * limit}
    with pytest.raises(StepSizeError, match="proven range"):
        run(variational_solver(name, **make))
    if not factor > 0:  # no step at all
        with pytest.raises(StepSizeError):
            run(variational_solver(name, **make, allow_uncertified=True))
        return
    allowed = run(variational_solver(name, **make, allow_uncertified=True), 5)
    assert not allowed.certificate.proven
    assert allowed.certificate.verdict.startswith("no guarantee: step size")


def test_too_large_steps_do_diverge() -> None:
    fidelity = problem()
    step = 2.2 / fidelity.lipschitz
    solver = ProximalGradient(fidelity, None, step, fidelity.y, allow_uncertified=True)
    residuals = run(solver, 100).history.residuals
    assert residuals[-1][0] > 10 * residuals[0][0]


@pytest.mark.parametrize("name", SPLITTING)
def test_parameters_of_splittings(name: str) -> None:
    fidelity = problem()
    for options in ({"gamma": 0.0}, {"gamma": math.nan}, {"relaxation": 2.0}, {"relaxation": 0.0}):
        with pytest.raises(StepSizeError, match=r"gamma|relaxation"):
            run(variational_solver(name, fidelity, L1(0.1), fidelity.y, **options))
    for gamma in (1e-4, 1e4):
        solver = variational_solver(name, fidelity, L1(0.1), fidelity.y, gamma=gamma)
        assert run(solver, 10).certificate.holds
    relaxed = variational_solver(name, fidelity, L1(0.1), fidelity.y, relaxation=1.3)
    assert run(relaxed).certificate.holds


@pytest.mark.parametrize("name", [*GRADIENT, *SPLITTING, "gradient-descent"])
def test_facts_that_a_theorem_needs(name: str) -> None:
    g = Ridge(0.1) if name == "gradient-descent" else L1(0.1)

    def verdict(A: LinearOperator) -> str:
        y = picture(1, *SIZE)
        return run(variational_solver(name, LeastSquares(A, y), g, y), 3).certificate.verdict

    assert "is not the transpose" in verdict(Unmatched(random_kernel(0), SIZE))
    unbounded = verdict(Boundless(random_kernel(0), SIZE))
    assert ("no proven bound" in unbounded) == (name not in SPLITTING)
    counts = KullbackLeibler(Convolution(random_kernel(0), SIZE), picture(1, *SIZE))
    missing = variational_solver(name, counts, g, counts.y).theorem()
    assert not missing.holds
    assert "kullback-leibler" in missing.why_not
    assert variational_solver("auto", counts, L1(0.1), counts.y).name == "pdhg"


def test_arguments() -> None:
    fidelity = problem()
    with pytest.raises(InputError, match="smooth regulariser"):
        GradientDescent(fidelity, L1(0.1), 0.1, fidelity.y)
    with pytest.raises(InputError, match="makes sparse"):
        ISTA(fidelity, Box(), 0.1, fidelity.y)
    refused = {
        "none": {},
        "pdhg": {"step": 1.0},
        "ista": {"gamma": 1.0},
        "fista": {"relaxation": 1},
    }
    for name, options in refused.items():
        with pytest.raises(InputError):
            variational_solver(name, fidelity, L1(0.1), fidelity.y, **options)
    assert set(VARIATIONAL) <= set(SOLVERS)
    assert {HQS.name, DouglasRachford.name, ADMM.name} == set(SPLITTING)
    assert variational_solver("auto", fidelity, L1(0.1), fidelity.y).name == "fista"
    assert variational_solver("auto", fidelity, TotalVariation(0.1), fidelity.y).name == "pdhg"
    changed = replace(GradientDescent(fidelity, None, 1.0, fidelity.y), step_size=0.5)
    assert changed.parameters() == {"step": 0.5}

"""Rates of the solvers of min f(x) + g(x), on problems whose solution is written in a line.

Functions take a factor on the step, so that a test can show that the bound would break: the bound
is that of the step inside its range.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from operators import Gradient, Identity, LinearOperator
from operators.norms import NormBound
from pnp_recon.fidelity import LeastSquares
from pnp_recon.problems.noise import seeded
from pnp_recon.proximal import L1, Ridge
from pnp_recon.proximal.total_variation import TotalVariation
from pnp_recon.solvers import (
    ADMM,
    FISTA,
    HQS,
    ISTA,
    PDHG,
    DouglasRachford,
    GradientDescent,
    ProximalGradient,
    Solver,
)
from pnp_recon.solvers.convex.blocks import composite_block, data_block
from pnp_recon.solvers.convex.objective import Objective
from pnp_recon.solvers.convex.steps import balanced_steps
from scripts.figures.rates.case import RateCase

SIZE = 100
WEIGHT = 0.01
BECK_TEBOULLE = "Beck & Teboulle 2009, Thm 3.1"
AVERAGED = "Bauschke & Combettes 2017, Thm 5.15 and its proof"


class Diagonal(LinearOperator):
    """Multiplies a line of pixels by `slopes` in (0, 1]."""

    def __init__(self, slopes: Tensor) -> None:
        shape = (1, 1, slopes.numel())
        super().__init__("diagonal", shape, shape, nonnegative=True)
        self.slopes = slopes

    def _forward_map(self, x: Tensor) -> Tensor:
        return self.slopes * x

    def _transpose_map(self, y: Tensor) -> Tensor:
        return self.slopes * y

    def _prove_norm(self) -> NormBound:
        peak = float(self.slopes.max())
        return NormBound(peak, peak, "largest entry", "exact")


def trace(solver: Solver, n: int, quantity: Callable[[Tensor], float]) -> list[float]:
    """`quantity` of z_1 ... z_n. The solver is not asked for its certificate."""
    state, found = solver.init(), []
    for k in range(n):
        state = solver.step(state, k).state
        found.append(quantity(state.z))
    return found


def changes(solver: Solver, n: int) -> list[float]:
    """‖z_{k+1} − z_k‖ in the solver's norm, k = 1 ... n."""
    state, found = solver.init(), []
    for k in range(n + 1):
        after = solver.step(state, k).state
        found.append(float(solver.norm(after.z - state.z)))
        state = after
    return found[1:]


class _Sparse:
    """½‖A x − y‖² + w‖x‖₁, A diagonal with squared slopes from 1 down to 10⁻⁴.

    Each entry is by itself: x*ᵢ = soft(aᵢyᵢ, w)/aᵢ². With y = a·sign + w sign/a the solution is ±1,
    but for entries where y = 0. The start is zero.
    """

    def __init__(self) -> None:
        squares = torch.logspace(0, -4, SIZE, dtype=torch.float64)
        slopes = squares.sqrt()
        signs = torch.ones(SIZE, dtype=torch.float64)
        signs[1::3], signs[2::3] = -1.0, 0.0
        self.weight = WEIGHT
        self.A = Diagonal(slopes)
        self.solution = signs.reshape(1, 1, 1, SIZE)
        y = signs * (slopes + self.weight / slopes)
        self.fidelity = LeastSquares(self.A, y.reshape(1, 1, 1, SIZE))
        self.start = torch.zeros_like(self.solution)
        self.distance = float(self.solution.norm())
        self.g = L1(self.weight)
        self._objective = Objective(self.fidelity, self.g)
        self.best = float(self._objective.value(self.solution))

    def excess(self, x: Tensor) -> float:
        return float(self._objective.value(x)) - self.best


# ---- gradient methods ----------------------------------------------------------------------------


def gradient_descent(factor: float = 1.0) -> RateCase:
    """A quadratic with eigenvalues in [m, L + m] and the step that treats both ends alike."""
    m = 0.02
    A = Diagonal(torch.logspace(0, -4, SIZE, dtype=torch.float64).sqrt())
    generator = seeded(0)
    y = torch.rand(1, 1, 1, SIZE, generator=generator, dtype=torch.float64)
    solution = A.slopes * y / (A.slopes.square() + m)
    step = 2 / (1 + 2 * m)
    q = (1 + 2 * m - 2 * m) / (1 + 2 * m)
    start = torch.zeros_like(y)
    solver = GradientDescent(LeastSquares(A, y), Ridge(m), factor * step, start)
    distance = float(solution.norm())
    return RateCase(
        "gradient-descent",
        "‖x_k − x*‖",
        lambda n: trace(solver, n, lambda z: float((z - solution).norm())),
        lambda k: q**k * distance,
        "(L/(L + 2m))^k ‖x₀ − x*‖, τ = 2/(L + 2m), L = 1, m = 0.02",
        "Polyak 1963; Nesterov 2004, Thm 2.1.15",
    )


def proximal_gradient(name: str, factor: float = 1.0) -> RateCase:
    problem = _Sparse()
    kind = ISTA if name == "ista" else ProximalGradient
    step = 1.0 if name == "ista" else 0.5
    solver = kind(problem.fidelity, problem.g, factor * step, problem.start)
    return RateCase(
        name,
        "F(x_k) − F(x*)",
        lambda n: trace(solver, n, problem.excess),
        lambda k: problem.distance**2 / (2 * step * k),
        "‖x₀ − x*‖²/(2τk)",
        BECK_TEBOULLE,
    )


def fista(factor: float = 1.0) -> RateCase:
    problem, a = _Sparse(), 3.0
    step = 0.999
    solver = FISTA(problem.fidelity, problem.g, factor * step, problem.start, a=a, restart=False)
    return RateCase(
        "fista",
        "F(x_k) − F(x*)",
        lambda n: trace(solver, n, problem.excess),
        lambda k: a**2 * problem.distance**2 / (2 * step * (k + a - 1) ** 2),
        "a²‖x₀ − x*‖²/(2τ(k + a − 1)²), a = 3",
        "Chambolle & Dossal 2015, eq. 12 and Thm 4.1; Beck & Teboulle 2009, Lemma 4.1",
    )


def fista_strong(factor: float = 1.0) -> RateCase:
    """The quadratic of gradient descent: √κ in place of κ."""
    m, step = 0.02, 0.999
    A = Diagonal(torch.logspace(0, -4, SIZE, dtype=torch.float64).sqrt())
    generator = seeded(0)
    y = torch.rand(1, 1, 1, SIZE, generator=generator, dtype=torch.float64)
    solution = A.slopes * y / (A.slopes.square() + m)
    objective = Objective(LeastSquares(A, y), Ridge(m))
    best = float(objective.value(solution))
    start = torch.zeros_like(y)
    gap = float(objective.value(start)) - best + m / 2 * float(solution.norm()) ** 2
    rate = 1 - 1 / math.sqrt(1 + 1 / (step * m))
    solver = FISTA(objective.fidelity, Ridge(m), factor * step, start)
    return RateCase(
        "fista",
        "F(x_k) − F(x*)",
        lambda n: trace(solver, n, lambda z: float(objective.value(z)) - best),
        lambda k: rate**k * gap,
        "(1 − 1/√κ)^k (F(x₀) − F* + m/2 ‖x₀ − x*‖²), κ = 1 + 1/(τm), m = 0.02",
        "Beck 2017, Thm 10.42",
        iterations=60,
    )


# ---- splittings ----------------------------------------------------------------------------------


def splitting(name: str, factor: float = 1.0, gamma: float = 20.0) -> RateCase:
    """HQS, Douglas–Rachford or ADMM; `factor` is the relaxation, 1 inside its range.

    A fixed point is x* ± γ∇f(x*); of HQS it is the minimiser with the envelope of f, whose entries
    are those of a diagonal with squared slopes a²/(1 + γa²).
    """
    problem = _Sparse()
    kinds = {"hqs": HQS, "drs": DouglasRachford, "admm": ADMM}
    solver = kinds[name](problem.fidelity, problem.g, gamma, problem.start, factor)
    gradient = problem.fidelity.gradient(problem.solution)
    alpha = 0.5
    if name == "hqs":
        alpha = 2 / 3
        squares = problem.A.slopes.square()
        damped = problem.A.slopes * problem.fidelity.y / (1 + gamma * squares)
        shrunk = damped.sign() * (damped.abs() - problem.weight).clamp_min(0)
        fixed = shrunk * (1 + gamma * squares) / squares
    elif name == "drs":
        fixed = problem.solution + gamma * gradient
    else:
        fixed = problem.solution - gamma * gradient
    distance = float(fixed.norm())
    factor_ = math.sqrt(alpha / (1 - alpha))
    return RateCase(
        name,
        "‖z_{k+1} − z_k‖" if name != "admm" else "‖s_{k+1} − s_k‖, s = v + w",
        lambda n: changes(solver, n),
        lambda k: factor_ * distance / math.sqrt(k + 1),
        f"√(α/((1−α)(k+1))) ‖z₀ − z*‖, α = {alpha:.3f}",
        AVERAGED,
    )


# ---- primal and dual -----------------------------------------------------------------------------


def pdhg(factor: float = 1.0) -> RateCase:
    """Total variation of a step: both halves move towards each other by weight/(half the size).

    The dual solution of the data is x* − y, that of the differences its running sum.
    """
    weight, half = 2.0, SIZE // 2
    y = torch.cat((torch.zeros(half), torch.ones(half))).double().reshape(1, 1, 1, SIZE)
    solution = y + torch.where(y > 0.5, -weight / half, weight / half)
    data = solution - y
    slopes = torch.zeros(1, 2, 1, 1, SIZE, dtype=torch.float64)
    slopes[0, 1, 0, 0] = data.flatten().cumsum(0)  # Dᵀu = −(x* − y)
    blocks = (
        data_block(LeastSquares(Identity((1, 1, SIZE)), y)),
        composite_block(TotalVariation(weight), (1, 1, SIZE)),
    )
    tau = 0.5
    sigmas = balanced_steps((1.0, Gradient((1, 1, SIZE)).norm_bound), (0.3, 0.7), tau)
    start = torch.full_like(y, 0.5)
    solver = PDHG(None, blocks, tau, sigmas, start)
    parts = (solution, torch.zeros_like(y), data, slopes)  # Σ Kᵀu = 0
    fixed = torch.cat([part.flatten(1) for part in parts], 1)
    distance = float(solver.norm(solver.init().z - fixed))
    run = PDHG(None, blocks, tau, tuple(factor * sigma for sigma in sigmas), start)
    return RateCase(
        "pdhg",
        "‖z_{k+1} − z_k‖_M",
        lambda n: changes(run, n),
        lambda k: distance / math.sqrt(k + 1),
        "‖z₀ − z*‖_M/√(k+1)",
        "He & Yuan 2015; Chambolle & Pock 2011, Thm 1",
    )


CASES = [
    gradient_descent(),
    proximal_gradient("proximal-gradient"),
    proximal_gradient("ista"),
    fista(),
    fista_strong(),
    *(splitting(name) for name in ("hqs", "drs", "admm")),
    pdhg(),
]
# The same measurements with a step or a relaxation that is too long: they break the bounds.
BROKEN = [
    gradient_descent(1.1),
    proximal_gradient("proximal-gradient", 4.4),
    proximal_gradient("ista", 2.2),
    fista(1.6),
    fista_strong(1.6),
    *(splitting(name, 2.4) for name in ("hqs", "drs", "admm")),
    pdhg(40.0),
]

"""Rates of the iterations of one map, accelerated or not, and of the algebraic solvers.

Each case runs a registered solver on a problem whose solution is known by construction; the
functions take a factor on the step, so that a test can show that the bound would break.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from operators import Convolution, LinearOperator
from pnp_recon import guarantees
from pnp_recon.fidelity import LeastSquares
from pnp_recon.priors.denoiser import wrap
from pnp_recon.problems.noise import seeded
from pnp_recon.solvers import (
    CGLS,
    RED,
    SIRT,
    SOLVERS,
    Anderson,
    FixedPoint,
    Halpern,
    KrasnoselskiiMann,
    Landweber,
    Plugged,
    Solver,
)
from pnp_recon.solvers.core.laws import picard_rate
from scripts.figures.rates.case import RateCase

SIDE = 16
AVERAGED = "Lieder 2018, Thm 4.9 (½-averaged maps: Gu & Yang 2020)"


def trace(solver: Solver, n: int, quantity: Callable[[Tensor], float]) -> list[float]:
    """`quantity` of z_1 ... z_n. The solver is not asked for its certificate."""
    state = solver.init()
    found = []
    for k in range(n):
        state = solver.step(state, k).state
        found.append(quantity(state.z))
    return found


def residuals(solver: Solver, n: int) -> list[float]:
    """‖T z_k − z_k‖ for k = 1 ... n, as the solver measures it."""
    state = solver.init()
    found = []
    for k in range(n + 1):
        step = solver.step(state, k)
        moved = solver.norm(step.z - state.z) if step.residual is None else step.residual
        found.append(float(moved))
        state = step.state
    return found[1:]


# ---- maps of the plane and of the line -----------------------------------------------------------


def rotation(angle: float) -> FixedPoint:
    """Rotation of the plane about zero, starting at distance one."""
    c, s = math.cos(angle), math.sin(angle)
    turn = torch.tensor([[c, s], [-s, c]], dtype=torch.float64)
    start = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    return FixedPoint(lambda z: z @ turn, guarantees.lipschitz(1.0, "rotation"), start, 1.0)


def km(factor: float = 1.0, weight: float = 0.7, touch: int = 30) -> RateCase:
    """The rotation whose bound is attained after `touch` steps; `factor` multiplies its radius."""
    s = min(1 / ((touch + 1) * 4 * weight * (1 - weight)), 1.0)
    inner = rotation(2 * math.asin(math.sqrt(s)))
    grown = FixedPoint(lambda z: factor * inner.function(z), inner.guarantee, inner.start, 1.0)
    return RateCase(
        "km",
        "‖z_k − T z_k‖",
        lambda n: residuals(KrasnoselskiiMann(grown, weight), n),
        lambda k: picard_rate(weight, k) / weight,
        "(1 − 1/(k+1))^{k/2} ‖z₀ − z*‖ / √(λ(1−λ)(k+1)), attained at k = 30",
        AVERAGED,
    )


def halpern(factor: float = 1.0, last: int = 50) -> RateCase:
    """A shift that ends in a reflection: its bound is attained after `last` steps."""
    shift = 2 / (last + 1)
    inner = FixedPoint(
        lambda z: z - factor * torch.where(z >= shift / 2, shift + 0 * z, 2 * z),
        guarantees.averaged(1.0, "shift, then reflection"),
        torch.ones(1, 1, dtype=torch.float64),
        1.0,
    )
    return RateCase(
        "halpern",
        "‖z_k − T z_k‖",
        lambda n: residuals(Halpern(inner), n),
        lambda k: 2 / (k + 1),
        "2‖z₀ − z*‖/(k+1), attained at k = 50",
        "Lieder 2021, Thm 2.1",
    )


def anderson(factor: float = 1.0, size: int = 60, rate: float = 0.97) -> RateCase:
    """A linear contraction with eigenvalues between −rate and rate."""
    slopes = factor * torch.linspace(-rate, rate, size, dtype=torch.float64)
    start = torch.ones(1, size, dtype=torch.float64)
    inner = FixedPoint(lambda z: slopes * z, guarantees.lipschitz(rate, "diagonal"), start)
    first = float(((slopes - 1) * start).norm())
    return RateCase(
        "anderson",
        "‖z_k − T z_k‖",
        lambda n: residuals(Anderson(inner), n),
        lambda k: rate**k * first,
        "q^k ‖z₀ − T z₀‖ for a linear contraction with constant q",
        "Toth & Kelley 2015, Thm 2.1",
    )


# ---- a denoiser and a blur with a known fixed point ----------------------------------------------


class _Known:
    """x* with y = A x* and D(x*) = x*, D = x* + S(· − x*), S symmetric with spectrum in [0, 1].

    S hardly smooths, and A sees no high frequencies: convergence is slow, as in practice.
    """

    def __init__(self, factor: float = 1.0) -> None:
        smooth = torch.tensor([[1.0, 2.0, 1.0]], dtype=torch.float64) / 4
        shape = (1, SIDE, SIDE)
        self.A = Convolution(smooth, shape)
        light = 0.02 * smooth.T @ smooth
        light[1, 1] += 0.98
        S = Convolution(light, shape)
        grid = torch.linspace(0, 2 * math.pi, SIDE + 1, dtype=torch.float64)[:-1]
        self.solution = (0.5 + 0.2 * torch.sin(grid)[:, None] * torch.cos(grid))[None, None]
        generator = seeded(0)
        self.start = torch.rand(1, *shape, generator=generator, dtype=torch.float64)
        self.distance = float((self.start - self.solution).norm())
        held = guarantees.firm("symmetric with eigenvalues in [0, 1]")
        denoiser = wrap(
            lambda x, sigma: self.solution + factor * S.A(x - self.solution), "smoothing", held
        )
        self.fidelity = LeastSquares(self.A, self.A.A(self.solution))
        self.denoiser = Plugged(denoiser, 0.1)


def plugged(name: str, factor: float = 1.0) -> RateCase:
    """PnP-PGD, PnP-HQS, PnP-DRS or RED; `factor` multiplies the denoiser, or the step of RED."""
    problem = _Known(1.0 if name == "red" else factor)
    shared: dict[str, Any] = {
        "fidelity": problem.fidelity,
        "denoiser": problem.denoiser,
        "relaxation": 0.5 if name == "pnp-drs" else 1.0,
        "start": problem.start,
    }
    solver: Solver
    if name == "red":
        solver = RED(**shared, step_size=0.5, weight=1.0)
    elif name == "pnp-pgd":
        solver = SOLVERS[name].load()(**shared, step_size=1.0)
    else:
        solver = SOLVERS[name].load()(**shared, gamma=1.0)
    alpha = solver.theorem().guarantee.averagedness
    assert alpha is not None
    if name == "red":
        solver = RED(**shared, step_size=0.5 * factor, weight=1.0)
    return RateCase(
        name,
        "‖z_{k+1} − z_k‖",
        lambda n: residuals(solver, n),
        lambda k: picard_rate(alpha, k) * problem.distance,
        f"α-averaged, α = {alpha:.3f}: (1 − 1/(k+1))^{{k/2}} √(α/((1−α)(k+1))) ‖z₀ − z*‖",
        AVERAGED,
    )


# ---- an integral equation ------------------------------------------------------------------------


class Matrix(LinearOperator):
    """A matrix without negative entries, acting on pictures (1, 1, n)."""

    def __init__(self, matrix: Tensor) -> None:
        rows, columns = matrix.shape
        super().__init__("matrix", (1, 1, columns), (1, 1, rows), nonnegative=True)
        self.matrix = matrix

    def _forward_map(self, x: Tensor) -> Tensor:
        return x @ self.matrix.T.to(x)

    def _transpose_map(self, y: Tensor) -> Tensor:
        return y @ self.matrix.to(y)


def integration(size: int = 64) -> tuple[Matrix, Tensor, LeastSquares]:
    """Running sums over `size` points: ill-conditioned, with a known rough solution."""
    A = Matrix(torch.ones(size, size, dtype=torch.float64).tril() / size)
    solution = torch.zeros(1, 1, 1, size, dtype=torch.float64)
    solution[..., size // 4 : size // 2] = 1.0
    solution[..., 3 * size // 4] = 2.0
    return A, solution, LeastSquares(A, A.A(solution))


def spectral(k: int) -> float:
    """max of t^½(1 − t)^k over [0, 1]."""
    return (2 * k / (2 * k + 1)) ** k / math.sqrt(2 * k + 1)


def landweber(factor: float = 1.0) -> RateCase:
    A, solution, fidelity = integration()
    step = factor / fidelity.lipschitz
    solver = Landweber(fidelity, torch.zeros_like(solution), step_size=step)
    bound = float(solution.norm()) * math.sqrt(fidelity.lipschitz)
    return RateCase(
        "landweber",
        "‖A x_k − y‖",
        lambda n: trace(solver, n, lambda z: float((A.A(z) - fidelity.y).norm())),
        lambda k: bound * spectral(k),
        "(2k/(2k+1))^k ‖x₀ − x*‖ / √(τ(2k+1)), τ = 1/L",
        "Engl, Hanke & Neubauer 1996, §6.1",
    )


def sirt(factor: float = 1.0) -> RateCase:
    A, solution, fidelity = integration()
    solver = SIRT(fidelity, torch.zeros_like(solution), relaxation=factor)
    rows = A.A(torch.ones_like(solution))
    bound = float(solver.norm(solution))
    return RateCase(
        "sirt",
        "‖R^½(A x_k − y)‖",
        lambda n: trace(solver, n, lambda z: float(((A.A(z) - fidelity.y) / rows.sqrt()).norm())),
        lambda k: bound * spectral(k),
        "(2k/(2k+1))^k ‖x₀ − x*‖_{C⁻¹} / √(2k+1)",
        "Gregor & Benson 2008 (‖R^½ A C^½‖ ≤ 1), with Engl, Hanke & Neubauer 1996, §6.1",
    )


def cgls() -> RateCase:
    A, solution, fidelity = integration()
    solver = CGLS(fidelity, torch.zeros_like(solution))
    bound = float(solution.norm()) * A.norm_bound
    return RateCase(
        "cgls",
        "‖A x_k − y‖",
        lambda n: trace(solver, n, lambda z: float((A.A(z) - fidelity.y).norm())),
        lambda k: bound / (2 * k + 1),
        "‖A‖ ‖x₀ − x*‖/(2k+1)",
        "Nemirovskii & Polyak 1984; Hanke 1995, Thm 3.1",
        iterations=60,
    )


PLUG_AND_PLAY = ("pnp-pgd", "pnp-hqs", "pnp-drs")
CASES = [
    km(),
    halpern(),
    anderson(),
    *(plugged(name) for name in (*PLUG_AND_PLAY, "red")),
    landweber(),
    sirt(),
    cgls(),
]
# The same measurements with an expansive map or a step that is too long: they break the bounds.
BROKEN = [
    km(1.1),
    halpern(1.1),
    anderson(3.0),
    *(plugged(name, -8.0) for name in PLUG_AND_PLAY),
    plugged("red", 5.0),
    landweber(2.2),
    sirt(2.2),
]

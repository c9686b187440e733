"""Small iterations of maps that contract, and how far each iterate's picture is from the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from laws.networks import picture
from laws.solvers import (
    FOREVER,
    LEVEL,
    SIZE,
    TINY,
    blur,
    invertible_kernel,
    measurements,
    random_kernel,
)
from operators import Convolution
from pnp_recon.fidelity import Fidelity, LeastSquares, Ridged
from pnp_recon.priors.denoiser import Denoiser
from pnp_recon.proximal import L1, Ridge
from pnp_recon.solvers import (
    ADMM,
    HQS,
    ISTA,
    RED,
    DouglasRachford,
    GradientDescent,
    Landweber,
    Plugged,
    PnPDRS,
    PnPHQS,
    PnPPGD,
    ProximalGradient,
    Solution,
    Solver,
    Stopping,
    iterate,
)
from pnp_recon.solvers.core.error_bar import Bar

# Of `invertible_kernel`, whose transform is at least 0.4 in modulus.
LEAST = 0.16
RIDGE = 0.15
LATE = 10**6


class Steady(Convolution):
    """A blur that knows a lower bound of AᵀA."""

    gram_lower_bound = LEAST


class Lying(Convolution):
    """A blur that claims more than it has."""

    gram_lower_bound = 0.9


def steady() -> LeastSquares:
    A = Steady(invertible_kernel(), SIZE, "circular")
    return LeastSquares(A, measurements(A))


def ridged(dtype: torch.dtype = torch.float64) -> Ridged:
    """A blur of which nothing below is known, with a ridge; its proximal map is an inner loop."""
    A = blur(invertible_kernel(1), "reflect")
    return Ridged(LeastSquares(A, measurements(A).to(dtype)), RIDGE, 0.5)


def lying() -> LeastSquares:
    A = Lying(random_kernel(0), SIZE, "circular")
    return LeastSquares(A, measurements(A))


def _plug(kind: Callable[..., Solver], relaxation: float, **given: float) -> Callable[..., Solver]:
    def build(f: Fidelity, denoiser: Denoiser = TINY) -> Solver:
        start = picture(1, *SIZE, seed=5).to(f.y)
        return kind(f, Plugged(denoiser, LEVEL), relaxation, start, **given)

    return build


def _split(kind: Callable[..., Solver], gamma: float, weight: float) -> Callable[..., Solver]:
    return lambda f: kind(f, L1(0.02), gamma, picture(1, *SIZE, seed=5).to(f.y), weight)


def _slope(kind: Callable[..., Solver], share: float) -> Callable[..., Solver]:
    prior = Ridge(0.1) if kind is GradientDescent else L1(0.02)

    def build(f: Fidelity) -> Solver:
        step = share / (f.lipschitz + prior.strong_convexity)
        return kind(f, prior, step, picture(1, *SIZE, seed=5).to(f.y))

    return build


SOLVERS: dict[str, Callable[..., Solver]] = {
    "pnp-pgd": _plug(PnPPGD, 1.0, step_size=1.2),
    "pnp-pgd-long": _plug(PnPPGD, 1.0, step_size=1.6),
    "pnp-hqs": _plug(PnPHQS, 1.0, gamma=5.0),
    "pnp-hqs-relaxed": _plug(PnPHQS, 0.6, gamma=2.0),
    "pnp-drs": _plug(PnPDRS, 0.9, gamma=2.0),
    "pnp-drs-half": _plug(PnPDRS, 0.5, gamma=5.0),
    "red": _plug(RED, 1.0, step_size=0.7, weight=0.4),
    "proximal-gradient": _slope(ProximalGradient, 1.0),
    "proximal-gradient-long": _slope(ProximalGradient, 1.7),
    "ista": _slope(ISTA, 1.0),
    "gradient-descent": _slope(GradientDescent, 1.2),
    "hqs": _split(HQS, 3.0, 1.0),
    "hqs-relaxed": _split(HQS, 3.0, 0.8),
    "drs": _split(DouglasRachford, 2.0, 1.0),
    "drs-long": _split(DouglasRachford, 4.0, 1.5),
    "admm": _split(ADMM, 2.0, 1.2),
}
DATA: dict[str, Callable[[], Fidelity]] = {"steady": steady, "ridged": ridged}


def landweber() -> Landweber:
    return Landweber(steady(), picture(1, *SIZE, seed=5), (0.0, 1.0), step_size=1.1)


@dataclass(frozen=True)
class Run:
    """A solution, and of every iteration the proven bar and the true error of the picture."""

    solution: Solution
    bars: list[Bar]
    errors: list[float]


def end_of(solver: Solver, iterations: int = 2000) -> Tensor:
    """The picture of the fixed point, to 1e-12 by the bar of the true constant.

    Every step solves its inner problems down to rounding, as the steps of a late iteration do.
    """
    bar = solver.theorem().error_bar
    assert bar is not None
    with torch.no_grad():
        state = solver.init()
        for _ in range(iterations):
            step = solver.step(state, LATE)
            moved = solver.norm(step.z - state.z) if step.residual is None else step.residual
            state = step.state
            if bar.bound(float(moved)) < 1e-13:
                break
        assert bar.bound(float(moved), float(step.error)) < 1e-12
        return solver.image(state)


def last_bar(solver: Solver, solution: Solution, k: int = -1, precision: float = 0.0) -> Bar:
    """The bar after iteration k; inner pictures are computed to 1e-12 at worst here."""
    history, bar = solution.history, solution.certificate.theorem.error_bar
    assert bar is not None
    return bar.bar(
        history.residuals[k][0],
        history.errors[k][0],
        solution.image[0].numel(),
        norm=history.norms[k][0],
        precision=precision,
    )


def followed(solver: Solver, end: Tensor, iterations: int = 40) -> Run:
    """A run of which every picture is compared with `end`."""
    errors: list[float] = []
    solution = iterate(
        solver,
        Stopping(FOREVER, iterations, check_every=1),
        callback=lambda look: errors.append(float((look.image() - end).norm())),
    )
    precision = torch.finfo(solution.image.dtype).eps
    bars = [last_bar(solver, solution, k, precision) for k in range(solution.iterations)]
    return Run(solution, bars, errors)

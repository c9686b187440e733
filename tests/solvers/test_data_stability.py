"""How far pictures move with the measurement: attacked, in formulas, and where nothing is said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from laws.solvers import SIZE, invertible_kernel, measurements
from operators import Inpainting
from pnp_recon import guarantees
from pnp_recon.fidelity import LeastSquares
from pnp_recon.priors.denoiser import wrap
from pnp_recon.solvers import KrasnoselskiiMann, Plugged, PnPHQS, PnPPGD, Solver, Stopping, iterate
from pnp_recon.solvers.core.data_stability import GAIN, data_stability, gain, words
from pnp_recon.solvers.core.theorem import AveragedMap, Contraction, unproven
from support.contractions import Steady, steady

KEEPING = wrap(lambda x, sigma: x, "keeping", guarantees.firm("the identity"))
Build = Callable[[LeastSquares], Solver]


def start() -> Tensor:
    return torch.full((1, *SIZE), 0.5, dtype=torch.float64)


def pgd(f: LeastSquares, step: float = 1.5) -> Solver:
    return PnPPGD(f, Plugged(KEEPING, 0.1), 1.0, start(), step_size=step)


def hqs(f: LeastSquares) -> Solver:
    return PnPHQS(f, Plugged(KEEPING, 0.1), 1.0, start(), gamma=4.0)


BUILD = {"pgd": pgd, "hqs": hqs}


def wide() -> LeastSquares:
    """Missing pixels: nothing is known below, hence no contraction."""
    mask = (torch.arange(SIZE[1] * SIZE[2]).view(SIZE) % 3 > 0).double()
    A = Inpainting(mask)
    return LeastSquares(A, measurements(A))


def after(build: Build, f: LeastSquares, steps: int) -> Tensor:
    solver = build(f)
    state = solver.init()
    for k in range(steps):
        state = solver.step(state, k).state
    return solver.image(state)


def attained(build: Build, f: LeastSquares, steps: int, size: float = 1e-3) -> float:
    """Largest quotient found of a small move of y, by power iteration on differences."""
    base = after(build, f, steps)
    d = torch.ones_like(f.y)
    best = 0.0
    for _ in range(30):
        y = (f.y + size * d / d.norm()).requires_grad_()
        moved = after(build, replace(f, y=y), steps) - base
        ratio = moved.norm() / (y - f.y).norm()
        best = max(best, float(ratio.detach()))
        d = torch.autograd.grad(moved.square().sum(), y)[0]
    return best


@pytest.mark.parametrize("name", BUILD)
@pytest.mark.parametrize("data", [steady, wide], ids=["contracting", "averaged"])
@pytest.mark.parametrize("steps", [1, 3, 12])
def test_no_attack_moves_the_picture_further(
    name: str, data: Callable[[], LeastSquares], steps: int
) -> None:
    f = data()
    theorem = BUILD[name](f).theorem()
    found = data_stability(theorem, steps)
    assert found is not None
    assert found.steps is not None
    reached = attained(BUILD[name], f, steps)
    assert reached <= found.steps * (1 + 1e-9)
    if found.limit is not None:
        assert found.steps <= found.limit
    if steps == 1:
        half = replace(
            theorem,
            constants=tuple(
                replace(c, value=c.value / 2) if c.name == GAIN else c for c in theorem.constants
            ),
        )
        claimed = data_stability(half, steps)
        assert claimed is not None
        assert claimed.steps is not None
        assert reached > claimed.steps  # twin: a gain declared half is caught


def test_constants_are_those_of_the_page() -> None:
    solver = pgd(steady(), 1.2)
    theorem, q = solver.theorem(), solver.theorem().guarantee.lipschitz
    assert q is not None
    assert gain(theorem) == pytest.approx(1.2 * solver.fidelity.A.norm_bound)  # type: ignore[attr-defined]
    found = data_stability(theorem, 5)
    assert found is not None
    assert found.limit == pytest.approx(gain(theorem) / (1 - q))  # type: ignore[operator]
    assert found.steps == pytest.approx(gain(theorem) * (1 - q**5) / (1 - q))  # type: ignore[operator]
    averaged = data_stability(pgd(wide(), 1.2).theorem(), 7)
    assert averaged is not None
    assert averaged.limit is None
    assert averaged.steps == pytest.approx(7 * 1.2, rel=1e-6)


def test_a_proximal_step_of_the_best_coupling_is_as_stable_as_the_inverse() -> None:
    """At γ = 1/m the limit moves by at most 1/√m, which is the norm of A⁻¹."""
    A = Steady(invertible_kernel(), SIZE, "circular")
    m = A.gram_lower_bound
    solver = PnPHQS(
        LeastSquares(A, measurements(A)), Plugged(KEEPING, 0.1), 1.0, start(), gamma=1 / m
    )
    found = data_stability(solver.theorem(), 10)
    assert found is not None
    assert found.limit == pytest.approx(m**-0.5, rel=1e-6)


def test_what_is_said_in_a_run() -> None:
    stopping = Stopping(1e-30, 6, check_every=1)
    for data, kind, part in (
        (steady, Contraction, "the one solution by at most"),
        (wide, AveragedMap, "after as many steps from the same start"),
    ):
        certificate = iterate(pgd(data()), stopping).certificate
        assert type(certificate.theorem) is kind
        assert any(part in remark for remark in certificate.remarks)


def test_nothing_is_said_where_nothing_is_proven() -> None:
    free = wrap(lambda x, sigma: x, "free")
    solver = PnPPGD(wide(), Plugged(free, 0.1), 1.0, start(), step_size=1.0)
    assert data_stability(solver.theorem(), 5) is None
    assert words(unproven("no reason"), 5) == ""
    around = KrasnoselskiiMann(pgd(wide()), relaxation=0.7).theorem()
    found = data_stability(around, 5)  # other steps than those of T
    assert found is None or found.steps is None

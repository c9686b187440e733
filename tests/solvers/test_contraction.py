"""Where f is strongly convex or the denoiser contracts: one fixed point, a rate, an error bar."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from laws.solvers import FOREVER, SIZE, TINY, blur, measurements, random_kernel
from pnp_recon import guarantees
from pnp_recon.fidelity import Fidelity, LeastSquares
from pnp_recon.priors.denoiser import wrap
from pnp_recon.solvers import (
    Anderson,
    Contraction,
    FixedPoint,
    Halpern,
    KrasnoselskiiMann,
    Nesterov,
    Solver,
    Status,
    Stopping,
    iterate,
)
from pnp_recon.solvers.core.error_bar import Bar, ErrorBar
from pnp_recon.solvers.core.theorem import AveragedMap, Basis
from support.contractions import (
    DATA,
    LEAST,
    RIDGE,
    SOLVERS,
    end_of,
    followed,
    landweber,
    lying,
    ridged,
    steady,
)

AROUND = {
    "km": lambda solver: KrasnoselskiiMann(solver, relaxation=0.7),
    "km-long": lambda solver: KrasnoselskiiMann(solver, relaxation=1.02),
    "halpern": Halpern,
    "anderson": Anderson,
    "nesterov": Nesterov,
}
# It keeps every frequency, so that the slowest of the data shows.
KEEPING = wrap(lambda x, sigma: x, "keeping", guarantees.firm("the identity"))
PLUGGED = [name for name in SOLVERS if name.startswith(("pnp", "red"))]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """A second thread only waits for tensors as small as these."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


# ---- what the theorem says -----------------------------------------------------------------------


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("name", SOLVERS)
def test_every_solver_contracts_where_the_fidelity_is_strongly_convex(name: str, data: str) -> None:
    theorem = SOLVERS[name](DATA[data]()).theorem()
    assert isinstance(theorem, Contraction)
    assert theorem.error_bar is not None
    assert theorem.error_bar.constant == theorem.guarantee.lipschitz < 1  # type: ignore[operator]
    assert "its fixed point is the only one" in theorem.statement
    assert "Banach 1922" in theorem.statement
    named = {constant.name: constant.value for constant in theorem.constants}
    assert named["q"] == theorem.guarantee.lipschitz
    known = LEAST if data == "steady" else RIDGE
    assert named.get("m of f", named.get("m")) >= known * (1 - 1e-12)


@pytest.mark.parametrize("name", [name for name in SOLVERS if name != "gradient-descent"])
def test_nothing_contracts_where_nothing_is_known(name: str) -> None:
    A = blur(random_kernel(0), "reflect")
    if LeastSquares(A, measurements(A)).strong_convexity > 0:
        pytest.skip("a lower bound is known of this blur")
    theorem = SOLVERS[name](LeastSquares(A, measurements(A))).theorem()
    assert type(theorem) is AveragedMap
    assert theorem.error_bar is None
    assert "only one" not in theorem.statement


@pytest.mark.parametrize("name", PLUGGED)
def test_a_denoiser_that_contracts_is_enough(name: str) -> None:
    A = blur(random_kernel(0))
    held = guarantees.lipschitz(0.8, "constructed in a test")
    denoiser = wrap(lambda x, sigma: 0.8 * TINY(x, sigma), "short", held)
    theorem = SOLVERS[name](LeastSquares(A, measurements(A)), denoiser).theorem()
    assert isinstance(theorem, Contraction), theorem.guarantee


def test_a_ridge_outweighs_a_denoiser_that_expands() -> None:
    """Lip(N) = 1.05 is outside every averaged theorem; with 1/(1 + γm) T contracts all the same."""
    held = guarantees.lipschitz(1.05, "constructed in a test")
    wide = wrap(lambda x, sigma: 1.05 * TINY(x, sigma), "wide", held)
    solver = SOLVERS["pnp-hqs"](ridged(), wide)
    assert isinstance(solver.theorem(), Contraction)
    run = followed(solver, end_of(solver), 25)
    assert run.solution.certificate.holds, run.solution.certificate.lines()
    assert all(bar.norm >= error for bar, error in zip(run.bars, run.errors, strict=True))
    assert not SOLVERS["pnp-drs"](ridged(), wide).theorem().holds


def test_the_constants_by_hand() -> None:
    f = ridged()
    m, L = f.strong_convexity, f.lipschitz
    wanted = {
        "pnp-pgd": max(1 - 1.2 * m, 1.2 * L - 1),
        "pnp-hqs": 1 / (1 + 5 * m),
        "pnp-drs": 0.1 + 0.9 * max((1 - 2 * m) / (1 + 2 * m), (2 * L - 1) / (2 * L + 1)),
        "proximal-gradient": 1 - m / L,
        "hqs": 1 / (1 + 3 * m),
        "drs": 0.5 + 0.5 * max((1 - 2 * m) / (1 + 2 * m), (2 * L - 1) / (2 * L + 1)),
    }
    for name, constant in wanted.items():
        assert SOLVERS[name](f).theorem().guarantee.lipschitz == pytest.approx(constant), name
    assert SOLVERS["pnp-drs"](f).theorem().error_bar.picture == pytest.approx(1 / (1 + 2 * m))  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["pnp-hqs", "drs"])
def test_a_bound_that_somebody_declares_is_a_declared_premise(name: str) -> None:
    def declared(f: Fidelity) -> list[str]:
        premises = SOLVERS[name](f).theorem().premises
        return [p.words for p in premises if p.basis is Basis.DECLARED and "‖A x‖² ≥" in p.words]

    (words,) = declared(steady())
    assert words.startswith("‖A x‖² ≥ 0.16‖x‖² for A = 'circular convolution")
    assert declared(ridged()) == []


# ---- laws on the run -----------------------------------------------------------------------------


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("name", SOLVERS)
def test_the_bar_is_above_the_true_error_and_residuals_shrink(name: str, data: str) -> None:
    solver = SOLVERS[name](DATA[data]())
    end = end_of(solver)
    run = followed(solver, end)
    assert run.solution.certificate.holds, run.solution.certificate.lines()
    # Some are so fast that rounding ends them.
    assert len(run.bars) == len(run.errors)
    assert len(run.bars) == 40 or run.solution.status is Status.STAGNATED
    for bar, error in zip(run.bars, run.errors, strict=True):
        assert bar.norm >= error - 1e-12
    laws = [item.law for item in run.solution.certificate.observed]
    assert laws[0].startswith("‖z_{k+1}−z_k‖ at most q‖z_k−z_{k−1}‖")


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize(
    "name", ["pnp-pgd", "pnp-hqs", "pnp-drs", "red", "proximal-gradient", "drs"]
)
def test_the_bar_holds_around_accelerations(name: str, around: str) -> None:
    plain = SOLVERS[name](ridged() if name != "drs" else steady())
    solver = AROUND[around](plain)
    theorem = solver.theorem()
    assert theorem.error_bar is not None
    assert theorem.error_bar.constant == plain.theorem().guarantee.lipschitz
    assert "its fixed point is the only one" in theorem.statement
    run = followed(solver, end_of(plain), 30)
    assert run.solution.certificate.holds, run.solution.certificate.lines()
    for bar, error in zip(run.bars, run.errors, strict=True):
        assert bar.norm >= error - 1e-12


def test_landweber_contracts_as_well() -> None:
    solver = landweber()
    assert isinstance(solver.theorem(), Contraction)
    run = followed(solver, end_of(solver))
    assert run.solution.certificate.holds, run.solution.certificate.lines()
    assert all(bar.norm >= e - 1e-12 for bar, e in zip(run.bars, run.errors, strict=True))


@pytest.mark.parametrize("name", ["pnp-hqs", "pnp-pgd", "pnp-drs"])
def test_the_bar_allows_for_single_precision(name: str) -> None:
    end = end_of(SOLVERS[name](ridged()))
    denoiser = wrap(lambda x, s: TINY(x.double(), s).to(x.dtype), "rounded", TINY.guarantee)
    run = followed(SOLVERS[name](ridged(torch.float32), denoiser), end, 60)
    assert run.solution.image.dtype == torch.float32
    assert run.solution.certificate.holds, run.solution.certificate.lines()
    assert all(bar.norm >= error for bar, error in zip(run.bars, run.errors, strict=True))
    assert run.bars[-1].rms_255 < 1  # and says something


def test_any_start_leads_to_the_one_fixed_point() -> None:
    f = ridged()
    ends = []
    for value in (0.0, 1.0):
        start = torch.full((1, *SIZE), value, dtype=torch.float64)
        ends.append(end_of(replace(SOLVERS["pnp-hqs"](f), start=start)))  # type: ignore[type-var, call-arg]
    torch.testing.assert_close(*ends, rtol=0, atol=2e-12)


# ---- twins: a modulus that is too large is caught -----------------------------------------------


@pytest.mark.parametrize("name", SOLVERS)
def test_a_modulus_that_is_too_large_is_caught(name: str) -> None:
    keeping = (KEEPING,) if name in PLUGGED else ()
    solution = iterate(SOLVERS[name](lying(), *keeping), Stopping(FOREVER, 40))
    assert isinstance(solution.certificate.theorem, Contraction)
    assert solution.certificate.contradicted, solution.certificate.lines()


@pytest.mark.parametrize("around", AROUND)
def test_a_modulus_that_is_too_large_is_caught_around_accelerations(around: str) -> None:
    solver: Solver = AROUND[around](SOLVERS["pnp-hqs"](lying(), KEEPING))
    solution = iterate(solver, Stopping(FOREVER, 30))
    assert solution.certificate.contradicted, solution.certificate.lines()


def test_a_bar_by_a_modulus_that_is_too_large_is_below_the_true_error() -> None:
    """The test above can fail: with the false constant some bar is too small."""
    false = SOLVERS["pnp-pgd"](lying())
    end = iterate(false, Stopping(1e-13, 3000, check_every=20)).image
    run = followed(false, end, 5)
    assert any(bar.norm < error for bar, error in zip(run.bars, run.errors, strict=True))


# ---- the numbers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("q", [0.0, 0.5, 0.999])
def test_the_bar_is_attained(q: float) -> None:
    """T z = qz: after a step from 1 the point is q, and the bar says q."""
    assert ErrorBar(q).bound(1 - q) == pytest.approx(q)
    assert ErrorBar(q, after=1.0).bound(1 - q) == pytest.approx(1.0)


def test_inner_errors_and_rounding_are_counted() -> None:
    bar = ErrorBar(0.9)
    assert bar.bound(0.01, 0.002) == pytest.approx((0.9 * 0.01 + 0.002) / 0.1)
    assert bar.bound(0.01, 0.001, 0.001) == pytest.approx(bar.bound(0.01, 0.002))
    found = bar.bar(0.01, 0.0, 400, norm=10.0, precision=1e-7, picture_error=0.5)
    assert found.norm > bar.bound(0.01) + 0.5
    half = ErrorBar(0.9, picture=0.5).bar(0.01, 0.0, 400)
    assert half.norm == pytest.approx(0.5 * bar.bound(0.01))


def test_a_bar_in_image_units() -> None:
    bar = Bar(2.0, 400)
    assert bar.rms == pytest.approx(0.1)
    assert bar.rms_255 == pytest.approx(25.5)
    assert "within 26/255" in str(bar)
    assert "wider than the range" in str(Bar(20.0, 400))


@pytest.mark.parametrize("constant", [1.0, -0.1, float("nan")])
def test_no_bar_without_a_contraction(constant: float) -> None:
    with pytest.raises(ValueError, match="constant in"):
        ErrorBar(constant)


def test_a_function_that_contracts_needs_no_premise_of_a_fixed_point() -> None:
    held = guarantees.lipschitz(0.5, "constructed in a test")
    solver = FixedPoint(lambda z: 0.5 * z + 1, held, torch.zeros(1, 4).double())
    theorem = solver.theorem()
    assert isinstance(theorem, Contraction)
    assert [premise.words for premise in theorem.premises] == [
        "T is averaged, as its guarantee says"
    ]

"""State is explicit: a solver keeps nothing between steps, looks or runs."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from laws.adversary.judge import tiny_energy
from laws.networks import picture
from laws.solvers import SIZE, TINY, random_kernel, run
from operators import Convolution, from_callable
from pnp_recon.errors import StepSizeError
from pnp_recon.fidelity import LeastSquares
from pnp_recon.problems.problem import Problem
from pnp_recon.proximal import L1, Ridge, TotalVariation
from pnp_recon.reconstruction import reconstruct
from pnp_recon.solvers import ACCELERATIONS, SOLVERS, PnPDRS, Solver, Stopping, iterate
from pnp_recon.solvers.choice import configured
from pnp_recon.solvers.knobs import Knobs
from pnp_recon.solvers.pnp.base import Warm

STEPS = Stopping(tol=1e-300, max_iter=12, check_every=3)


def blurred() -> Problem:
    """Replicated borders: the proximal map is a loop of its own, whose start is a warm one."""
    A = Convolution(random_kernel(0), SIZE, "replicate")
    return Problem(A, A.A(picture(1, *SIZE, seed=3)), 0.02, start=picture(1, *SIZE, seed=5))


def solver_of(name: str) -> Solver:
    """A registered solver for that blur; total variation has an inexact proximal map, too."""
    entry = SOLVERS[name]
    kind = entry.prior_kinds[0]
    functional = {"gradient-descent": Ridge(0.1), "ista": L1(0.01), "fista": L1(0.01)}
    priors = {"denoiser": TINY, "functional": functional.get(name, TotalVariation(0.02))}
    prior = tiny_energy() if kind == "energy" else priors.get(kind)
    level = 0.1 if kind == "denoiser" else None
    return configured(prior, entry, blurred(), Knobs(denoiser_level=level))


def same_with_and_without_looks(make: Callable[[], Solver]) -> bool:
    quiet = iterate(make(), STEPS).image
    looked = iterate(make(), STEPS, callback=lambda look: look.image()).image
    judged = iterate(make(), STEPS, reference=picture(1, *SIZE, seed=1)).image
    return torch.equal(quiet, looked) and torch.equal(quiet, judged)


def same_twice(solver: Solver) -> bool:
    first, second = iterate(solver, STEPS), iterate(solver, STEPS)
    return (
        torch.equal(first.image, second.image)
        and first.history.residuals == second.history.residuals
        and first.parameters == second.parameters
    )


@pytest.mark.parametrize("name", SOLVERS)
def test_looking_changes_nothing(name: str) -> None:
    assert same_with_and_without_looks(lambda: solver_of(name))


@pytest.mark.parametrize("name", SOLVERS)
def test_a_solver_runs_twice(name: str) -> None:
    assert same_twice(solver_of(name))


@pytest.mark.parametrize("label", ACCELERATIONS)
@pytest.mark.parametrize("name", ["pnp-drs", "admm"])
def test_so_does_an_accelerated_one(label: str, name: str) -> None:
    wrapper = ACCELERATIONS[label].load()
    assert same_twice(wrapper(solver_of(name)))
    assert same_with_and_without_looks(lambda: wrapper(solver_of(name)))


class Remembering(PnPDRS):
    """A broken twin: it keeps its last inner solution to itself, as a look leaves it."""

    def prox(self, state: Warm, iteration: int = 10_000) -> tuple[Tensor, Tensor]:
        kept = self.__dict__.get("kept")
        found = super().prox(Warm(state.z, kept), iteration)
        self.__dict__["kept"] = found[0]
        return found


def test_a_hidden_warm_start_is_caught() -> None:
    def make() -> Solver:
        plain = solver_of("pnp-drs")
        return Remembering(*(getattr(plain, field) for field in plain.__dataclass_fields__))

    assert not same_with_and_without_looks(make)
    assert not same_twice(make())


def test_a_step_of_zero_is_not_taken_for_the_default() -> None:
    problem = blurred()
    for solver in ("red", "pnp-pgd", "pnp-fista"):
        with pytest.raises(StepSizeError, match="step size 0 lies outside"):
            reconstruct(problem.y, problem.A, TINY, solver=solver, step=0.0, noise_level=0.02)
    taken = reconstruct(
        problem.y,
        problem.A,
        TINY,
        solver="red",
        step=0.0,
        noise_level=0.02,
        allow_uncertified=True,
        stopping=Stopping(max_iter=1),
    )
    assert taken.parameters["step"] == 0
    assert run("pnp-hqs").certificate.holds
    assert LeastSquares(problem.A, problem.y).name


class Forgetful:
    """A blur whose measurements change after so many calls, whatever was measured of it before."""

    def __init__(self, A: Convolution, calls: float, after: Callable[[Tensor], Tensor]) -> None:
        self.A, self.calls, self.after = A, calls, after

    def __call__(self, x: Tensor) -> Tensor:
        self.calls -= 1
        y = self.A.A(x)
        return y if self.calls > 0 else self.after(y)


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (None, "certified: "),
        (lambda y: 5 * y, "not certified: 'Forgetful' no longer answers"),
        (lambda y: -y, "not certified: 'Forgetful' no longer answers"),
        (lambda y: y + 0.05 * torch.randn_like(y), "not certified: 'Forgetful' no longer answers"),
    ],
)
def test_an_operator_that_changes_its_answers_voids_the_certificate(
    after: Callable[[Tensor], Tensor] | None, words: str
) -> None:
    held = Convolution(random_kernel(0), SIZE, "replicate")
    maps = Forgetful(held, math.inf, after or torch.clone)
    brought = from_callable(maps, held.A_adjoint, held.image_shape, held.measurement_shape)
    maps.calls = math.inf if after is None else 40
    problem = Problem(brought, held.A(picture(1, *SIZE, seed=3)), 0.02)
    solver = configured(TINY, SOLVERS["pnp-drs"], problem, Knobs(denoiser_level=0.1))
    assert iterate(solver, Stopping(max_iter=30)).certificate.verdict.startswith(words)

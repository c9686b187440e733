"""`reconstruct(keep_total=True)`: the law, its line in the certificate, twins, and what keeps it
anyway."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from laws.networks import picture
from laws.solvers import SIZE, TINY, blur, random_kernel
from operators.base import LinearOperator
from pnp_recon import reconstruct
from pnp_recon.errors import InputError
from pnp_recon.fidelity import Huber
from pnp_recon.proximal import BoxTotal, TotalVariation
from pnp_recon.solvers import Stopping
from pnp_recon.solvers.kept import LAW

SIGMA = 0.02


def posed(border: str = "circular") -> tuple[Tensor, LinearOperator]:
    A = blur(random_kernel(0), border)
    x = picture(1, *SIZE, seed=3)
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(1), dtype=x.dtype)
    return A.A(x) + SIGMA * noise, A


def off(A: LinearOperator, y: Tensor, x: Tensor) -> float:
    """Of the mean, by channel."""
    return float((A.A(x.double()) - y).mean((2, 3)).abs().max())


def run(y: Tensor, A: LinearOperator, prior: object = TINY, **settings: object):  # type: ignore[no-untyped-def]
    settings = {"stopping": Stopping(1e-4, 30), "noise_level": SIGMA, **settings}
    return reconstruct(y, A, prior, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("solver", ["pnp-pgd", "pnp-hqs", "red", "pnp-fista"])
@pytest.mark.parametrize("border", ["circular", "reflect"])
def test_the_total_stays_and_the_certificate_says_so(solver: str, border: str) -> None:
    y, A = posed(border)
    given = {"solver": solver, "denoiser_level": 0.1}
    solution, twin = run(y, A, keep_total=True, **given), run(y, A, **given)
    laws = [item for item in solution.certificate.observed if item.law == LAW]
    assert solution.certificate.holds, solution.certificate.lines()
    assert len(laws) == 1
    assert off(A, y, solution.image) < 1e-12
    assert 0 <= float(solution.image.min()) <= float(solution.image.max()) <= 1
    assert "Σ A x = Σ y" in " ".join(item.words for item in solution.certificate.theorem.premises)
    # Without it nothing is said, nor kept.
    assert off(A, y, twin.image) > 1e-6
    assert LAW not in {item.law for item in twin.certificate.observed}


@pytest.mark.parametrize("acceleration", ["none", "halpern", "anderson"])
def test_accelerations_return_pictures_of_the_set(acceleration: str) -> None:
    y, A = posed()
    solution = run(y, A, keep_total=True, solver="pnp-hqs", acceleration=acceleration)
    assert off(A, y, solution.image) < 1e-12
    assert LAW in {item.law for item in solution.certificate.observed}


def test_a_projection_beside_the_plane_fails_the_certificate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    exact = BoxTotal.prox
    monkeypatch.setattr(
        BoxTotal, "prox", lambda self, x, step, tol=0.0: exact(self, x + 1e-9, step)
    )
    y, A = posed()
    assert run(y, A, keep_total=True).certificate.holds
    monkeypatch.setattr(
        BoxTotal, "prox", lambda self, x, step, tol=0.0: (exact(self, x, step)[0] + 1e-9, 0 * x)
    )
    solution = run(y, A, keep_total=True)
    assert solution.certificate.contradicted
    assert LAW in solution.certificate.verdict


@pytest.mark.parametrize("beside", [0.0, 3e-7])
def test_in_float32_it_is_held_to_one_rounding_of_each_entry(
    beside: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four machine epsilons of the total, which was the limit, let the twin pass."""
    exact = BoxTotal.prox
    monkeypatch.setattr(
        BoxTotal,
        "prox",
        lambda self, x, step, tol=0.0: (exact(self, x, step)[0] + beside, 0 * x[:, 0, 0, 0]),
    )
    y, A = posed()
    prior = copy.deepcopy(TINY).float()
    solution = run(y.float(), A.float(), prior, keep_total=True, denoiser_level=0.1)
    (law,) = (item for item in solution.certificate.observed if item.law == LAW)
    assert law.passed == (beside == 0)
    total = float(y.sum())
    assert abs(float(A.A(solution.image.double()).sum()) - total) < 4 * 1.2e-7 * y.numel()


def test_what_cannot_keep_it_says_so() -> None:
    y, A = posed()
    with pytest.raises(InputError, match=r"keep_total.*pnp-hqs"):
        run(y, A, keep_total=True, solver="pnp-drs")
    with pytest.raises(InputError, match="keep_total"):
        run(y, A, "tv", keep_total=True)
    with pytest.raises(InputError, match="the fidelity 'huber'"):
        run(y, A, keep_total=True, fidelity=Huber(A, y, 0.1), solver="pnp-pgd")
    with pytest.raises(InputError, match="the data sum to"):
        run(y + 0.6, A, keep_total=True)


def test_what_does_not_see_brightness_keeps_it_anyway() -> None:
    """⟨A1, A x − y⟩ = 0 at a minimiser of f + R, R(x + t) = R(x); a box that binds breaks it."""
    y, A = posed("reflect")
    free = run(y, A, TotalVariation(0.02), stopping=Stopping(1e-9, 4000))
    assert off(A, y, free.image) < 1e-7
    tight = run(y, A, TotalVariation(0.02, box=(0.4, 1.0)), stopping=Stopping(1e-9, 4000))
    assert off(A, y, tight.image) > 1e-4


def test_a_mean_that_is_put_back_is_no_nonexpansive_map() -> None:
    """D(x) − mean(D x) + mean(x) expands for a projection D; with the mean taken off before, too,
    it keeps the constant of D."""
    n = 6
    ones = torch.ones(n, dtype=torch.float64) / n**0.5
    off_mean = torch.eye(n, dtype=torch.float64) - torch.outer(ones, ones)
    u = off_mean[0] / off_mean[0].norm()
    axis = (ones + u) / 2**0.5
    D = torch.outer(axis, axis)  # firmly nonexpansive
    mean = torch.outer(ones, ones)
    assert float(torch.linalg.matrix_norm(off_mean @ D + mean, 2)) > 1.1
    blind = off_mean @ D @ off_mean + mean
    assert float(torch.linalg.matrix_norm(2 * blind - torch.eye(n), 2)) <= 1 + 1e-12


@pytest.mark.parametrize("flag", ["keep_total", "allow_uncertified", "require_certificate"])
def test_a_word_is_no_flag(flag: str) -> None:
    y, A = posed()
    with pytest.raises(InputError, match=f"{flag} must be True or False, found 'no'"):
        run(y, A, **{flag: "no"})
    assert run(y, A, **{flag: False}).iterations


@pytest.mark.parametrize("flag", ["early", "least_error"])
def test_nor_is_it_one_of_a_stopping(flag: str) -> None:
    with pytest.raises(InputError, match=f"{flag} must be True or False"):
        Stopping(**{flag: "no"})  # type: ignore[arg-type]
    assert not getattr(Stopping(), flag)

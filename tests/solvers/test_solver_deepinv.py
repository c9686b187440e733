"""deepinv both ways: our denoiser in its optimiser, its physics and denoisers in ours."""

from __future__ import annotations

import warnings
from types import ModuleType

import pytest
import torch
from torch import Tensor

from laws.networks import picture
from laws.solvers import (
    LEVEL,
    SIZE,
    blur,
    invertible_kernel,
    make,
    random_kernel,
    tiny_denoiser,
)
from operators import from_deepinv
from pnp_recon import guarantees
from pnp_recon.priors.denoiser import wrap
from pnp_recon.solvers import Stopping, iterate

# ---- deepinv, both ways ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def deepinv() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of deepinv and what it imports, at import alone
        import deepinv
        import deepinv.optim
    return deepinv


def test_our_denoiser_runs_in_deepinv(deepinv: ModuleType) -> None:
    A = blur(invertible_kernel()).float()
    y = A.A(picture(1, *SIZE, seed=3).float())
    denoiser = tiny_denoiser().float()
    step = 1.0
    model = deepinv.optim.PGD(
        data_fidelity=deepinv.optim.L2(),
        prior=deepinv.optim.PnP(denoiser),
        stepsize=step,
        sigma_denoiser=LEVEL,
        max_iter=4,
        custom_init=lambda y, physics: {"est": (physics.A_adjoint(y),) * 2},
    )
    with torch.no_grad():
        theirs = model(y, A.to_deepinv())
        x = A.A_adjoint(y)
        for _ in range(4):
            x = denoiser(x - step * A.A_adjoint(A.A(x) - y), LEVEL)
    torch.testing.assert_close(theirs, x, rtol=0, atol=1e-5)


def test_deepinv_physics_and_denoiser_run_here(deepinv: ModuleType) -> None:
    kernel = random_kernel(0).float()[None, None]
    physics = deepinv.physics.Blur(filter=kernel, padding="circular")
    clean = picture(1, *SIZE, seed=3).float()
    median = deepinv.models.MedianFilter(3)
    undeclared = from_deepinv(physics, SIZE)
    declared_norm = from_deepinv(physics, SIZE, norm_bound=1.0001)
    for A, words in ((undeclared, "norm of operator"), (declared_norm, "denoiser MedianFilter")):
        solver = make("pnp-pgd", A, physics.A(clean), wrap(median), start=clean, step_size=1.0)
        solution = iterate(solver, Stopping(1e-3, 10))
        assert bool(torch.isfinite(solution.image).all())
        assert not solution.certificate.proven
        assert solution.certificate.verdict.startswith("no guarantee:")
        assert words in solution.certificate.verdict
    drs = make("pnp-drs", undeclared, physics.A(clean), wrap(median), start=clean)
    assert "denoiser MedianFilter declares" in iterate(drs, Stopping(1e-3, 5)).certificate.verdict


def test_deepinv_parts_with_declared_facts_are_certified(deepinv: ModuleType) -> None:
    # Total variation denoising is a proximal map, whatever package computes it; with 200 iterations
    # and a tolerance of 1e-8 the loop is so far from it that the challenge finds it expansive.
    physics = deepinv.physics.Blur(filter=random_kernel(0).float()[None, None], padding="circular")
    A = from_deepinv(physics, SIZE, norm_bound=1.0001)
    settings = {"n_it_max": 2000, "crit": 1e-12}

    def afresh(x: Tensor, sigma: Tensor | float) -> Tensor:
        return deepinv.models.TVDenoiser(**settings)(x, 0.1 * sigma)

    kept = deepinv.models.TVDenoiser(**settings)  # goes on from its last picture
    y = physics.A(picture(1, *SIZE, seed=3).float())
    for total_variation, holds in ((afresh, True), (lambda x, s: kept(x, 0.1 * s), False)):
        denoiser = wrap(total_variation, "TV", guarantees.firm("Moreau 1965"))
        solver = make("pnp-pgd", A, y, denoiser, start=y, step_size=1.0)
        assert iterate(solver, Stopping(1e-3, 15)).certificate.holds == holds

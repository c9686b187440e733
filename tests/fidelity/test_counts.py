"""Counts with a little background: the proximal map is exact, and the automatic settings fit."""

from __future__ import annotations

import decimal
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from operators import Convolution, Identity
from operators.kernels import linear_motion
from pnp_recon import load_denoiser, reconstruct
from pnp_recon.errors import InputError, StepSizeError
from pnp_recon.fidelity import Fidelity, KullbackLeibler, WeightedLeastSquares
from pnp_recon.pictures.metrics import psnr
from pnp_recon.problems.problem import Problem
from pnp_recon.solvers import Stopping

PEAK, BACKGROUND, SIDE = 200.0, 1.0, 40


def _picture() -> Tensor:
    axis = torch.linspace(0, 1, SIDE, dtype=torch.float64)
    x = 0.1 + 0.5 * torch.outer(axis, axis)
    x[8:20, 10:30] += 0.35
    x[25:32, 5:12] = 0.0
    return x[None, None]


def _counts() -> tuple[KullbackLeibler, Tensor]:
    x = _picture()
    A = PEAK * Convolution(linear_motion(7, 30).to(x), (1, SIDE, SIDE), boundary="circular")
    mean = A.A(x).clamp_min(0) + BACKGROUND
    y = torch.poisson(mean, generator=torch.Generator().manual_seed(0))
    return KullbackLeibler(A, y, BACKGROUND), x


@pytest.mark.parametrize("gamma", [1e-3, 1.0])
def test_newton_reaches_the_minimiser(gamma: float) -> None:
    fidelity, x = _counts()
    found, bound = fidelity.prox(x, gamma, tol=1e-8)
    slope = found - x + gamma * fidelity.gradient(found)
    assert float(slope.norm()) <= float(bound) * (1 + 1e-6) <= 1e-7
    # The bound tells a point that is not the minimiser.
    assert float((found + 1e-4 - x + gamma * fidelity.gradient(found + 1e-4)).norm()) > 1e-4


def test_it_agrees_with_plain_gradient_steps() -> None:
    fidelity, x = _counts()
    gamma = 1e-5  # few of them are enough then
    found, bound = fidelity.prox(x, gamma, tol=1e-9)
    other, far = super(KullbackLeibler, fidelity).prox(x, gamma, tol=1e-9)
    assert float((found - other).norm()) <= float(bound + far)


def _restored(fidelity: KullbackLeibler) -> Tensor:
    return reconstruct(
        fidelity.y,
        fidelity.A,
        "tv",
        fidelity=fidelity,
        start=((fidelity.y - BACKGROUND) / PEAK).clamp(0, 1),
        stopping=Stopping(max_iter=300),
    ).image


def test_automatic_settings_restore_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    fidelity, x = _counts()
    before = float(psnr((fidelity.y - BACKGROUND) / PEAK, x))
    assert float(psnr(_restored(fidelity), x)) > before + 3
    # With the curvature at darkness in their place, as they once were, they do not; and that the
    # data differ in noise would make up for most of it.
    monkeypatch.setattr(KullbackLeibler, "usual_lipschitz", property(lambda self: self.lipschitz))
    monkeypatch.setattr(Problem, "evenness", property(lambda self: 1.0))
    assert float(psnr(_restored(fidelity), x)) < before + 1


def test_the_usual_curvature_is_no_bound_and_lies_below_it() -> None:
    fidelity, _ = _counts()
    assert fidelity.usual_lipschitz < 0.01 * fidelity.lipschitz


# ---- a picture of which counts are a multiple ----------------------------------------------------


def _scaled(readout: float = 0.0) -> tuple[KullbackLeibler, KullbackLeibler]:
    """The same counts as a picture, and as they are, where the readout counts as more of them."""
    counts, x = _counts()
    A = Convolution(linear_motion(7, 30).to(x), (1, SIDE, SIDE), boundary="circular")
    scaled = KullbackLeibler(A, counts.y / PEAK, BACKGROUND / PEAK, PEAK, readout)
    return scaled, KullbackLeibler(PEAK * A, counts.y + readout, BACKGROUND + readout)


def _apart(one: KullbackLeibler, other: KullbackLeibler, x: Tensor) -> float:
    """How far values, gradients, constants and proximal maps are apart, relatively."""
    pairs = (
        (one.value(x), other.value(x)),
        (one.gradient(x), other.gradient(x)),
        (one.prox(x, 1e-3, tol=1e-9)[0], other.prox(x, 1e-3, tol=1e-9)[0]),
        (torch.tensor(one.lipschitz), torch.tensor(other.lipschitz)),
        (torch.tensor(one.usual_lipschitz), torch.tensor(other.usual_lipschitz)),
        (one.misfit(one.A.A(x)), other.misfit(other.A.A(x))),
    )
    return max(float((a - b).norm() / b.norm()) for a, b in pairs)


@pytest.mark.parametrize("readout", [0.0, 4.0])
def test_photons_for_a_unit_are_a_scale_of_the_counts(readout: float) -> None:
    one, other = _scaled(readout)
    assert _apart(one, other, _picture()) < 1e-6
    # Other photons are another noise.
    assert _apart(replace(one, photons=1.1 * PEAK), other, _picture()) > 1e-2


def test_where_no_photons_are_known_the_data_have_no_say() -> None:
    fidelity, _ = _scaled(1.0)
    x, known = _picture(), torch.full_like(fidelity.y, PEAK)
    known[..., 5:9, 5:9] = 0
    there = replace(fidelity, photons=known)
    moved = replace(there, y=torch.where(known > 0, there.y, there.y + 3))
    assert torch.equal(there.value(x), moved.value(x))
    assert torch.equal(there.gradient(x), moved.gradient(x))
    assert float(there.least) > -math.inf
    # Where they are, they have.
    assert not torch.equal(fidelity.gradient(x), replace(fidelity, y=moved.y).gradient(x))


def test_what_cannot_be_photons_is_refused() -> None:
    fidelity, _ = _scaled()
    for wrong in ({"photons": -1.0}, {"photons": math.nan}, {"readout": -1.0}):
        with pytest.raises(InputError, match="must be finite and >= 0"):
            replace(fidelity, **wrong)
    with pytest.raises(InputError, match="photons has the shape"):
        replace(fidelity, photons=torch.ones(3, 3))


# ---- steps that the dark makes short -------------------------------------------------------------


def test_a_denoiser_between_steps_that_hardly_move_is_refused() -> None:
    fidelity, _ = _counts()
    start = ((fidelity.y - BACKGROUND) / PEAK).clamp(0, 1)
    denoiser = load_denoiser("median")
    few = Stopping(max_iter=2)

    def run(held: Fidelity, solver: str, **more: float) -> None:
        reconstruct(
            held.y, held.A, denoiser, fidelity=held, solver=solver, start=start,
            stopping=few, strength=1, allow_uncertified=True, **more,
        )  # fmt: skip

    for solver in ("pnp-pgd", "red", "pnp-fista"):
        with pytest.raises(StepSizeError, match=r"Take pnp-hqs .*photon_variance"):
            run(fidelity, solver)
    run(fidelity, "pnp-hqs")
    run(fidelity, "pnp-pgd", step=0.5 / fidelity.usual_lipschitz)
    # As much light everywhere, or weights, bend alike.
    run(replace(fidelity, y=fidelity.y + 500, background=501.0), "pnp-pgd")
    weights = 1 / fidelity.y.clamp_min(1)
    run(WeightedLeastSquares(fidelity.A, fidelity.y - BACKGROUND, weights), "pnp-pgd")


def test_counts_are_raised_so_far_that_no_move_takes_them_below_zero(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In float32, where sum and difference are rounded; 3000 counts, each moved by another."""
    y = torch.rand(1, 1, 50, 60, generator=torch.Generator().manual_seed(0))
    y[..., :10, :] = 0.0
    reach = 0.01 + torch.rand(y.shape, generator=torch.Generator().manual_seed(1))
    A = Convolution(linear_motion(3, 0), (1, 50, 60), boundary="circular")
    for readout in (0.0, 1e-3, 0.3):
        fidelity = KullbackLeibler(A, y, 0.0, 7.0, readout)
        replace(fidelity, y=fidelity.movable(reach) - reach).check()
        assert torch.equal(fidelity.movable(0 * reach), y)
    monkeypatch.setattr("pnp_recon.fidelity.kullback_leibler.ROOM", 0)  # the twin
    fidelity = KullbackLeibler(A, y, 0.0, 7.0, 0.3)
    with pytest.raises(InputError, match="finite and >= 0"):
        replace(fidelity, y=fidelity.movable(reach) - reach).check()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_least_value_is_none_too_high(dtype: torch.dtype) -> None:
    """Against 50 digits: neither where terms cancel (y about b), nor rounded to float32."""
    generator = torch.Generator().manual_seed(0)
    nothing, too_high = Identity((1, 1, 1)), 0
    with decimal.localcontext(prec=50):
        for k in range(200):
            off = 10.0 ** -(k % 12) * torch.rand((), generator=generator, dtype=torch.float64)
            y = (1 - 0.9 * off).to(dtype).view(1, 1, 1, 1)
            fidelity = KullbackLeibler(nothing, y, background=1.0)
            r = decimal.Decimal(float(y))
            true = 1 - r + r * r.ln() - (1 - r) ** 2 / (2 * r)
            assert decimal.Decimal(float(fidelity.least)) <= true
            wide = y.double()
            naive = 1 - wide + torch.xlogy(wide, wide) - 0.5 * (1 - wide).square() / wide
            too_high += decimal.Decimal(float(naive.to(dtype))) > true
    assert too_high > 20  # the twin: without the allowance

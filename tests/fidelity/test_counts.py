"""Counts with a little background: the proximal map is exact, and the automatic settings fit."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from operators import Convolution
from operators.kernels import linear_motion
from pnp_recon import reconstruct
from pnp_recon.fidelity import KullbackLeibler
from pnp_recon.pictures.metrics import psnr
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
    # With the curvature at darkness in their place, as they once were, they do not.
    monkeypatch.setattr(KullbackLeibler, "usual_lipschitz", property(lambda self: self.lipschitz))
    assert float(psnr(_restored(fidelity), x)) < before + 1


def test_the_usual_curvature_is_no_bound_and_lies_below_it() -> None:
    fidelity, _ = _counts()
    assert fidelity.usual_lipschitz < 0.01 * fidelity.lipschitz

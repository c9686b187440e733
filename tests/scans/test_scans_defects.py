"""Stripes, stuck pixels and drift are found where they are, and not where they are not."""

from __future__ import annotations

import pytest
import torch

from operators import RayTransform, ScanGeometry, StripeFilter
from pnp_recon.errors import InputError
from pnp_recon.fidelity import LeastSquares
from pnp_recon.scans.defects import find_drift, find_stripes, stuck_pixels
from support.scans import half_turn, sinogram

VIEWS, DETECTORS = 90, 64
CLEAN = sinogram(half_turn(VIEWS), DETECTORS, 30.0)
NOISE = 0.01 * float(CLEAN.max())


def noisy(seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return CLEAN + NOISE * torch.randn(CLEAN.shape, generator=generator, dtype=CLEAN.dtype)


def stripes() -> torch.Tensor:
    out = torch.zeros(DETECTORS, dtype=torch.float64)
    out[[5, 20, 33, 34, 50]] = (
        torch.tensor([3.0, -4.0, 5.0, 4.0, -3.0], dtype=torch.float64) * NOISE
    )
    return out


def test_stripes_are_found_and_little_else() -> None:
    assert find_stripes(noisy(), NOISE).level < 0.2 * NOISE
    found = find_stripes(noisy() + stripes(), NOISE)
    expected = float(stripes().square().mean().sqrt())
    assert 0.4 * expected < found.level < 1.1 * expected
    beside = stripes() == 0
    assert float(found.profile[0, beside].abs().max()) < 1.0 * NOISE


def test_the_filter_eliminates_the_stripes() -> None:
    """½‖P(A x − y)‖² is the minimum over s of the misfit with stripes s and their ridge."""
    A = RayTransform(ScanGeometry("parallel", tuple(half_turn(9).tolist()), 12), (1, 12, 12))
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(1, 1, 12, 12, dtype=torch.float64, generator=generator)
    y = torch.rand(1, 1, 9, 12, dtype=torch.float64, generator=generator)
    for ridge in (0.0, 0.7, 30.0):
        P = StripeFilter((1, 9, 12), ridge)
        value = LeastSquares(P @ A, P.A(y)).value(x)
        r = A.A(x) - y
        best = -r.sum(-2, keepdim=True) / (9 + ridge)

        def objective(s: torch.Tensor, r: torch.Tensor = r, ridge: float = ridge) -> torch.Tensor:
            misfit = 0.5 * (r + s).square().flatten(1).sum(1)
            return misfit + 0.5 * ridge * s.square().flatten(1).sum(1)

        assert torch.allclose(value, objective(best), rtol=1e-10)
        for seed in range(3):
            step = torch.randn(best.shape, generator=torch.Generator().manual_seed(seed))
            assert float(objective(best + 0.1 * step)) > float(value)
        assert (P @ A).norm_bound <= A.norm_bound * (1 + 1e-12)
    # Without the ridge a mean over the views is not seen at all, with it a part is.
    mean = torch.ones(1, 1, 9, 12, dtype=torch.float64)
    assert float(StripeFilter((1, 9, 12), 0.0).A(mean).abs().max()) < 1e-15
    seen = float(StripeFilter((1, 9, 12), 3.0).A(mean).max())
    assert seen == pytest.approx((3 / 12) ** 0.5)


def test_stuck_pixels_are_found_and_air_is_not() -> None:
    assert not bool(stuck_pixels(CLEAN).any())
    assert not bool(stuck_pixels(noisy()).any())
    stuck = noisy()
    stuck[..., 25] = 0.2
    stuck[..., 40] = 0.0
    assert torch.nonzero(stuck_pixels(stuck)[0]).flatten().tolist() == [25, 40]


def test_pixels_that_see_no_light_are_stuck_pixels_whatever_they_show() -> None:
    """Their line integral is the floor of the logarithm, far above all others."""
    dark = noisy()
    dark[..., 24:26] = 12.0
    dark[..., 40] = 12.0
    assert torch.nonzero(stuck_pixels(dark)[0]).flatten().tolist() == [24, 25, 40]
    dark[..., 33, 40] = 11.0  # a flash
    assert torch.nonzero(stuck_pixels(dark)[0]).flatten().tolist() == [24, 25, 40]


def test_drift_is_measured_in_the_air() -> None:
    assert find_drift(noisy(), NOISE) is None
    generator = torch.Generator().manual_seed(1)
    drift = (0.004 * torch.randn(VIEWS, generator=generator).cumsum(0)).double()
    found = find_drift(noisy() + drift[:, None], NOISE)
    assert found is not None
    assert float((found[0] - drift[:, None]).square().mean().sqrt()) < 1.5 * NOISE
    with pytest.raises(InputError, match="needs air at both ends"):
        find_drift((noisy() + drift[:, None])[..., 20:44], NOISE)
    # A beam so much brighter than the flat fields, and no object for that.
    brighter = find_drift(noisy() - 0.5 * float(CLEAN.max()), NOISE)
    assert brighter is not None
    assert torch.allclose(brighter, torch.full_like(brighter, -0.5 * float(CLEAN.max())), rtol=0.1)

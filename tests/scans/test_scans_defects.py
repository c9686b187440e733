"""Stripes, stuck pixels and drift are found where they are, and not where they are not."""

from __future__ import annotations

import pytest
import torch

from operators import RayTransform, ScanGeometry, StripeFilter
from pnp_recon.cli.ct.defects import concentric
from pnp_recon.errors import InputError
from pnp_recon.fidelity import LeastSquares
from pnp_recon.scans.defects import (
    changing_share,
    find_drift,
    find_stripes,
    own_stripes,
    stuck_pixels,
)
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


# ---- what is round about the axis --------------------------------------------------------------


def tube(shift: float, axis: float = 30.0) -> torch.Tensor:
    """Line integrals (1, views, detectors) of a tube, `shift` pixels beside the axis."""
    places = torch.arange(DETECTORS, dtype=torch.float64) - axis
    away = places - shift * half_turn(VIEWS).cos()[:, None]
    chords = [(radius**2 - away**2).clamp_min(0).sqrt() for radius in (22, 12)]
    return 0.02 * (chords[0] - chords[1])[None]


def with_noise(lines: torch.Tensor) -> tuple[torch.Tensor, float]:
    noise = 0.01 * float(lines.max())
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(lines.shape, generator=generator, dtype=lines.dtype)
    return lines + noise * drawn, noise


def test_circles_about_the_axis_are_no_stripes() -> None:
    lines, noise = with_noise(tube(0))
    profile = find_stripes(lines + stripes(), noise).profile
    whole, own = profile.square().sum(), own_stripes(profile, 30.0).square().sum()
    assert float(own) < 0.5 * float(whole)
    # Stripes of one pixel each stay; so do circles about another place than the axis.
    alone = stripes()[None]
    alone[:, 33] = 0
    assert torch.equal(own_stripes(alone, 30.0), alone)
    assert float(own_stripes(profile, 24.0).square().sum()) > 0.8 * float(whole)


def test_a_round_object_changes_little() -> None:
    for shift, low, high in ((0, 0, 1e-3), (8, 0.05, 1)):
        lines, noise = with_noise(tube(shift))
        assert low <= changing_share(lines, noise) < high
    # Stripes are the same in every view.
    assert changing_share(lines + stripes(), noise) == pytest.approx(
        changing_share(lines, noise), rel=0.1
    )


def test_stripes_of_a_round_object_are_taken_out_and_not_fitted() -> None:
    for shift, fitted in ((0, False), (8, True)):
        lines, noise = with_noise(tube(shift))
        profile = find_stripes(lines + stripes(), noise).profile
        found = concentric(lines + stripes(), profile, 30.0, noise)
        assert (found is None) == fitted
        if found is not None:
            own, said = found
            assert "mirrored at the rotation axis" in said
            # What is left of the tube and the stripes is nearer to the tube.
            left = stripes() - own[0]
            assert float(left.square().sum()) < 0.7 * float(stripes().square().sum())
            assert float((stripes() - profile[0]).square().sum()) > float(left.square().sum())

"""Ranks, profiles and splines against SciPy's, which scans do without."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from pnp_recon.scans import ranks
from pnp_recon.scans.profiles import Spline, least_between, smoothed

SHAPES = ((40, 31), (2, 9), (1, 8), (3, 4))


def values(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [(3, 5), (1, 7), (7, 1)])
def test_medians_are_those_of_scipy(
    shape: tuple[int, int], size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = values(*shape)
    expected = ndimage.median_filter(one, size=size, mode="mirror")
    np.testing.assert_array_equal(ranks.median(one, size), expected)
    monkeypatch.setattr(ranks, "AT_ONCE", 1)  # row by row
    np.testing.assert_array_equal(ranks.median(one, size), expected)
    # The twin: another border is seen.
    if min(shape) > 2:
        other = ndimage.median_filter(one, size=size, mode="nearest")
        assert not np.array_equal(ranks.median(one, size), other)


@pytest.mark.parametrize("shape", SHAPES)
def test_other_ranks_are_those_of_scipy(shape: tuple[int, int]) -> None:
    one, reach = values(*shape), 2
    low, high = ranks.ranked(one, (3, 5), (3, 12))
    for found, percent in ((low, 20), (high, 80)):
        expected = ndimage.percentile_filter(one, percent, size=(3, 5), mode="mirror")
        np.testing.assert_array_equal(found, expected)
    beside = np.ones((3, 2 * reach + 1), bool)
    beside[1] = False
    least = ndimage.minimum_filter(one, footprint=beside, mode="mirror")
    np.testing.assert_array_equal(ranks.least_beside(one, reach), least)
    # The twin: a value's own row does not count.
    own = ndimage.minimum_filter(one, size=(3, 2 * reach + 1), mode="mirror")
    assert shape == (1, 8) or not np.array_equal(least, own)


def test_splines_and_smoothing_are_those_of_scipy() -> None:
    profile = values(2, 3, 60)
    expected = ndimage.gaussian_filter1d(profile, 2.0, mode="nearest")
    np.testing.assert_allclose(smoothed(profile, 2.0), expected, atol=1e-14)
    place = np.array([0.0, 0.3, 7.5, 30.01, 58.9, 59.0])
    weights = ndimage.spline_filter1d(profile[0, 0], 3, mode="mirror")
    expected = ndimage.map_coordinates(
        weights, place[None], order=3, mode="mirror", prefilter=False
    )
    found = Spline(profile)(place)
    assert found.shape == (2, 3, 6)
    np.testing.assert_allclose(found[0, 0], expected, atol=1e-12)
    # It goes through its values; the twin, its weights as values, does not.
    np.testing.assert_allclose(Spline(profile)(np.arange(60.0)), profile, atol=1e-12)
    assert np.abs(weights - profile[0, 0]).max() > 0.1


def test_the_least_value_is_found() -> None:
    place, value = least_between(lambda x: (x - 0.3) ** 2 + 1, -1, 2, 1e-4)
    assert place == pytest.approx(0.3, abs=1e-4)
    assert value == pytest.approx(1)
    assert least_between(lambda x: x, -1, 2, 1e-4)[0] == pytest.approx(-1, abs=1e-4)

"""Flashes are found in one view alone; what is in the object is not taken for one."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from operators import RayTransform, ScanGeometry
from pnp_recon.scans import zingers
from pnp_recon.scans.zingers import find_zingers
from support.scans import half_turn

SIDE = 96


def phantom(kind: str) -> np.ndarray:
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    picture = 0.02 * ((x / 42) ** 2 + (y / 30) ** 2 < 1)
    rng = np.random.default_rng(0)
    if kind == "metal":
        picture += 0.4 * ((x - 10) ** 2 + (y - 5) ** 2 < 9)
        picture += 0.4 * ((x + 14) ** 2 + (y + 6) ** 2 < 4)
    elif kind == "plate":
        picture += 0.5 * ((abs(x - 5) < 14) & (abs(y - 3) < 1.5))
    elif kind == "porous":
        picture *= 1 - 0.9 * (rng.random((SIDE, SIDE)) < 0.05)
    return picture.astype(np.float32)


def clean(kind: str, views: int, photons: float) -> torch.Tensor:
    """Line integrals (1, views, pixels) of counts."""
    geometry = ScanGeometry("parallel", tuple(half_turn(views).tolist()), SIDE)
    picture = torch.from_numpy(phantom(kind))[None, None]
    lines = RayTransform(geometry, (1, SIDE, SIDE)).A(picture)[0].double().numpy()
    if math.isfinite(photons):
        counts = np.random.default_rng(1).poisson(photons * np.exp(-lines)).clip(0.5)
        lines = -np.log(counts / photons)
    return torch.from_numpy(lines)


@pytest.mark.parametrize("kind", ["body", "metal", "plate", "porous"])
@pytest.mark.parametrize("views", [60, 180])
def test_clean_scans_have_none_and_flashes_are_found(kind: str, views: int) -> None:
    for photons in (100, 1e4, math.inf):
        lines = clean(kind, views, photons)
        assert int(find_zingers(lines, half_turn(views))[0].sum()) == 0
    # The twin: with flashes of 10 standard deviations in the air, and one amidst that saturates.
    struck = clean(kind, views, 1e4)
    places = [(5, 3), (20, 4), (31, 92), (44, 48)]
    for view, pixel in places:
        struck[0, view, pixel] = -10 / 1e4**0.5 - (0.3 if kind == "body" else 0.1)
    found, mended = find_zingers(struck, half_turn(views))
    assert [tuple(place[1:]) for place in found.nonzero().tolist()] == places
    assert float(mended.min()) > -0.06


def test_what_the_neighbours_share_is_no_flash() -> None:
    """A pixel with an offset in every view, and a view with one in every pixel."""
    for offset in (slice(None), 40), (40, slice(None)):
        lines = clean("body", 60, 1e4)
        lines[0][offset] -= 0.4
        assert int(find_zingers(lines, half_turn(60))[0].sum()) == 0


def test_noise_alone_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of small scans a level of the line integrals holds few values, and these may lie close."""
    rng = np.random.default_rng(0)
    scans = torch.from_numpy(rng.normal(size=(300, 24, 40)))
    assert int(find_zingers(scans, half_turn(24))[0].sum()) == 0
    monkeypatch.setattr(zingers, "ENOUGH", 1)  # the twin: each level is trusted
    assert int(find_zingers(scans, half_turn(24))[0].sum()) > 0


def test_noise_is_told_where_it_is() -> None:
    """Behind metal there is ten times the noise of air, in which none of its values stands out."""
    rng = np.random.default_rng(0)
    lines = torch.from_numpy(rng.normal(size=(1, 120, 90)) * 0.01)
    lines[..., 30:60] = 4 + 10 * lines[..., 30:60]
    assert int(find_zingers(lines, half_turn(120))[0].sum()) == 0
    lines[0, 50, 45] = 4 - 2.0
    assert find_zingers(lines, half_turn(120))[0].nonzero().tolist() == [[0, 50, 45]]

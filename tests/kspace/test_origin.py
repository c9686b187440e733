"""A picture that was moved by half its size is told from one with a bright background."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pnp_recon.kspace import corners_over_middle, moved_by_half, polynomial_phase, ring_maps

SIZES = [(64, 48), (65, 49), (64, 49)]


def disc(size: tuple[int, int], radius: float = 0.8) -> Tensor:
    rows, columns = (torch.linspace(-1, 1, n) for n in size)
    inside = rows[:, None].square() + columns.square() < radius**2
    angle = polynomial_phase(*size, torch.ones(6)).float()
    return torch.polar(0.05 + 0.9 * inside, angle)


def dark(size: tuple[int, int], radius: float) -> Tensor:
    """A bright wide background, and something dark amidst."""
    return 1 - disc(size, radius).abs() + 0j


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("coils", [1, 2, 4])
def test_a_moved_picture_is_seen(size: tuple[int, int], coils: int) -> None:
    images = disc(size)[None] if coils == 1 else ring_maps(coils, *size) * disc(size)
    assert not moved_by_half(images)
    assert moved_by_half(torch.fft.ifftshift(images, (-2, -1)))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("coils", [1, 2, 4])
@pytest.mark.parametrize("radius", [0.5, 0.8])
def test_a_bright_background_is_not(size: tuple[int, int], coils: int, radius: float) -> None:
    images = dark(size, radius)
    images = images[None] if coils == 1 else ring_maps(coils, *size) * images
    assert corners_over_middle(images) > 1.5  # the twin: bright corners alone accuse it
    assert not moved_by_half(images)


@pytest.mark.parametrize("angle", [0.0, 0.7854])
def test_coils_that_see_the_corners_best_are_not(angle: float) -> None:
    """Maps as they are, not normalised, of a phantom that fills the field of view."""
    rows, columns = torch.linspace(-1, 1, 64), torch.linspace(-1, 1, 64)
    turns = angle + torch.pi / 2 * torch.arange(4)
    away = (rows[:, None] - 1.3 * turns.sin()[:, None, None]).square()
    away = away + (columns - 1.3 * turns.cos()[:, None, None]).square()
    assert not moved_by_half(torch.exp(-away / 2) + 0j)

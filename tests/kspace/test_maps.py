"""Coil maps that cannot be those of the scan are said, and coils that say nothing left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from operators.mri import centred_fft
from pnp_recon.errors import InputError
from pnp_recon.kspace import (
    doubtful_maps,
    estimated_maps,
    head,
    low_resolution,
    polynomial_phase,
    read_kspace,
    read_maps,
    ring_maps,
    unlike_noise,
    working_coils,
)
from pnp_recon.kspace.maps import EXPLAINED, explained_share
from pnp_recon.problems.masks import sampling_mask
from pnp_recon.problems.noise import phase_weights

SIDE = 64
MASK = sampling_mask("random", (SIDE, SIDE), 4, 0)


def measured(coils: int = 4, noise: float = 0.02) -> tuple[Tensor, Tensor]:
    """k-space of a head with a phase, and its maps."""
    maps = ring_maps(coils, SIDE, SIDE)
    phase = polynomial_phase(SIDE, SIDE, phase_weights(0)).float()
    data = centred_fft(maps * torch.polar(head(SIDE)[0, 0].float(), phase))
    drawn = torch.randn(2, *data.shape, generator=torch.Generator().manual_seed(0))
    return torch.where(MASK, data + noise * torch.complex(*drawn), 0), maps


@pytest.mark.parametrize("coils", [2, 4, 8])
def test_maps_of_the_scan_explain_its_centre(coils: int) -> None:
    data, maps = measured(coils)
    images = low_resolution(data, MASK)
    assert explained_share(maps, images) > EXPLAINED
    assert explained_share(estimated_maps(images), images) == pytest.approx(1)
    assert doubtful_maps(maps, images) == ()


@pytest.mark.parametrize("how", ["conjugated", "other order", "moved", "half of them zero", "one"])
def test_other_maps_do_not(how: str) -> None:
    data, maps = measured()
    wrong = {
        "conjugated": maps.conj(),
        "other order": maps.flip(0),
        "moved": torch.fft.fftshift(maps, (-2, -1)),
        "half of them zero": torch.where(torch.arange(SIDE)[:, None] < SIDE // 2, 0, maps),
        "one": torch.where(torch.arange(4)[:, None, None] == 1, 0, maps),
    }[how]
    (said,) = doubtful_maps(wrong, low_resolution(data, MASK))
    assert "the coil maps explain" in said


def test_coils_that_say_nothing_are_left_out() -> None:
    data, maps = measured()
    assert working_coils(data, maps)[2] == ()
    silent, blind = data.clone(), maps.clone()
    silent[1], blind[2] = 0, 0
    kept, kept_maps, said = working_coils(silent, blind)
    assert kept_maps is not None
    assert torch.equal(kept, data[[0, 3]])
    assert torch.equal(kept_maps, maps[[0, 3]])
    assert [one.split(" (")[0] for one in said] == ["coil 1", "coil 2"]
    assert working_coils(silent, None)[0].shape[0] == 3


def test_a_coil_of_other_noise_is_said() -> None:
    data, _ = measured(noise=0.2)
    assert unlike_noise(data, MASK) == ()
    data[2] *= 10
    assert "coil 2 has" in unlike_noise(data, MASK)[0]


def test_real_maps_are_maps(tmp_path: Path) -> None:
    data, maps = measured()
    np.savez(tmp_path / "a.npz", kspace=data.numpy(), maps=maps.real.numpy())
    found = read_kspace(tmp_path / "a.npz").maps
    assert found is not None
    assert torch.equal(found.real, maps.real)
    assert not found.imag.any()
    np.save(tmp_path / "m.npy", maps.real.numpy())
    assert torch.equal(read_maps(tmp_path / "m.npy", tuple(data.shape)), found)
    np.save(tmp_path / "m.npy", maps.real.numpy()[..., :9])
    with pytest.raises(InputError, match="have the shape"):
        read_maps(tmp_path / "m.npy", tuple(data.shape))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data * 1e30, "too far from 1"),
        (lambda data: np.where(data == 0, np.nan, data), "not finite"),
        (lambda data: data * 0, "nothing but zeros"),
    ],
)
def test_numbers_that_cannot_be_worked_with(tmp_path: Path, change: object, words: str) -> None:
    data, _ = measured()
    assert callable(change)
    np.save(tmp_path / "a.npy", change(data.numpy().astype(np.complex128)))
    with pytest.raises(InputError, match=words):
        read_kspace(tmp_path / "a.npy")


def test_masks_of_every_coil_and_masks_turned_around(tmp_path: Path) -> None:
    data, _ = measured()
    every = MASK.expand(4, SIDE, SIDE).numpy()
    np.savez(tmp_path / "a.npz", kspace=data.numpy(), mask=every)
    assert torch.equal(read_kspace(tmp_path / "a.npz").mask, MASK)
    other = every.copy()
    other[1] = ~other[1]
    for mask, words in ((other, "has the shape"), (~every[0], "turn it around")):
        np.savez(tmp_path / "a.npz", kspace=data.numpy(), mask=mask)
        with pytest.raises(InputError, match=words):
            read_kspace(tmp_path / "a.npz")

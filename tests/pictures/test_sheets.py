"""Sheets of sample pictures."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from pnp_recon.errors import InputError
from pnp_recon.pictures.crops import centre_crop
from pnp_recon.pictures.files import read_picture
from pnp_recon.pictures.sheets import sample_sheet, write_sheet
from pnp_recon.problems.noise import validation_noise
from support.training import pictures


def test_sample_sheet_shows_clean_noisy_denoised(tmp_path):
    class Grey(nn.Module):
        def forward(self, x: Tensor, sigma: float) -> Tensor:
            return torch.full_like(x, 0.25)

    images = [pictures(1, 3, 40)[0], pictures(1, 3, 8)[0]]
    sheet = sample_sheet(Grey(), images, (0.05, 0.1), validation_noise, size=16)
    assert sheet.shape == (1, 3, 2 * 16 + 2, 6 * 16 + 5 * 2)
    cells = sheet[0, :, :16].unfold(2, 16, 18)
    clean = centre_crop(images[0], 16).float() / 255
    assert torch.equal(cells[:, :, 0], clean)
    assert 0.01 < float((cells[:, :, 1] - clean).std()) < 0.06
    assert bool((cells[:, :, 2] == 0.25).all())
    assert bool((sheet[0, :, 18:22, :16] == 1).all())  # a small picture is centred on white
    write_sheet(tmp_path / "new" / "sheet.png", sheet)
    assert read_picture(tmp_path / "new" / "sheet.png").pixels.shape[1] == 3
    with pytest.raises(InputError, match="at least one picture"):
        sample_sheet(Grey(), [], (0.1,), validation_noise)

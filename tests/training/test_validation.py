"""Validation in training: its noise, its crops, the norms of averaged weights."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from pnp_recon.networks.constraints import conv_norm_bound
from pnp_recon.networks.euler import EulerNet
from pnp_recon.pictures.crops import centre_crop
from pnp_recon.training.families import refreshed
from pnp_recon.training.validation import validation_psnr
from support.training import RECIPE, ignore, pictures, trainer


def test_refreshed_norms_belong_to_the_averaged_weights(tmp_path):
    run = trainer(tmp_path, replace(RECIPE, steps=30))
    run.run(ignore)
    with torch.no_grad():
        for block in run.average.blocks:
            block.weight.mul_(3)
    fresh = refreshed(run.average)
    assert isinstance(fresh, EulerNet)
    assert isinstance(run.average, EulerNet)
    for block, stale in zip(fresh.flow_blocks(), run.average.flow_blocks(), strict=True):
        bound = conv_norm_bound(block.weight)
        assert 0.8 * bound < float(block.norm) < 1.03 * bound
        assert float(stale.norm) < 0.5 * bound  # the original is left alone


def test_validation_noise_does_not_depend_on_the_other_pictures():
    class Identity(nn.Module):
        def forward(self, x: Tensor, sigma: float) -> Tensor:
            return x

    images = pictures(3)
    alone = validation_psnr(Identity(), images[:1], (0.1,))
    assert alone == validation_psnr(Identity(), images[:1], (0.1,))
    assert alone["psnr_25.5"] == pytest.approx(20.0, abs=0.3)
    assert validation_psnr(Identity(), [], (0.1,)) == {}
    assert centre_crop(images[0], 10).shape == (1, 10, 10)
    assert centre_crop(images[0], 100).shape == (1, 32, 32)

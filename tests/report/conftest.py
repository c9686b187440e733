"""A solution that tests save and load."""

from __future__ import annotations

import pytest
import torch

import pnp_recon
from operators import Convolution, kernels
from pnp_recon.proximal import TotalVariation


@pytest.fixture(scope="module")
def solution() -> pnp_recon.Solution:
    A = Convolution(kernels.gaussian(1.0), (1, 16, 16), boundary="circular")
    x = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    stopping = pnp_recon.Stopping(tol=1e-3, max_iter=400)
    return pnp_recon.reconstruct(
        A.A(x), A, TotalVariation(0.01, box=(0, 1)), noise_level=0.01, stopping=stopping
    )

"""The devices that a test runs on: the CPU, and a GPU where there is one."""

from __future__ import annotations

import pytest
import torch

CUDA = pytest.param(
    "cuda",
    marks=[
        pytest.mark.cuda,
        pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is here"),
    ],
)
DEVICES = ["cpu", CUDA]

every_device = pytest.mark.parametrize("device", DEVICES)
on_a_gpu = pytest.mark.parametrize("device", [CUDA])

"""What a test runs on: the CPU, and a GPU where there is one; which libraries are there."""

from __future__ import annotations

import sys
from importlib.util import find_spec

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


def installed(name: str) -> bool:
    """Whether a library can be imported, without importing it."""
    return sys.modules[name] is not None if name in sys.modules else find_spec(name) is not None

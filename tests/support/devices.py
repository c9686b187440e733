"""What a test runs on: the CPU, and a GPU or its stand-in; which libraries are there."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import pytest
import torch

from support.standin import standing_in

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


def on_hardware(why: str) -> pytest.MarkDecorator:
    """For tests of what the stand-in has not: kernels, their order, the runtime."""
    skipped = pytest.mark.skipif(standing_in(), reason=f"{why}: that takes a GPU, not a stand-in")
    return pytest.mark.parametrize(
        "device", [pytest.param("cuda", marks=[*CUDA.marks, skipped], id="cuda")]
    )


def installed(name: str) -> bool:
    """Whether a library can be imported, without importing it."""
    return sys.modules[name] is not None if name in sys.modules else find_spec(name) is not None

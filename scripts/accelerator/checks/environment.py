"""Versions, the device, and what TF32 does to one convolution."""

from __future__ import annotations

import importlib.util
import platform
import sys

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from scripts.accelerator.checks.session import Budget, Found, Session, precision

MODULES = (
    "deepinv",
    "odl",
    "astra",
    "imagecodecs",
    "pywt",
    "jsonschema",
    "skimage",
    "tifffile",
)


def measure(session: Session, out: Found, budget: Budget) -> None:
    out["python"], out["torch"], out["numpy"] = (
        platform.python_version(),
        torch.__version__,
        np.__version__,
    )
    out["cpu_threads"], out["cuda"] = torch.get_num_threads(), session.cuda
    out["modules"] = {name: _installed(name) for name in MODULES}
    if not session.cuda:
        out["conv_relative_error"] = "skipped: no CUDA"
        return
    out["gpu"], out["cuda_version"] = torch.cuda.get_device_name(), torch.version.cuda
    out["cudnn"] = torch.backends.cudnn.version()
    out["memory_gib"] = [part / 2**30 for part in torch.cuda.mem_get_info()]
    session.attempt(out, "conv_relative_error", convolutions, budget)


def convolutions() -> Found:
    """The relative error of a convolution, in each memory format and in each mode."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, 32, 64, 64, generator=generator)
    weight = torch.randn(32, 32, 3, 3, generator=generator) / 17
    found = {}
    for label, convolve in (("conv", F.conv2d), ("transpose", F.conv_transpose2d)):
        exact = convolve(x.double(), weight.double(), padding=1)
        for name, layout in (
            ("contiguous", torch.contiguous_format),
            ("channels_last", torch.channels_last),
        ):
            moved = x.cuda().contiguous(memory_format=layout)
            found[f"{label} {name} default"] = error(
                convolve(moved, weight.cuda(), padding=1), exact
            )
            for mode in ("f32", "tf32"):
                with precision(mode):
                    got = convolve(moved, weight.cuda(), padding=1)
                found[f"{label} {name} {mode}"] = error(got, exact)
        found[f"{label} cpu"] = error(convolve(x, weight, padding=1), exact)
    a = torch.randn(256, 256, generator=generator)
    found["matmul default"] = error(a.cuda() @ a.cuda(), a.double() @ a.double())
    return found


def error(got: Tensor, exact: Tensor) -> float:
    return float((got.double().cpu() - exact).norm() / exact.norm())


def _installed(name: str) -> bool:
    if name in sys.modules:
        return sys.modules[name] is not None
    return importlib.util.find_spec(name) is not None

"""Time, memory and quality of what ran in a cell, and the conditions that it ran under."""

from __future__ import annotations

import ctypes
import os
import statistics
import subprocess
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from pnp_recon import __version__
from pnp_recon.pictures import metrics
from pnp_recon.report.document import environment, version

Value = TypeVar("Value")

# Whose versions every row names, where they are installed.
LIBRARIES = ("torch", "numpy", "scikit-image", "deepinv", "bm3d")

PROCESS = Path("/proc/self")


def timed(
    function: Callable[[], Value], repeats: int, device: str
) -> tuple[Value, float, float | None]:
    """The result of the last call, the median of the seconds, and the peak memory of the first.

    Peak memory, in 10⁶ bytes, is by how much the process (on CUDA, what torch allocated on the
    device) grew beyond what it held before; None where the system does not tell.
    """
    seconds = []
    with PeakMemory(device) as memory:
        result, first = _once(function, device)
    seconds.append(first)
    for _ in range(repeats - 1):
        result, more = _once(function, device)
        seconds.append(more)
    return result, statistics.median(seconds), memory.megabytes


def _once(function: Callable[[], Value], device: str) -> tuple[Value, float]:
    begin = time.perf_counter()
    result = function()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return result, time.perf_counter() - begin


class PeakMemory:
    """How much memory grew inside the block, at its peak.

    On Linux the kernel's own high-water mark is set back first (`/proc/self/clear_refs`), and what
    earlier cells freed is given back to the system, so that they do not count.

    Attributes:
        megabytes: 10⁶ bytes, after the block; None where the system does not tell.
    """

    def __init__(self, device: str) -> None:
        self.cuda = device.startswith("cuda")
        self.megabytes: float | None = None

    def __enter__(self) -> PeakMemory:
        self._before: int | None
        if self.cuda:
            torch.cuda.reset_peak_memory_stats()
            self._before = torch.cuda.memory_allocated()
        else:
            _give_back()
            self._before = _resident("VmRSS") if _reset_peak() else None
        return self

    def __exit__(self, *error: object) -> None:
        peak = torch.cuda.max_memory_allocated() if self.cuda else _resident("VmHWM")
        if peak is not None and self._before is not None:
            self.megabytes = max(0, peak - self._before) / 1e6


def _give_back() -> None:
    """Freed memory goes back to the system, where the C library can."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if trim is not None:
        trim(0)


def _reset_peak() -> bool:
    try:
        (PROCESS / "clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def _resident(field: str) -> int | None:
    """Bytes of a field of /proc/self/status."""
    try:
        lines = (PROCESS / "status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith(f"{field}:")]
    return 1024 * int(found[0]) if found else None


def scores(image: Tensor, truth: Tensor, start: Tensor | None) -> dict[str, float | None]:
    """The quality columns of a row for pictures (1, C, H, W); None where there is no number."""
    values: dict[str, float | None] = {
        "psnr": _number(metrics.psnr(image, truth), 4),
        "psnr_clean_peak": _number(metrics.psnr_clean_peak(image, truth), 4),
        "ssim": _number(metrics.ssim(image, truth), 5),
        "lpips": None,
    }
    distance = metrics.lpips(image, truth)
    if distance is not None:
        values["lpips"] = _number(distance, 5)
    if start is not None:
        values["psnr_input"] = _number(metrics.psnr(start, truth), 4)
    return values


def _number(value: Tensor, digits: int) -> float | None:
    # Rounded: the last bits depend on the number of threads, the table shall not.
    number = round(float(value), digits)
    return number if abs(number) != float("inf") and number == number else None


@cache
def conditions() -> dict[str, Any]:
    """Versions and git revision, the same for every row of a process."""
    found = {"pnp-recon": __version__, **{name: version(name) for name in LIBRARIES}}
    versions = ", ".join(f"{name} {known}" for name, known in found.items() if known)
    return {"versions": versions, "revision": revision()}


def revision() -> str:
    """The git revision of the checkout that runs, "+" where it was changed; empty for a wheel."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return ""
    try:
        head = _git(root, "rev-parse", "--short=12", "HEAD")
        changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return ""
    return head + ("+" if changed else "")


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(root), *arguments],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=True,
        timeout=20,
    )
    return done.stdout.strip()


def device_name(device: str) -> str:
    """What ran, in words: the device, and of a GPU its name."""
    if device.startswith("cuda"):
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return device


def about(device: str) -> dict[str, Any]:
    """What the manifest says about the machine that a plan is made on."""
    return {"environment": environment(torch.device(device), torch.float32), **conditions()}

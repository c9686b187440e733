"""Will it fit? Estimates made before anything is allocated."""

from __future__ import annotations

import math
import os
from pathlib import Path

import torch

from operators.errors import OperatorError
from operators.scan_geometry import ScanGeometry

# Nobody knows: let the allocation itself fail.
UNKNOWN = 1 << 62
_GROUPS = "/sys/fs/cgroup"
GROUP_FILES = (
    (f"{_GROUPS}/memory.max", f"{_GROUPS}/memory.current"),
    (f"{_GROUPS}/memory/memory.limit_in_bytes", f"{_GROUPS}/memory/memory.usage_in_bytes"),
)


def coefficient_count(geometry: ScanGeometry, image_size: tuple[int, int]) -> int:
    """About how many entries the matrix of one slice has (measured: within ten per cent).

    A ray crosses up to 1.27 pixels per pixel length on the average over directions (4/π), or 1.8
    where it is interpolated between neighbours. Rays lie `detector_mm / magnification` apart at
    the axis; closer to the source they are denser, by the average of 1 / (1 − (ρ/R) cos φ).
    """
    height, width = image_size
    density = geometry.pixel_mm * geometry.magnification / geometry.detector_mm
    if geometry.source_radius is None:
        crossing = 1.8 * density
    else:
        area = height * width * geometry.pixel_mm**2 / math.pi
        nearness = min(1.0, area / geometry.source_radius**2)
        crossing = 1.27 * density * 2 * (1 - math.sqrt(1 - nearness)) / nearness
    longest = 2 * (height + width) * geometry.detector_count
    return math.ceil(len(geometry.angles) * min(crossing * height * width, longest))


def available_bytes(device: str = "cpu") -> int:
    """Memory that is free now, of the machine or of a CUDA device."""
    if torch.device(device).type == "cuda":
        return int(torch.cuda.mem_get_info(torch.device(device))[0])
    return min(_of_machine(), _of_group())


def resident_bytes() -> int:
    """What this process holds in memory now; 0 where the system does not say."""
    try:
        with open("/proc/self/statm", encoding="ascii") as line:
            return int(line.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError, IndexError):
        return 0  # no Linux


def _of_machine() -> int:
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            for line in lines:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass  # no Linux
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return UNKNOWN


def _of_group() -> int:
    """What the control group of a container leaves, where it has a limit (versions 2 and 1)."""
    for limit, used in GROUP_FILES:
        try:
            most, now = (int(Path(name).read_text(encoding="ascii")) for name in (limit, used))
            statistics = Path(used).with_name("memory.stat").read_text(encoding="ascii")
        except (OSError, ValueError):  # not there, or "max"
            continue
        kept = dict(line.split(maxsplit=1) for line in statistics.splitlines())
        cached = sum(int(kept.get(key, 0)) for key in ("active_file", "inactive_file"))
        return min(max(0, most - now + cached), UNKNOWN)
    return UNKNOWN


def require(needed: float, what: str, remedy: str, device: str = "cpu") -> None:
    """Raise OperatorError unless so many bytes are free."""
    free = available_bytes(device)
    if needed > free:
        raise OperatorError(
            f"{what} needs about {readable(needed)}, and {readable(free)} of memory are free; "
            f"{remedy}"
        )


def readable(size: float) -> str:
    """A number of bytes in words: '1.5 GB'."""
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:,.1f} GB"

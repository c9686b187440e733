"""`pnp-ct --slices` reads slab by slab, and holds what it says it will hold."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from pnp_recon.cli.ct import main
from pnp_recon.cli.ct.volume import worker
from pnp_recon.volumes.plan import LARGEST_SLAB
from support.scans import half_turn, sinogram, write_exchange

ROOT = Path(__file__).resolve().parents[2]
DETECTORS, VIEWS = 32, 20
FBP = ["--method", "fbp", "--kind", "line-integrals", "-q"]


def save(path: Path, slices: int, views: int, detectors: int) -> Path:
    """Line integrals as a stack of projections, as scanners write them."""
    turn = half_turn(views)
    one = sinogram(turn, detectors, (detectors - 1) / 2)[0].float().numpy()
    stack = np.broadcast_to(one[:, None], (views, slices, detectors))
    return write_exchange(path, data=stack, theta=np.rad2deg(turn.numpy()))


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Bytes of each read of an HDF5 data set of three dimensions."""
    found: list[int] = []
    real = h5py.Dataset.__getitem__

    def counted(self: h5py.Dataset, *args: object) -> object:
        values = real(self, *args)
        if len(self.shape) == 3:
            found.append(values.nbytes)
        return values

    monkeypatch.setattr(h5py.Dataset, "__getitem__", counted)
    return found


def test_only_the_slices_of_a_slab_are_read(tmp_path: Path, reads: list[int]) -> None:
    scan, one = save(tmp_path / "s.h5", 60, VIEWS, DETECTORS), 4 * VIEWS * DETECTORS
    reads.clear()
    assert main([str(scan), "--slices", "10:30", *FBP, "-o", str(tmp_path / "v.npy")]) == 0
    looks = 3  # at the first, middle and last of the volume
    assert sum(reads) == (20 + looks) * one
    assert max(reads) == LARGEST_SLAB * one
    reads.clear()
    assert main([str(scan), "--slices", "0:60:10", *FBP, "-o", str(tmp_path / "w.npy")]) == 0
    assert sum(reads) == (6 + looks) * one
    assert max(reads) == one


def test_a_reader_of_everything_would_be_noticed(
    tmp_path: Path, reads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    scan, one = save(tmp_path / "s.h5", 60, VIEWS, DETECTORS), 4 * VIEWS * DETECTORS
    real = worker.read

    def all_of_it(source: Path, options: object, slices: slice, sha256: str) -> object:
        whole = real(source, options, slice(0, 60), sha256)
        parts = [worker.part_of(whole, k) for k in range(slices.start, slices.stop)]
        return parts[0] if len(parts) == 1 else whole

    monkeypatch.setattr(worker, "read", all_of_it)
    reads.clear()
    assert main([str(scan), "--slices", "0:60:10", *FBP, "-o", str(tmp_path / "w.npy")]) == 0
    assert sum(reads) > 6 * 60 * one


# Not ru_maxrss, which a process takes over from the one that starts it.
MEASURED = """
import re, sys
from pathlib import Path
from pnp_recon.cli.ct import main
code = main(sys.argv[1:])
print("peak", re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])
sys.exit(code)
"""
WHOLE = """
from pnp_recon.cli.ct.volume import worker
real, held = worker.read, []

def read(source, options, slices, sha256):
    held[:] = [real(source, options, slice(0, 512), sha256)]
    return real(source, options, slices, sha256)

worker.read = read
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system does not say")
@pytest.mark.parametrize("broken", [False, True])
def test_what_is_said_is_held(tmp_path: Path, broken: bool) -> None:
    """200 MB of projections; a reader that holds them all takes more than was said."""
    scan = save(tmp_path / "s.h5", 512, 200, 512)
    assert scan.stat().st_size > 200e6
    args = [str(scan), "--slices", "0:512:128", *FBP[:-1], "--axis", "center", "--size", "32"]
    ran = subprocess.run(
        [sys.executable, "-c", (WHOLE if broken else "") + MEASURED, *args, "-o", "v.npy"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert ran.returncode == 0, ran.stderr
    said = float(re.findall(r"memory: about ([\d.]+) GiB", ran.stdout)[0]) * 2**20
    used = float(re.findall(r"peak (\d+)", ran.stdout)[0])
    assert (used < 1.05 * said) is not broken, (said, used)

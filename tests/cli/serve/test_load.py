"""Twenty uploads at once: nothing is lost, and the server holds none of them in memory."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("starlette", reason="the extra web is not installed")
pytest.importorskip("uvicorn", reason="the extra web is not installed")

from support.served import encoded, served

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads memory from /proc")

COUNT, MEGABYTES = 20, 8


def peak_megabytes(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(float(line.split()[1]) / 1000 for line in lines if line.startswith("VmHWM"))


def test_twenty_uploads_at_once(tmp_path: Path) -> None:
    noise = np.random.default_rng(0)
    small = [encoded(noise.integers(0, 255, (40, 40 + k), np.uint8)) for k in range(COUNT)]
    files = [data + b"\0" * (MEGABYTES * 10**6) for data in small]  # a PNG ends where it says
    with served(tmp_path, "--max-mb", "10") as server:
        server.until(server.upload(small[0]), "ready")
        before = peak_megabytes(server.process.pid)
        with ThreadPoolExecutor(COUNT) as pool:
            jobs = list(pool.map(server.upload, files))
            states = list(pool.map(lambda job: server.until(job, "ready", "failed"), jobs))
        grown = peak_megabytes(server.process.pid) - before
    assert len(set(jobs)) == COUNT
    assert [state["phase"] for state in states] == ["ready"] * COUNT
    assert [state["picture"]["width"] for state in states] == [40 + k for k in range(COUNT)]
    print(f"the server's peak grew by {grown:.0f} MB for {COUNT * MEGABYTES} MB of uploads")
    assert grown < COUNT * MEGABYTES / 4

"""The memory that is stated of a large picture, against what the process then held."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("resource", reason="only Unix says what a process held")

# In a process of its own, as a peak never falls again.
COMMAND = """
import resource, sys
from pnp_recon.cli.deblur import main
main(sys.argv[1:])
print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere ru_maxrss has other units")
def test_what_is_stated_is_a_bound_and_not_a_wide_one(tmp_path: Path) -> None:
    height, width = 900, 1200
    y, x = np.mgrid[:height, :width]
    grey = 128 + 60 * np.sin(x / 9) * np.cos(y / 7) + 30 * ((x // 50 + y // 40) % 2)
    noise = np.random.default_rng(0).normal(0, 2, (height, width, 3))
    values = np.clip(grey[..., None] + noise, 0, 255).astype(np.uint8)
    Image.fromarray(values).save(tmp_path / "a.png")
    asked = [
        "--kernel",
        "gaussian",
        "--length",
        "1.6",
        "--sigma",
        "2/255",
        "--strength",
        "1",
        "--max-iter",
        "6",
    ]
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, str(tmp_path / "a.png"), *asked],
        capture_output=True,
        text=True,
        timeout=1200,
    )
    stated = re.search(r"about ([\d.]+) GiB of memory", done.stdout)
    peak = re.search(r"^peak (\d+)$", done.stdout, re.MULTILINE)
    assert stated is not None, done.stderr
    assert peak is not None, done.stderr
    held = int(peak[1]) / 2**20
    # What is stated is rounded to a tenth.
    assert held - 0.05 <= float(stated[1]) <= 1.5 * held + 0.05

"""Filtered back-projection of a measured scan loads neither SciPy nor a library of tomography."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from support.ct_files import save_counts

CODE = """
import sys
from pnp_recon.cli.ct import main
code = main(sys.argv[1:])
print(code, *sorted({"scipy", "odl", "astra", "skimage"} & set(sys.modules)))
"""


def loaded(*words: str) -> str:
    command = [sys.executable, "-c", CODE, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


@pytest.mark.slow
def test_a_formula_loads_no_library_that_it_does_without(tmp_path: Path) -> None:
    source = save_counts(tmp_path / "scan.h5")
    words = [str(source), "--slice", "0", "--method", "fbp", "-o"]
    assert loaded(*words, str(tmp_path / "plain.npy")) == "0"
    # The twin: a report needs the picture without the filter, and that the operator.
    report = str(tmp_path / "report")
    assert "odl" in loaded(*words, str(tmp_path / "reported.npy"), "--report", report)

"""The source archive holds what builds, tests and documents the package, and no leftovers."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NEEDED = (
    "pyproject.toml", "README.md", "LICENSE", "Makefile", "pnp_recon/__init__.py",
    "operators/__init__.py", "trained_models/energy_colour.safetensors", "data/bsds500.sha256",
    "tests/conftest.py", "scripts/protocol.py", "docs/conf.py",
)  # fmt: skip
FOREIGN = (".venv/", ".git/", ".ci/", "out/", "docs/_build/", "__pycache__/")


def faults(names: set[str]) -> list[str]:
    """What is missing in the archive, and what does not belong there."""
    missing = [f"no {name}" for name in NEEDED if name not in names]
    strange = {part for name in names for part in FOREIGN if part in f"{name}/"}
    return missing + sorted(strange)


@pytest.mark.slow
def test_the_archive_is_whole_and_clean(tmp_path: Path) -> None:
    build = (sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", str(tmp_path))
    done = subprocess.run([*build, str(ROOT)], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        names = {name.partition("/")[2] for name in packed.getnames()}
    assert faults(names) == []


def test_a_bad_archive_is_caught() -> None:
    assert faults({*NEEDED[1:], "x/__pycache__/a.pyc"}) == ["no pyproject.toml", "__pycache__/"]

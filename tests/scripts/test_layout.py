"""Scripts are imported by their dotted names, and the one that is a file runs from anywhere."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUN = sorted(
    path
    for path in (ROOT / "scripts").rglob("*.py")
    if '\nif __name__ == "__main__":' in path.read_text() and path.name != "__main__.py"
)


@pytest.mark.parametrize("path", RUN, ids=[path.stem for path in RUN])
def test_a_script_has_one_name_and_says_how_it_is_run(path: Path) -> None:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    module = import_module(name)
    assert callable(module.main)
    as_file = f"python {path.relative_to(ROOT)}"
    assert f"python -m {name}" in module.__doc__ or as_file in module.__doc__


def test_the_list_of_scripts_is_not_empty() -> None:
    assert {path.stem for path in RUN} >= {"ct", "fetch_bsds500", "tooth", "report"}


def test_bsds500_is_fetched_by_a_file_from_any_folder(tmp_path: Path) -> None:
    script = ROOT / "scripts" / "data" / "fetch_bsds500.py"
    command = [sys.executable, "-P", str(script), "--check", "nowhere"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert f"python {script.relative_to(ROOT)} --to FOLDER" in done.stderr


def unnamed(page: str) -> set[str]:
    """Scripts and studies that a list of them leaves out; helpers of a folder stand for it."""
    places = [ROOT / "scripts" / name for name in ("tables", "figures", "studies")]
    found = {path.stem for place in places for path in place.iterdir() if path.stem[0] not in "_."}
    return {name for name in found if f"`{name}`" not in page and f"`{name}/`" not in page}


def test_the_list_of_scripts_names_them_all() -> None:
    page = (ROOT / "scripts" / "README.md").read_text(encoding="utf-8")
    assert unnamed(page) == set()
    assert unnamed(page.replace("`mri`", "").replace("`robust`", "")) == {"mri", "robust"}

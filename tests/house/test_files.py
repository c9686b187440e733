"""Files stay small and say what they are for; few modules lie loose in the package."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("operators", "pnp_recon", "scripts", "benchmarks", "tests")
MOST_LINES, MOST_LOOSE = 350, 7


def modules(root: Path) -> Iterator[Path]:
    for folder in FOLDERS:
        yield from sorted((root / folder).rglob("*.py"))


def too_long(root: Path) -> list[str]:
    """Files of more lines than `MOST_LINES`."""
    counts = {path: path.read_text(encoding="utf-8").count("\n") for path in modules(root)}
    return [path.relative_to(root).as_posix() for path, n in counts.items() if n > MOST_LINES]


def speechless(root: Path) -> list[str]:
    """Files that do not begin with a docstring."""
    return [
        path.relative_to(root).as_posix()
        for path in modules(root)
        if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]


def loose(root: Path) -> list[str]:
    """Modules of the package that are in none of its folders."""
    return sorted(path.name for path in (root / "pnp_recon").glob("*.py"))


def test_files_are_small() -> None:
    assert too_long(ROOT) == []


def test_every_module_says_what_it_is_for() -> None:
    assert speechless(ROOT) == []


def test_few_modules_lie_loose() -> None:
    assert len(loose(ROOT)) <= MOST_LOOSE, loose(ROOT)


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_long_or_a_speechless_file_is_found(tmp_path: Path, folder: str) -> None:
    inner = tmp_path / folder / "inner"
    inner.mkdir(parents=True)
    (inner / "short.py").write_text('"""Enough."""\n' + "x = 1\n" * (MOST_LINES - 1))
    (inner / "long.py").write_text('"""Too much."""\n' + "x = 1\n" * MOST_LINES)
    (inner / "speechless.py").write_text("# No docstring.\nx = 1\n")
    assert too_long(tmp_path) == [f"{folder}/inner/long.py"]
    assert speechless(tmp_path) == [f"{folder}/inner/speechless.py"]


def test_loose_modules_are_counted(tmp_path: Path) -> None:
    (tmp_path / "pnp_recon" / "inner").mkdir(parents=True)
    for name in ("a.py", "b.py", "inner/c.py"):
        (tmp_path / "pnp_recon" / name).write_text('"""A module."""\n')
    assert loose(tmp_path) == ["a.py", "b.py"]

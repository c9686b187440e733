"""Table and figure of the repeated application."""

from __future__ import annotations

from pathlib import Path

from scripts.protocol import Rows


def table(rows: Rows) -> str:
    return ""


def orbit_file(runs: Path, **key: object) -> Path:
    """Where the pictures of a row lie: clean, noisy and those of `SHOWN`, (n, 1, H, W)."""
    return runs / ("_".join(str(part) for part in key.values()) + ".pt")


def draw(rows: Rows, runs: Path, path: Path) -> None:
    return

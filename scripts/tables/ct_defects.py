"""Writes docs/results/ct_defects.md: what defects of a scan cost, and what is left of it.

    python -m scripts.tables.ct_defects [--quick]

A phantom of 64² pixels, 90 views of half a turn, noise of 1 % of the largest line integral, and in
it zingers, stuck pixels, stripes or a drift of the beam; a tube about the rotation axis with the
same stripes. `pnp-ct --method tv` with and without what mends the defect; errors are relative, in
the Euclidean norm. --quick takes 32² pixels and 40 views, for a test.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from operators import RayTransform, ScanGeometry
from pnp_recon.cli.ct import main as pnp_ct
from scripts.protocol import RESULTS, environment

Array = NDArray[np.float64]
# Defect -> the switches with which it is mended, and those with which it is left.
DEFECTS: dict[str, tuple[list[str], list[str]]] = {
    "none": ([], []),
    "zingers": ([], ["--no-zingers"]),
    "stuck pixels": ([], ["--no-dead-pixels"]),
    "stripes": (["--rings"], []),
    "drift": (["--drift"], []),
}
TUBE = ("none", "stripes")


@dataclass(frozen=True)
class Size:
    """Pixels along a side, and views."""

    side: int = 64
    views: int = 90

    @property
    def angles(self) -> Array:
        return math.pi * np.arange(self.views) / self.views


def phantom(size: Size, round_about: bool) -> Array:
    """An ellipse with a block and a disc in it, or a tube about the axis."""
    y, x = (2 * np.mgrid[: size.side, : size.side] + 1) / size.side - 1
    if round_about:
        away = np.hypot(x, y)
        return np.asarray(0.02 * ((away < 0.75) & (away > 0.42)))
    body = 0.02 * (((x - 0.08) / 0.8) ** 2 + ((y + 0.12) / 0.63) ** 2 < 1)
    body += 0.015 * ((abs(x + 0.12) < 0.2) & (abs(y + 0.37) < 0.13))
    return np.asarray(body + 0.02 * ((x - 0.25) ** 2 + (y - 0.17) ** 2 < 0.01))


def measured(picture: Array, size: Size) -> Array:
    """Line integrals (views, pixels) with noise."""
    geometry = ScanGeometry("parallel", tuple(size.angles.tolist()), size.side)
    A = RayTransform(geometry, (1, size.side, size.side))
    lines = A.A(torch.from_numpy(picture)[None, None])[0, 0].numpy()
    noise = np.random.default_rng(0).normal(size=lines.shape)
    return np.asarray(lines + 0.01 * lines.max() * noise)


def with_defect(lines: Array, defect: str) -> Array:
    rng, lines = np.random.default_rng(1), lines.copy()
    views, pixels = lines.shape
    if defect == "zingers":
        lines.flat[rng.permutation(lines.size)[: lines.size // 120]] -= 1
    elif defect == "stuck pixels":
        lines[:, [pixels // 3, 2 * pixels // 3]] = 0.3
    elif defect == "stripes":
        lines += 0.04 * rng.normal(size=pixels) * (rng.random(pixels) < 0.3)
    elif defect == "drift":
        lines += 0.02 * rng.normal(size=views).cumsum()[:, None]
    return lines


def error(lines: Array, picture: Array, size: Size, more: Sequence[str]) -> tuple[float, bool]:
    """Relative error of what `pnp-ct` makes of the lines, and whether it is certified."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.savez(folder / "scan.npz", s=lines.astype(np.float32), angles=size.angles)
        args = ["--method", "tv", "--no-picture", "--tol", "1e-3", "--json", *more]
        said = StringIO()
        with redirect_stdout(said), redirect_stderr(StringIO()):
            code = pnp_ct([str(folder / "scan.npz"), *args, "-o", str(folder / "out.npy")])
        if code != 0:
            raise SystemExit(f"pnp-ct {' '.join(args)} ended with {code}")
        found = np.load(folder / "out.npy")
    held = bool(json.loads(said.getvalue())["certificate"]["holds"])
    return float(np.linalg.norm(found - picture) / np.linalg.norm(picture)), held


def table(size: Size) -> list[str]:
    lines = ["| object | defect | error as it is | mended | certified |", "|---|---|---|---|---|"]
    cases = [("phantom", defect) for defect in DEFECTS] + [("tube", defect) for defect in TUBE]
    for name, defect in cases:
        picture = phantom(size, name == "tube")
        data = with_defect(measured(picture, size), defect)
        on, off = DEFECTS[defect]
        left, held = error(data, picture, size, off)
        cells = [name, defect, f"{left:.3f}", "–"]
        if defect != "none":
            mended, held = error(data, picture, size, on)
            cells[-1] = f"{mended:.3f}"
        lines.append(f"| {' | '.join(cells)} | {'yes' if held else 'no'} |")
        print(lines[-1], flush=True)
    return lines


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a small phantom")
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args(argv)
    torch.set_num_threads(1)
    size = Size(32, 40) if given.quick else Size()
    words = str(__doc__).strip().split("\n\n")[2].partition(" --quick")[0]
    text = "\n".join(["# Defects of a scan", "", words, "", f"{environment()}.", "", *table(size)])
    (given.results / "ct_defects.md").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

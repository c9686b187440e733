"""Flashes in scans: noise and objects that are taken for some, and flashes that are found.

Scans of eight phantoms of 96² pixels, each drawn three times with its parts elsewhere, of 45 to 180
views and of 100 to 10⁵ photons a ray or without noise. Into those of 10⁴ photons twelve flashes are
put, no two of them side by side.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from operators import RayTransform, ScanGeometry
from pnp_recon.scans.zingers import find_zingers

SIDE, DRAWN, FLASHES = 96, 3, 12
VIEWS = (45, 60, 90, 120, 150, 180)
PHOTONS = (100.0, 1e3, 1e5, math.inf)
KINDS = ("body", "metal", "plate", "wires", "porous", "lattice", "tube", "steps")
# Scans of plain noise: so many views and pixels.
SIZES = ((24, 40), (96, 96))
Array = NDArray[np.float64]


def phantom(kind: str, seed: int) -> Array:
    """Attenuation per pixel, inside the circle that a detector of `SIDE` pixels sees."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    turn, (dx, dy) = rng.uniform(0, math.pi), rng.uniform(-4, 4, 2)
    u, v = (
        math.cos(turn) * (x - dx) + math.sin(turn) * (y - dy),
        math.cos(turn) * (y - dy) - math.sin(turn) * (x - dx),
    )
    body = 0.02 * ((u / 40) ** 2 + (v / 28) ** 2 < 1)
    places = rng.uniform(-18, 18, (6, 2))
    if kind == "metal":
        for a, b in places[:2]:
            body += 0.4 * ((u - a) ** 2 + (v - b) ** 2 < 9)
    elif kind == "plate":
        body += 0.5 * ((abs(u - 5) < 14) & (abs(v - 3) < 1.5))
    elif kind == "wires":
        for a, b in places:
            body += 0.6 * ((u - a) ** 2 + (v - b) ** 2 < 1.2)
    elif kind == "porous":
        body *= 1 - 0.9 * (rng.random((SIDE, SIDE)) < 0.05)
    elif kind == "lattice":
        body *= 1 - 0.9 * ((np.round(u) % 6 == 0) & (np.round(v) % 6 == 0))
    elif kind == "tube":
        body = 0.03 * (abs(np.hypot(u, v) - 30) < 4)
    elif kind == "steps":
        body += 0.02 * (np.maximum(abs(u), abs(v)) < 15) + 0.03 * ((abs(u) < 6) & (abs(v) < 25))
    return np.asarray(body)


def angles_of(views: int) -> Tensor:
    return math.pi * torch.arange(views, dtype=torch.float64) / views


def lines_of(kind: str, seed: int, views: int) -> Array:
    """Line integrals (views, pixels) without noise."""
    geometry = ScanGeometry("parallel", tuple(angles_of(views).tolist()), SIDE)
    picture = torch.from_numpy(phantom(kind, seed))[None, None]
    return RayTransform(geometry, (1, SIDE, SIDE)).A(picture)[0, 0].numpy()


def counted(lines: Array, photons: float, seed: int) -> Array:
    """The line integrals of counts of so many photons."""
    if not math.isfinite(photons):
        return lines
    counts = np.random.default_rng(seed).poisson(photons * np.exp(-lines)).clip(0.5)
    return np.asarray(-np.log(counts / photons))


def found(lines: Array) -> NDArray[np.bool_]:
    """Where a scan (views, pixels) has flashes."""
    where = find_zingers(torch.from_numpy(lines)[None], angles_of(len(lines)))[0]
    return np.asarray(where[0].numpy())


def places(shape: tuple[int, int], rng: np.random.Generator) -> list[tuple[int, int]]:
    """Views and pixels of flashes, each in a cell of its own of a coarse grid."""
    rows, columns = shape[0] // 5, shape[1] // 8
    cells = rng.permutation(rows * columns)[:FLASHES]
    return [(5 * int(c // columns) + 2, 8 * int(c % columns) + 3) for c in cells]


def struck(lines: Array, photons: float, depth: str, seed: int) -> tuple[int, int]:
    """Flashes that are found and that there are: of 0.3 of the largest value, or 10 deviations."""
    noisy = counted(lines, photons, seed)
    here = places(lines.shape, np.random.default_rng(seed))
    for place in here:
        deviation = math.exp(lines[place] / 2) / math.sqrt(photons)
        noisy[place] -= 0.3 * lines.max() if depth == "deep" else 10 * deviation
    where = found(noisy)
    return sum(bool(where[place]) for place in here), len(here)


def measure(quick: bool) -> Iterator[tuple[str, str]]:
    """What was counted, and how often."""
    values = 10_000 if quick else 5_000_000
    for views, pixels in SIZES:
        count = max(1, values // (views * pixels))
        rng = np.random.default_rng(0)
        taken = sum(int(found(rng.normal(size=(views, pixels))).sum()) for _ in range(count))
        yield (
            f"values of plain noise, scans of {views} × {pixels}, taken for flashes",
            f"{taken} of {count * views * pixels}",
        )
    draws = range(1 if quick else DRAWN)
    cases = list(product(KINDS[:2] if quick else KINDS, draws, VIEWS[:1] if quick else VIEWS))
    clean = {case: lines_of(*case) for case in cases}
    for photons in PHOTONS:
        lost = dict.fromkeys(KINDS, 0)
        for (kind, seed, _), lines in clean.items():
            lost[kind] += bool(found(counted(lines, photons, seed)).any())
        words = ", ".join(f"{kind} {count}" for kind, count in lost.items() if count)
        name = f"{photons:g} photons a ray" if math.isfinite(photons) else "no noise"
        yield (
            f"clean scans, {name}, that lose a value",
            f"{sum(lost.values())} of {len(clean)}" + (f" ({words})" if words else ""),
        )
    for depth, name in (("deep", "0.3 of the largest value"), ("faint", "10 deviations")):
        hits = [struck(lines, 1e4, depth, case[1]) for case, lines in clean.items()]
        share = sum(hit for hit, _ in hits) / sum(count for _, count in hits)
        yield f"flashes as deep as {name} that are found", f"{share:.0%}"

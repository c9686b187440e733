"""Parameters by Itoh–Abe descent: the score never falls, and comes near the best in few points."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path

import pytest

from pnp_recon.benchmark import table, tuner
from pnp_recon.benchmark.choice import Search
from pnp_recon.benchmark.descent import STEP, ascend
from support.benchmark import bench, folder_of_pictures

BEST = {"level": 4.0, "coupling": 8.0}


def hill(point: dict[str, float]) -> float:
    """About as steep as tuning is: a coupling off by 1.5 costs 0.15 dB, a level hardly anything."""
    level, coupling = (math.log(point[name] / BEST[name]) for name in BEST)
    return 30 - 0.9 * (coupling + 0.3 * level) ** 2 - 0.1 * level**2


def taken(points: list[tuple[dict[str, float], float]]) -> list[tuple[dict[str, float], float]]:
    """Those that were the best when they came."""
    found = points[:1]
    for point, value in points[1:]:
        if value > found[-1][1]:
            found.append((point, value))
    return found


def course(start: dict[str, float]) -> list[tuple[dict[str, float], float]]:
    points: list[tuple[dict[str, float], float]] = []

    def score(point: dict[str, float]) -> float:
        points.append((dict(point), hill(point)))
        return points[-1][1]

    ascend(score, start)
    return points


@pytest.mark.parametrize(
    "start", [{"level": 10.0, "coupling": 5.5}, {"level": 7.0, "coupling": 5.5}]
)
def test_it_comes_within_two_hundredths_in_fewer_points_than_candidates(
    start: dict[str, float],
) -> None:
    points = course(start)
    assert max(value for _, value in points) > 30 - 0.02
    assert len(points) < len(tuner.LEVELS) * len(tuner.COUPLINGS)
    assert len({str(point) for point, _ in points}) == len(points)


def test_what_is_taken_is_paid_for() -> None:
    """Every step rises by s²/h or more; the twin: a hundred times as much is not paid."""
    steps = []
    for (before, low), (after, high) in pairwise(taken(course({"level": 14.0, "coupling": 4.0}))):
        moved = [math.log(after[name] / before[name]) for name in BEST]
        steps.append((high - low, sum(s * s for s in moved)))
    assert sum(rise for rise, _ in steps) >= sum(square for _, square in steps) / STEP
    assert sum(rise for rise, _ in steps) < sum(square for _, square in steps) * 100 / STEP


def test_points_without_a_score_are_the_worst() -> None:
    seen: list[float] = []

    def score(point: dict[str, float]) -> float | None:
        seen.append(point["weight"])
        return None if point["weight"] > 1.2 else -abs(math.log(point["weight"] / 0.8))

    ascend(score, {"weight": 1.0})
    assert min(abs(value - 0.8) for value in seen) < 0.05
    ascend(lambda point: None, {"weight": 1.0})  # and where there is none at all it ends


def test_the_command_records_and_finds_no_less_than_the_start(tmp_path: Path) -> None:
    data = folder_of_pictures(tmp_path / "pictures", 1)
    out = tmp_path / "tuning"
    options = ["--methods", "tv", "--noise", "5", "--crop", "32", "--problems", "Gaussian"]
    options += ["--set", "variational_max_iter=20", "--search", "itoh-abe", "--quiet"]
    assert bench("tune", "deblur", "--data", data, "-o", out, *options) == 0
    rows = table.read(out / "search.csv")
    assert rows[0].parameters == {"weight": 1.0}
    (suite,) = json.loads((out / "tuned.json").read_text(encoding="utf-8")).values()
    (entry,) = next(iter(suite["tv"].values()))
    assert entry["psnr"] == pytest.approx(max(row.psnr or 0 for row in rows), abs=1e-3)
    assert entry["parameters"]["weight"] not in tuner.WEIGHTS[:5]
    before = len(rows)
    assert bench("tune", "deblur", "--data", data, "-o", out, *options) == 0
    assert len(table.read(out / "search.csv")) == before


def test_denoisers_by_themselves_take_candidates() -> None:
    assert tuner.beginning("denoise", None, 1) == {}  # type: ignore[arg-type]
    assert Search("itoh-abe") is Search.descent

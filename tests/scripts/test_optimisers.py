"""Steps on the camel-back function, counted; the study runs from end to end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pnp_recon.datasets.folders import TrainingData
from pnp_recon.training.structured.momentum import HeavyBall
from scripts.protocol import Rows
from scripts.studies.optimisers import denoiser, tuning
from scripts.studies.optimisers.__main__ import ica, plane
from scripts.studies.optimisers.plane import METHODS, run
from support.benchmark import folder_of_pictures

COUNTS = {"gradient descent": 425, "heavy ball": 119, "Nesterov": 73, "Adam": 96,
          "relativistic": 1559}  # fmt: skip


@pytest.mark.parametrize("name", COUNTS)
def test_counts_are_those_known(name: str) -> None:
    method = next(method for method in METHODS if method.name == name)
    found = run(method)
    assert found.reached
    assert found.steps == COUNTS[name]


def test_another_method_has_another_count() -> None:
    """The mass taken twice, as where the rate is h instead of h²/m."""
    wrong = replace(METHODS[1], make=lambda u: HeavyBall(u, 0.1, 1.0, 2.0))
    assert run(wrong, 400).steps != COUNTS["heavy ball"]


def test_a_large_gradient_step_diverges() -> None:
    found = run(METHODS[-1], 50)
    assert not found.reached
    assert not float(found.points[-1].norm()) < 1e6


def test_the_study_runs(tmp_path: Path) -> None:
    plane(True, tmp_path, tmp_path)
    text = (tmp_path / "optimisers.md").read_text(encoding="utf-8")
    assert "| heavy ball | h = 0.1, γ = 1, m = 1 | 119 |" in text
    assert "| gradient descent | h = 0.01 | not in 130 |" in text
    assert "| h = 5 | diverges, after" in text
    assert (tmp_path / "optimisers.png").exists()
    assert torch.is_grad_enabled()


def test_the_rate_is_chosen_by_its_own_seed_and_rows_are_made_once(tmp_path: Path) -> None:
    draws = torch.Generator().manual_seed(0)
    pictures = [torch.randint(256, (1, 64, 64), generator=draws).byte() for _ in range(3)]
    data = TrainingData(pictures[:1], pictures[1:], {})
    rows, methods = Rows(tmp_path / "rows.jsonl"), denoiser.quick_methods()
    denoiser.study(rows, data, tmp_path, methods, 1, (0,))
    made = len(rows.rows)
    denoiser.study(rows, data, tmp_path, methods, 1, (0,))
    assert len(rows.rows) == made
    rate, tried = denoiser.best(rows, methods[0], 1)
    shown = [row for row in rows.rows if row["seed"] == 0]
    assert {row["method"] for row in shown} == {"Nesterov", "MEC"}
    assert {row["rate"] for row in shown if row["method"] == "Nesterov"} == {rate}
    assert len(tried) >= 2
    assert "| Nesterov |" in denoiser.page(rows, methods, 1)


def test_components_are_separated_on_the_manifold_alone(tmp_path: Path) -> None:
    ica(True, tmp_path, tmp_path)
    lines = (tmp_path / "optimisers_ica.md").read_text(encoding="utf-8").splitlines()
    shares = {line.split("|")[1].strip(): float(line.split("|")[4]) for line in lines[6:]}
    assert shares["Stiefel, Cayley, h = 0.1"] < 0.1
    assert shares["Euclidean gradient, h = 0.1"] > 0.2
    assert (tmp_path / "optimisers_ica.png").exists()


def test_searches_are_compared_at_the_same_points(tmp_path: Path) -> None:
    data = folder_of_pictures(tmp_path / "pictures", 3)
    plans = tuning.plan_of(data, (5.0,), 1)
    assert not set(plans[0].pictures) & set(plans[1].pictures)
    few = {"variational_max_iter": 4}
    seen, held = (
        replace(tuning.shortened(plan), settings={**plan.settings, **few}) for plan in plans
    )
    rows = Rows(tmp_path / "rows.jsonl")
    tuning.study(rows, seen, held)
    searches = [row["search"] for row in rows.rows]
    assert searches == ["candidates", "Itoh–Abe", "Nelder–Mead", "cross-validation"]
    for row in rows.rows[:3]:
        assert row["psnr"] == max(row["course"])
    tuning.study(rows, seen, held)
    assert len(rows.rows) == 4
    tuning.figure(rows, tmp_path / "courses.png")
    assert (tmp_path / "courses.png").exists()
    assert "| tv | 5.0 | Itoh–Abe |" in tuning.page(rows, seen, held)

"""The study of robust classification: a pipeline that keeps its radius, a page made of rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pnp_recon.datasets.labelled import DIGITS, load_labelled
from pnp_recon.networks.classifier import build_classifier
from pnp_recon.networks.configs import ClassifierConfig
from pnp_recon.networks.decisions import decisions
from scripts.studies.robust import pipeline
from scripts.studies.robust.attacks import attack
from scripts.studies.robust.figures import curves
from scripts.studies.robust.measure import Row, broken, measure
from scripts.studies.robust.pages import page


@pytest.fixture(scope="module")
def whole() -> pipeline.Pipeline:
    data = load_labelled(Path(DIGITS)).training.part(torch.arange(100))
    denoiser = pipeline.train_denoiser(data, replace(pipeline.DENOISER_RECIPE, steps=2))
    torch.manual_seed(0)
    network = build_classifier(ClassifierConfig(blocks=2)).double().eval().requires_grad_(False)
    torch.nn.init.normal_(network.head.weight)
    return pipeline.Pipeline(pipeline.blur(), denoiser, network, steps=4)


def measurements(whole: pipeline.Pipeline) -> torch.Tensor:
    digits = load_labelled(Path(DIGITS)).validation.part(torch.arange(30))
    return whole.A.A(digits.scaled(torch.float64))


def test_no_noise_below_its_radius_changes_a_decision(whole: pipeline.Pipeline) -> None:
    y = measurements(whole)
    held = whole.decide(y)
    for share in (0.3, 0.7):
        radius = float(held.radii.quantile(share))
        found = attack(whole, y, held.classes, radius, torch.Generator().manual_seed(0), 10, 2)
        assert broken(held, held.classes, found, radius) == 0
    # Twin: radii as if the picture did not move with y, and half the constant of the classifier.
    bold = decisions(whole(y), whole.classifier.pair_constants() / 4)
    caught = 0
    for share in (0.1, 0.3, 0.5):
        radius = float(bold.radii.quantile(share))
        found = attack(whole, y, held.classes, radius, torch.Generator().manual_seed(0), 10, 4)
        caught += broken(bold, held.classes, found, radius)
    assert caught > 0


def test_the_constant_of_the_pipeline_is_that_of_the_inverse_at_most(
    whole: pipeline.Pipeline,
) -> None:
    assert whole.constant() <= 1 / 0.52 * (1 + 1e-9)
    longer = replace(whole, steps=8)
    assert whole.constant() < longer.constant() <= 1 / 0.52 * (1 + 1e-9)


def test_rows_page_and_curves(whole: pipeline.Pipeline, tmp_path: Path) -> None:
    y = measurements(whole)
    held = whole.decide(y)
    radii = (0.0, float(held.radii.median()))
    rows = measure("pipeline", 0, whole, held, y, held.classes, radii, steps=4, restarts=1)
    assert [row.radius for row in rows] == list(radii)
    assert all(row.certified <= row.attacked and row.broken == 0 for row in rows)
    shown = [Row("dense", seed, 0.25, 0.9, 0.95, 0.93, 0) for seed in range(2)]
    text = page([*shown, *rows], 1.5)
    assert "| dense (2 seeds) | proven | – | – | 0.900 (0.900–0.900) |" in text
    assert "within their proven radius: 0." in text
    curves([*shown, *rows], tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 1000

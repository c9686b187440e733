"""Points of the plane: the data are as described, the study runs from end to end."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from scripts.studies.planar.__main__ import main
from scripts.studies.planar.data import DATA, draw
from scripts.studies.planar.models import MODELS, Classifier
from scripts.studies.planar.runs import train


@pytest.mark.parametrize("name", DATA)
def test_classes_are_balanced_seeded_and_apart(name: str) -> None:
    points, classes = draw(name, 400, 3)
    assert points.shape == (400, 2)
    assert int(classes.sum()) == 200
    assert torch.equal(points, draw(name, 400, 3)[0])
    assert not torch.equal(points, draw(name, 400, 4)[0])
    first, second = points[classes == 0], points[classes == 1]
    assert float(torch.cdist(first, second).min()) > 0.01


def test_no_line_parts_a_donut() -> None:
    """Logistic regression on the points fails, and on their radius does not."""
    points, classes = draw("donut2d", 1000, 0)
    radius = points.norm(dim=1)
    assert bool(((radius > 0.55) == (classes > 0.5)).all())
    directions = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, -1.0]])
    for values in (points @ directions.T).T:
        cuts = torch.linspace(-1.5, 1.5, 61)
        shares = ((values[:, None] > cuts) == (classes[:, None] > 0.5)).float().mean(0)
        assert float(torch.maximum(shares, 1 - shares).max()) < 0.8


@pytest.mark.parametrize("name", MODELS)
def test_a_few_steps_lower_the_loss(name: str) -> None:
    before, _ = train("donut2d", name, 0, steps=0, layers=4)
    after, net = train("donut2d", name, 0, steps=40, layers=4)
    assert after.loss < before.loss
    again, _ = train("donut2d", name, 0, steps=40, layers=4)
    assert again.loss == after.loss
    if name == "ODENet + simplex":
        sizes = net.flow.sizes().detach()  # type: ignore[operator, union-attr]
        assert float(sizes.min()) >= 0
        assert float(sizes.sum()) == pytest.approx(15.0, rel=1e-5)


def test_a_third_dimension_starts_at_zero() -> None:
    net = Classifier("ResNet (Euler)", dimension=3, layers=2)
    assert torch.equal(net.lift(torch.ones(5, 2))[:, 2], torch.zeros(5))


def test_the_study_writes_its_table_and_its_figures_and_goes_on(tmp_path: Path) -> None:
    main(quick=True, seeds=5, steps=1, results=tmp_path, images=tmp_path / "images")
    page = (tmp_path / "planar.md").read_text(encoding="utf-8")
    assert all(name in page for name in MODELS)
    assert "ResNet (Euler), 3-d" in page
    made = {path.name for path in (tmp_path / "images").iterdir()}
    assert made == {
        "planar_regions.png",
        "planar_layers_spiral.png",
        "planar_layers_donut2d.png",
        "planar_spiral.gif",
    }
    rows = (tmp_path / "planar.csv").read_text(encoding="utf-8")
    main(quick=True, seeds=5, steps=1, results=tmp_path, images=tmp_path / "images")
    assert (tmp_path / "planar.csv").read_text(encoding="utf-8") == rows

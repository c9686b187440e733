"""The study of training as control: known figures, twins, and the study from end to end."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from laws.networks import picture
from scripts.studies.control import costates, neural_ode, stopping
from scripts.studies.control.__main__ import main


def test_weights_stay_orthogonal_by_cayley_steps_alone() -> None:
    torch.manual_seed(0)
    made = neural_ode.OdeToOde(5, 100).double()
    assert neural_ode.defect(made.weights()[-1]) < 1e-13
    # The twin: Euler's step leaves O(d).
    assert neural_ode.defect(made.weights(cayley=False)[-1]) > 1e-3
    x = torch.randn(4, 5, dtype=torch.float64)
    made(x).sum().backward()
    assert made.target.grad is not None
    assert float(made.target.grad.norm()) > 0


def test_the_adjoint_agrees_as_the_tolerance_falls() -> None:
    pytest.importorskip("torchdiffeq", reason="torchdiffeq is not installed")
    coarse, fine = neural_ode.gap(1e-3), neural_ode.gap(1e-7)
    assert 1e-4 < coarse < 1e-1
    assert fine < 1e-5


def test_states_at_irregular_times_are_those_of_the_solution() -> None:
    pytest.importorskip("torchdiffeq", reason="torchdiffeq is not installed")
    network = neural_ode.Continuous(2, tol=1e-8).double()
    x = torch.randn(3, 2, dtype=torch.float64)
    times = torch.tensor([0.0, 0.1, 0.7, 1.0], dtype=torch.float64)
    states = network(x, times)
    torch.testing.assert_close(states[-1], network(x), rtol=0, atol=1e-7)
    again = network(states[1], torch.tensor([0.0, 0.6], dtype=torch.float64))
    torch.testing.assert_close(again[-1], states[2], rtol=0, atol=1e-6)


def test_a_second_order_network_moves_by_its_velocity() -> None:
    pytest.importorskip("torchdiffeq", reason="torchdiffeq is not installed")
    network = neural_ode.Continuous(2, second_order=True).double()
    y = torch.randn(3, 4, dtype=torch.float64)
    assert torch.equal(network.field(y)[..., :2], y[..., 2:])


def test_costates_need_the_partner() -> None:
    ((_, right, wrong),) = costates.table(["improved_euler"])
    assert right < 1e-14
    assert wrong > 1e-4


def test_rules_stop_where_they_say() -> None:
    truth = picture(2, 1, 12, 12).float()
    points = [truth + e for e in (0.3, 0.1, 0.2)]
    fits = torch.tensor([[3.0, 3.0], [0.9, 2.0], [0.5, 1.5]])
    found = stopping.Paths(points, truth, fits, {})
    assert stopping.discrepancy(found, 1.0) == [1, 2]
    assert stopping.best(found) == [1, 1]
    assert found.psnr([1, 2]) == pytest.approx([20.0, 13.979], abs=1e-3)


def test_the_study_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torchdiffeq", reason="torchdiffeq is not installed")

    def drawn(data: Path, side: int, trained: int, judged: int) -> tuple[Tensor, Tensor]:
        own = picture(trained + judged, 1, side, side).float()
        return own[:trained], own[trained:]

    monkeypatch.setattr(stopping, "pictures", drawn)
    main(tmp_path, True, tmp_path, tmp_path)
    text = (tmp_path / "control.md").read_text(encoding="utf-8")
    for words in ("| motion 15 px, 30° | 2.55/255 | 1 |", "| euler |", "Deep limits", "augmented"):
        assert words in text
    for name in ("stopping", "depth", "ode"):
        assert (tmp_path / f"control_{name}.png").exists()

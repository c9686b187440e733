"""The study of manifolds from end to end, and what its data are."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from pnp_recon.manifolds.circle import arc, phase
from scripts.studies.manifolds import phases, tensors
from scripts.studies.manifolds.__main__ import main


def test_phases_wrap_and_the_tame_ones_do_not() -> None:
    wrapped, tame = phases.problems()
    assert arc(wrapped.noisy(0)) > math.pi
    assert arc(tame.noisy(0)) < math.pi
    assert wrapped.error(wrapped.noisy(0)) == pytest.approx(phases.NOISE, rel=0.05)
    assert torch.allclose(wrapped.truth, phase(phases.angles()))


def test_tensors_are_measured_without_bias_where_there_is_no_noise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    field = tensors.truth(8)
    monkeypatch.setattr(tensors, "RECEIVER", 0.0)
    assert torch.allclose(tensors.measured(field, 0), field, atol=1e-12)
    monkeypatch.setattr(tensors, "RECEIVER", 0.05)
    assert not torch.allclose(tensors.measured(field, 0), field, atol=1e-2)


def test_the_study_runs(tmp_path: Path) -> None:
    main(True, tmp_path, tmp_path)
    text = (tmp_path / "manifolds.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert [row for row in rows if "| on the circle |" in row and "no guarantee | none" in row]
    assert [row for row in rows if "| half circle | on the circle |" in row and "certified" in row]
    assert [row for row in rows if "| affine-invariant |" in row and "| certified |" in row]
    assert [row for row in rows if "| on SO(3) |" in row and "no guarantee | none" in row]
    for name in ("phases", "tensors", "curves", "swelling"):
        assert (tmp_path / f"manifolds_{name}.png").exists()

"""`pnp-ct`: what its back-projections will take is said before they are made."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from operators import ScanGeometry
from pnp_recon.cli.ct import ahead, main
from pnp_recon.cli.run.effort import RANGE
from support.scans import half_turn


@pytest.mark.parametrize(("slices", "views"), [(1, 64), (3, 200)])
def test_a_few_views_stand_for_all(
    slices: int, views: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    geometry = ScanGeometry("parallel", tuple(half_turn(views).tolist()), 32)
    A = SimpleNamespace(geometry=geometry, image_shape=(1, 32, 32))
    found = cast("Any", SimpleNamespace(A=A, y=torch.zeros(slices, 1, views, 32)))
    clock = [0.0]

    def half_a_second_for_a_view(part: ScanGeometry, few: torch.Tensor, size: Any) -> None:
        assert few.shape == (slices, 1, len(part.angles), 32)
        assert size == (32, 32)
        assert len(part.angles) <= 8
        clock[0] += 0.5 * len(part.angles)

    monkeypatch.setattr(ahead, "filtered_back_projection", half_a_second_for_a_view)
    monkeypatch.setattr(ahead, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    assert ahead.of_back_projections(found) is None  # of so few pixels nothing is timed
    assert clock == [0.0]
    monkeypatch.setattr(ahead, "WORK", 1.0)
    span = ahead.of_back_projections(found)
    assert span is not None
    usual = ahead.TIMES * 0.5 * views
    assert (span.low, span.high) == pytest.approx((RANGE[0] * usual, RANGE[1] * usual))
    monkeypatch.setattr(ahead, "SHORT", 1e9)
    assert ahead.of_back_projections(found) is None


@pytest.mark.parametrize("beam", [[], ["--beam", "fan-flat", "--source-radius", "300"]])
def test_the_time_is_said_where_it_is_read(
    beam: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    np.save(tmp_path / "a.npy", np.random.default_rng(0).random((40, 32), np.float32) + 1)
    args = [str(tmp_path / "a.npy"), "--views", "40", "--method", "fbp", "--overwrite", *beam]
    args += ["--detector-radius", "100"] if beam else []
    said = "(for filtered back-projections, by a few views; an estimate)"
    assert main(args) == 0
    assert said not in capsys.readouterr().out  # the twin: it is soon over
    monkeypatch.setattr(ahead, "WORK", 1.0)
    monkeypatch.setattr(ahead, "SHORT", 0.0)
    assert main(args) == 0
    lines = capsys.readouterr().out.splitlines()
    place = next(i for i, line in enumerate(lines) if said in line)
    assert place < next(i for i, line in enumerate(lines) if "window: " in line)
    monkeypatch.setattr(ahead, "filtered_back_projection", None)
    assert main([*args, "--quiet"]) == 0  # nothing is timed for nobody

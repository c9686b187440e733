"""The study of heuristics: what it draws is what it says, and its page replaces its own rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from scripts.protocol import RESULTS, read_rows
from scripts.studies.heuristics import __main__ as study
from scripts.studies.heuristics import middle, palettes, zingers


def test_flashes_lie_apart_and_the_twin_without_them_has_none() -> None:
    lines = zingers.lines_of("body", 0, 45)
    places = zingers.places(lines.shape, np.random.default_rng(0))
    assert len(set(places)) == zingers.FLASHES
    a = places[0]
    assert all(abs(a[0] - b[0]) > 4 or abs(a[1] - b[1]) > 7 for b in places[1:])
    hits, count = zingers.struck(lines, 1e4, "deep", 0)
    assert count == zingers.FLASHES
    assert hits > count // 2
    assert not zingers.found(zingers.counted(lines, 1e4, 0)).any()


def test_parts_replace_their_own_rows(tmp_path: Path) -> None:
    study.record(tmp_path, "palettes", [("a", "1")])
    study.main(["zingers", "--quick", "--results", str(tmp_path)])
    study.record(tmp_path, "palettes", [("b", "2")])
    rows = read_rows(tmp_path / "heuristics.csv")
    assert [row["what"] for row in rows if row["part"] == "palettes"] == ["b"]
    assert "| b | 2 |" in (tmp_path / "heuristics.md").read_text(encoding="utf-8")
    assert sum(row["part"] == "zingers" for row in rows) == 8


def test_the_page_is_what_the_rows_make() -> None:
    rows = read_rows(RESULTS / "heuristics.csv")
    written = (RESULTS / "heuristics.md").read_text(encoding="utf-8")
    assert study.page(rows) == written
    assert study.page([{**row, "found": "?"} for row in rows]) != written  # the twin


@pytest.mark.parametrize("given", [["middle", "--photographs", "here"], ["palettes"]])
def test_what_a_part_needs_is_said(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        study.main(given)
    assert f"{given[0]} needs --" in capsys.readouterr().err


def test_a_moved_picture_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    y, x = torch.meshgrid(torch.linspace(-1, 1, 64), torch.linspace(-1, 1, 64), indexing="ij")
    disc = (x.square() + y.square() < 0.6).float()[None]
    monkeypatch.setattr(middle, "photographs", lambda *_: [disc, 1 - disc])
    monkeypatch.setattr(middle, "slices", lambda *_: [disc])
    found = dict(middle.measure(Path(), Path(), quick=True))
    assert found["photographs that are accused of lying in the corners"] == "0 of 2"
    assert found["photographs with corners 1.5 times as bright as the middle"] == "1 of 2"
    assert found["CT slices that were moved there, and are told"] == "1 of 1"


def test_a_palette_has_so_many_colours_and_dither_is_another_picture() -> None:
    y, x = torch.meshgrid(torch.linspace(0, 1, 96), torch.linspace(0, 1, 96), indexing="ij")
    picture = torch.stack((x, y, (x + y) / 2))[None]
    plain, dithered = (
        palettes.stored(picture, 64, dither)
        for dither in (Image.Dither.NONE, Image.Dither.FLOYDSTEINBERG)
    )
    assert 32 < len(plain[0].flatten(1).T.unique(dim=0)) <= 64
    assert not torch.equal(plain, dithered)
    found = palettes.ratio(picture, 64, Image.Dither.NONE)
    assert found is not None
    assert 0.5 < found < 2
    assert palettes.ratio(picture[..., :8, :8], 64, Image.Dither.NONE) is None  # too small

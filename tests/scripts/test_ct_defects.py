"""The table of a scan's defects: each is there, and is mended better than left."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scripts.tables import ct_defects
from scripts.tables.ct_defects import DEFECTS, Size, measured, phantom, with_defect


def test_each_defect_is_one() -> None:
    size = Size(32, 40)
    lines = measured(phantom(size, False), size)
    changed = {kind: float((with_defect(lines, kind) != lines).mean()) for kind in DEFECTS}
    assert changed.pop("none") == 0
    assert 0 < changed["zingers"] < 0.02
    assert changed["stuck pixels"] == 2 / 32
    assert changed["drift"] == 1


def test_the_page_has_a_row_for_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {kind: DEFECTS[kind] for kind in ("none", "zingers")}
    monkeypatch.setattr(ct_defects, "DEFECTS", kept)
    monkeypatch.setattr(ct_defects, "TUBE", ())
    ct_defects.main(["--quick", "--results", str(tmp_path)])
    page = (tmp_path / "ct_defects.md").read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| phantom")]
    errors = np.array([[float(row[2]), float(row[3])] for row in rows[1:]])
    assert len(rows) == 2
    assert (errors[:, 1] < 0.5 * errors[:, 0]).all()

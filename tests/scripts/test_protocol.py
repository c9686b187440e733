"""A page names the environment of whoever measured, not of whoever writes it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts import protocol
from scripts.protocol import Rows


def test_rows_say_where_they_were_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rows.jsonl"
    assert Rows(path).measured_in() == "no rows yet"
    path.write_text(json.dumps({"picture": "old"}) + "\n", encoding="utf-8")
    monkeypatch.setattr(protocol, "environment", lambda: "there")
    Rows(path).add(picture="new")
    monkeypatch.setattr(protocol, "environment", lambda: "here")
    found = Rows(path)
    assert found.measured_in() == "there; 1 rows without a note of versions"
    assert found.has(picture="new")
    found.add(picture="newer", environment="elsewhere")  # a row that knows better
    assert Rows(path).measured_in() == "there; elsewhere; 1 rows without a note of versions"

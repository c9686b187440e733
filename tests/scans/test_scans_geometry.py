"""Scan geometries in files: what is written comes back, and a bad file is one clear line."""

from __future__ import annotations

import errno
import json
import math
import os
from pathlib import Path
from typing import Any

import pytest

from operators import ScanGeometry
from pnp_recon.errors import InputError, OutputError
from pnp_recon.scans.geometry import read_geometry, write_geometry
from support.geometries import BAD_GEOMETRIES, EVERY_SCAN


@pytest.mark.parametrize("suffix", [".json", ".yaml", ".yml"])
@pytest.mark.parametrize("label", EVERY_SCAN)
def test_a_file_gives_the_geometry_back(label: str, suffix: str, tmp_path: Path) -> None:
    scan = EVERY_SCAN[label]
    write_geometry(scan, tmp_path / f"scan{suffix}")
    again = read_geometry(tmp_path / f"scan{suffix}")
    assert again == scan
    assert hash(again) == hash(scan)
    assert ScanGeometry.from_dict(json.loads(json.dumps(scan.to_dict()))) == scan


def test_a_geometry_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan, path = EVERY_SCAN[next(iter(EVERY_SCAN))], tmp_path / "scan.json"
    path.write_text("what was there")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OutputError, match="the disk is full"):
            write_geometry(scan, path)
    assert path.read_text() == "what was there"
    assert list(tmp_path.iterdir()) == [path]
    write_geometry(scan, path)  # the same without the fault
    assert read_geometry(path) == scan


def test_a_short_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "scan.yml").write_text("kind: parallel\ndetector_count: 10\nn_angles: 4\n")
    expected = [0.0, math.pi / 4, math.pi / 2, 3 * math.pi / 4]
    assert read_geometry(tmp_path / "scan.yml").angles == pytest.approx(expected)


@pytest.mark.parametrize(("values", "message"), BAD_GEOMETRIES)
def test_bad_geometries_name_the_file_and_the_key(
    values: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "scan.json"
    path.write_text(json.dumps(values))  # NaN and Infinity too, as Python writes them
    with pytest.raises(InputError, match=f"scan.json: .*{message}"):
        read_geometry(path)


def test_files_that_cannot_be_read_say_so(tmp_path: Path) -> None:
    for name, content, message in (
        ("a.json", b"{", "neither JSON nor YAML"),
        ("a.yaml", b"kind: [", "neither JSON nor YAML"),
        ("b.yaml", b"- 1\n- 2\n", "a list; expected keys"),
        ("c.yaml", b"!!python/object/apply:os.getcwd []", "neither JSON nor YAML"),
        ("d.yaml", b"\xff\xfe\x00\x01", "cannot be read as text"),
        ("e.yaml", b"", "NoneType; expected keys"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=message):
            read_geometry(tmp_path / name)
    with pytest.raises(InputError, match="cannot be read"):
        read_geometry(tmp_path / "missing.yaml")

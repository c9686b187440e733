"""What goes to a machine without a network: which pictures, which wheels, how much."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pnp_recon.datasets import bsds500, splits
from scripts.accelerator import data, pack


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """All names of BSDS500, with a few bytes each: nothing here decodes them."""
    folder = tmp_path / "bsds500"
    for key in bsds500.checksums():
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        (folder / key).write_bytes(key.encode())
    return folder


def test_the_pictures_are_those_to_train_on_byte_for_byte(whole: Path, tmp_path: Path) -> None:
    assert pack.main(["--pictures", str(whole), "--to", str(tmp_path)]) == 0
    taken = splits.training_pictures(tmp_path / "pictures")
    there = splits.training_pictures(whole)
    assert [path.read_bytes() for path in taken] == [path.read_bytes() for path in there]
    assert len(list((tmp_path / "pictures").rglob("*.jpg"))) == 232
    # The same are trained on and held out; figures are of BSD68 only where it is.
    packed, full = data.split(tmp_path / "pictures"), data.split(whole)
    assert packed.description() == full.description()
    assert packed.test == packed.validation
    assert len(full.test) == 68
    assert (packed.tested, full.tested) == ("test", "bsd68")


def test_figures_are_of_bsd68_only_where_the_pictures_are(tmp_path: Path) -> None:
    for number in range(680):
        (tmp_path / f"{number}.png").touch()
    found = data.split(tmp_path)
    assert len(found.test) == 68  # as many as BSD68 has
    assert found.tested == "test"


def test_a_limit_that_is_passed_is_said(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack, "checkout", lambda root: 5 * pack.MIB)
    (tmp_path / "many.npz").write_bytes(bytes(3 * pack.MIB))
    given = ["--slices", str(tmp_path / "many.npz"), "--to", str(tmp_path / "to"), "--limit"]
    assert pack.main([*given, "8"]) == 0
    assert "slices.npz: 3.0 MiB, with the checkout 8.0 MiB" in capsys.readouterr().out
    assert pack.main([*given, "7.9"]) == 1


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--pictures", "/nonexist"], "/nonexist is not a folder; BSDS500"),
        (["--pictures", "data/samples"], "data/samples is not BSDS500; BSDS500"),
        (["--slices", "/nonexist.npz"], "/nonexist.npz is no file; expected an archive"),
    ],
)
def test_where_there_is_nothing_to_take_one_line_says_so(
    given: list[str],
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(pack.ROOT)
    kept = tmp_path / "pictures" / "of before.jpg"
    kept.parent.mkdir()
    kept.write_bytes(b"")
    assert pack.main([*given, "--to", str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert said.err.startswith(words)
    assert said.err.count("\n") == 1
    assert not said.out
    assert kept.exists()


def test_wheels_are_for_the_other_machine_and_of_the_versions_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[list[str]] = []

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[bytes]:
        called.append(command)
        return subprocess.CompletedProcess(command, len(called) - 1, stdout=b"")

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(pack, "find_spec", lambda name: True)
    pack.wheels(tmp_path, "3.12")
    there = {"--python-version=3.12", "--platform=manylinux_2_28_x86_64", "--no-deps"}
    assert there <= {*called[0]}
    assert {*pack.pinned(pack.WHEELS)} <= {*called[0]}
    with pytest.raises(SystemExit, match="could not be downloaded"):
        pack.wheels(tmp_path, "3.12")


def test_a_library_that_is_not_here_comes_in_its_newest_version() -> None:
    known = f"numpy=={np.__version__}"
    assert pack.pinned(["no-such-library", "numpy"]) == ["no-such-library", known]

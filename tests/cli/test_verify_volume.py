"""`pnp-recon verify` of a volume: what is true passes, and what was edited is found."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pnp_recon.cli import ct
from pnp_recon.cli.listing import main
from support.cli import only_line
from support.ct_files import save_counts
from support.verified import claims

TV = ["--method", "tv", "--tol", "1e-2", "--strength", "1.5", "--size", "32", "-q"]


def made(folder: Path, *more: str) -> Path:
    scan = save_counts(folder / "s.h5", 4)
    out = folder / "v.npy"
    assert ct.main([str(scan), "--slices", "all", *TV, *more, "-o", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("volume"))


@pytest.fixture
def copied(volume: Path, tmp_path: Path) -> Path:
    shutil.copytree(volume.parent, tmp_path / "copy")
    return tmp_path / "copy" / volume.name


def test_a_good_volume_is_verified(volume: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(volume)]) == 0
    out = capsys.readouterr()
    assert "again, which took about" in out.err
    assert "--no-run leaves this out" in out.err
    said = out.out
    assert "FAILED" not in said
    found = claims(capsys, volume.with_name("v.npy.summary.json"))
    assert {f"slice {k}: values" for k in (0, 2, 3)} <= set(found)
    open_ = [what for what, one in found.items() if one["holds"] is None]
    # Of a slice that is not run again nothing is known but what the ledger says.
    assert open_ == ["axis, window and strength", "other slices"]


def test_a_volume_with_a_prior_across_slices(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = claims(capsys, made(tmp_path, "--across", "auto"))
    assert not [what for what, one in found.items() if one["holds"] is False]
    assert found["slice 2: values"]["holds"]
    assert "other slices" not in found  # one run is about all of them


def value(path: Path) -> None:
    held = np.load(path, mmap_mode="r+")
    held[1, 5, 5] += 0.1
    held.flush()


def everywhere(path: Path) -> None:
    """Values and their hash: then only the run can tell."""
    from pnp_recon.volumes.store import hash_of

    held = np.load(path, mmap_mode="r+")
    held[2] *= 1.5
    held.flush()
    _edit(path, lambda row: row.update(sha256=hash_of(np.load(path)[2])), 2)


def verdict(path: Path) -> None:
    _edit(path, lambda row: row["certificate"]["observations"].clear(), 1)


def constant(path: Path) -> None:
    _edit(path, lambda row: row["certificate"]["constants"][0].update(value=1e-9), 0)


def summary(path: Path) -> None:
    place = path.with_name("v.npy.summary.json")
    found = json.loads(place.read_text(encoding="utf-8"))
    place.write_text(json.dumps({**found, "uncertified": 1}), encoding="utf-8")


def another_scan(path: Path) -> None:
    save_counts(path.with_name("s.h5"), 4, photons=3e4)


def lacking(*names: str) -> Callable[[Path], None]:
    """A row without an entry."""

    def change(row: dict) -> None:
        for name in names[:-1]:
            row = row[name]
        del row[names[-1]]

    return lambda path: _edit(path, change, 0)


def _edit(path: Path, change: Callable[[dict], object], number: int) -> None:
    place = path.with_name("v.npy.slices.jsonl")
    head, *lines = place.read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    change(rows[number])
    text = "\n".join([head, *map(json.dumps, rows)]) + "\n"
    place.write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "failing", "run"),
    [
        (value, "values", False),
        (everywhere, "slice 2: values", True),
        (verdict, "verdicts", False),
        (constant, "slice 0: constants", True),
        (summary, "summary", False),
        (another_scan, "input file", False),
        (lacking("certified"), "summary", True),
        (lacking("certificate"), "verdicts", True),
        (lacking("certificate", "theorem"), "verdicts", True),
        (lacking("certificate", "constants"), "verdicts", True),
    ],
)
def test_what_was_edited_is_found(
    change: Callable[[Path], None],
    failing: str,
    run: bool,
    copied: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    change(copied)
    scan = ["--input", str(copied.with_name("s.h5"))]
    more = [*scan, *([] if run else ["--no-run"])]
    assert main(["verify", str(copied), "-q", *more]) == 4
    assert f"{failing}: " in only_line("pnp-recon", capsys.readouterr().err)


def test_what_is_not_here_is_not_checked(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    moved = copied.with_name("moved.npy")
    copied.rename(moved)
    summary = copied.with_name("v.npy.summary.json")
    assert main(["verify", str(summary), "--no-run", "-q"]) == 0
    assert main(["verify", str(summary), "--no-run", "-q", "--strict"]) == 4
    capsys.readouterr()
    whole = summary.read_bytes()
    summary.write_text("{}", encoding="utf-8")
    assert main(["verify", str(summary), "--no-run", "-q"]) == 2
    assert "cannot be read" in only_line("pnp-recon", capsys.readouterr().err)
    summary.write_bytes(whole)
    copied.with_name("v.npy.slices.jsonl").unlink()
    assert main(["verify", str(summary), "--no-run", "-q"]) == 2
    assert "cannot be read" in only_line("pnp-recon", capsys.readouterr().err)

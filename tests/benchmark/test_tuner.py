"""`pnp-bench tune`: the search finds the best candidate, is recorded, goes on, and is used."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from pnp_recon.benchmark import table, tuned, tuner
from pnp_recon.benchmark.methods import load_method
from pnp_recon.benchmark.rows import VARYING
from pnp_recon.benchmark.store import Results
from support.benchmark import bench, error, folder_of_pictures

# A method whose best parameter is known: noise-free pictures come back where shift is 0.25.
KNOWN = """
from pnp_recon.benchmark import Method

class Shifted(Method):
    tuned_by = {"shift": (0.0, 0.25, 0.5)}
    defaults = {"shift": 0.0}

    def denoise(self, x, sigma, shift):
        return x + shift - 0.25

class Fixed(Method):
    def denoise(self, x, sigma):
        return x
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return folder_of_pictures(tmp_path / "pictures", 2)


@pytest.fixture
def known(tmp_path: Path) -> Path:
    path = tmp_path / "known.py"
    path.write_text(KNOWN)
    return path


def search(data: Path, out: Path, *more: object) -> int:
    return bench("tune", "denoise", "--data", data, "-o", out, "--quiet", *more)


def test_finds_the_best_and_records_every_candidate(
    data: Path, known: Path, tmp_path: Path
) -> None:
    out = tmp_path / "tuning"
    methods = f"{known}:Shifted,{known}:Fixed"
    assert search(data, out, "--methods", methods, "--noise", "1,5") == 0
    best = json.loads((out / "tuned.json").read_text())
    (name,) = best["denoise"]  # nothing to choose for the other
    assert name == "Shifted"
    entries = best["denoise"][name]["1"]
    assert [(item["noise"], item["parameters"]) for item in entries] == [
        (1.0, {"shift": 0.25}),
        (5.0, {"shift": 0.25}),
    ]
    rows = table.read(out / "search.csv")
    assert len(rows) == 2 * 2 * 3  # pictures, levels, candidates


@pytest.mark.parametrize("columns", [None, "20", "200"])
def test_every_candidate_is_shown(
    columns: str | None,
    data: Path,
    known: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """On a line of its own, whole, however narrow the terminal and however long the path."""
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns is not None:
        monkeypatch.setenv("COLUMNS", columns)
    options = ["--data", data, "--methods", f"{known}:Shifted", "--noise", "5"]
    assert bench("tune", "denoise", *options, "-o", tmp_path / "tuning") == 0
    shown = capsys.readouterr().err.splitlines()
    for shift in ("0", "0.25", "0.5"):
        words = f"{known}:Shifted, noise 5: shift {shift}: "
        assert sum(line.startswith(words) for line in shown) == 1


def test_a_run_takes_what_was_found_and_keeps_it(data: Path, known: Path, tmp_path: Path) -> None:
    out, method = tmp_path / "tuning", f"{known}:Shifted"
    assert search(data, out, "--methods", method, "--noise", "5") == 0
    start = ["run", "denoise", "--data", data, "--methods", method, "--noise", "5", "--quiet"]
    assert bench(*start, "-o", tmp_path / "plain") == 0
    assert bench(*start, "-o", tmp_path / "best", "--tuned", out / "tuned.json") == 0
    plain, best = (Results.open(tmp_path / name).rows[0] for name in ("plain", "best"))
    assert plain.parameters == {"shift": 0.0}
    assert best.parameters == {"shift": 0.25}
    assert best.psnr is not None
    assert plain.psnr is not None
    assert best.psnr > plain.psnr + 10
    # The table is part of the plan: another one later changes nothing of this run.
    (out / "tuned.json").write_text("{}")
    assert Results.open(tmp_path / "best").plan.tuned["denoise"]


def test_a_search_goes_on_where_it_was(
    data: Path, known: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, method = tmp_path / "tuning", f"{known}:Shifted"
    assert search(data, out, "--methods", method, "--noise", "5") == 0
    before = (out / "search.csv").read_text()
    (out / "search.csv").write_text(before[:-30])  # killed in the middle of a line
    ran = []
    real = tuner.run_cell
    monkeypatch.setattr(tuner, "run_cell", lambda plan, cell: ran.append(cell) or real(plan, cell))
    assert search(data, out, "--methods", method, "--noise", "5") == 0
    assert len(ran) == 1

    def apart_from_time(text: str) -> list[dict[str, str]]:
        rows = list(csv.DictReader(text.splitlines()))
        return [{k: v for k, v in row.items() if k not in VARYING} for row in rows]

    assert apart_from_time((out / "search.csv").read_text()) == apart_from_time(before)


def test_a_candidate_that_fails_is_none(data: Path, tmp_path: Path) -> None:
    path = tmp_path / "fails.py"
    path.write_text(
        "from pnp_recon.benchmark import Method\n"
        "class Fails(Method):\n"
        "    tuned_by = {'a': (1.0, 2.0, 3.0)}\n"
        "    defaults = {'a': 1.0}\n"
        "    def denoise(self, x, sigma, a):\n"
        "        if a == 1.0:\n"
        "            raise ValueError('no')\n"
        "        return x * (1 if a == 2.0 else 0.5)\n"
    )
    out = tmp_path / "tuning"
    assert search(data, out, "--methods", f"{path}:Fails", "--noise", "5") == 0
    (entry,) = json.loads((out / "tuned.json").read_text())["denoise"]["Fails"]["1"]
    assert entry["parameters"] == {"a": 2.0}


def test_slices_without_splits_are_tuned_on(data: Path, tmp_path: Path) -> None:
    """A folder of slices has no split "train"; all of it is taken."""
    pytest.importorskip("astra", reason="the extra [ct] is not installed")
    out = tmp_path / "tuning"
    code = bench(
        "tune", "ct", "--data", data, "-o", out, "--methods", "wavelet", "--images", "1",
        "--quiet", "--set", "variational_max_iter=3",
    )  # fmt: skip
    assert code == 0
    rows = table.read(out / "search.csv")
    assert {row.split for row in rows} == {"all"}
    assert len(rows) == len(tuner.WEIGHTS)


def test_added_to_a_table_and_only_where_it_was_searched(
    data: Path, known: Path, tmp_path: Path
) -> None:
    into = tmp_path / "table.json"
    held = {"denoise": {"tv": {"1": [{"noise": 5.0, "parameters": {"weight": 0.7}}]}}}
    into.write_text(json.dumps(held))
    method = f"{known}:Shifted"
    code = search(data, tmp_path / "a", "--methods", method, "--noise", "5", "--into", into)
    assert code == 0
    found = json.loads(into.read_text())["denoise"]
    assert found["tv"] == held["denoise"]["tv"]
    assert set(found) == {"tv", "Shifted"}


def test_merging_replaces_a_level_and_keeps_the_others() -> None:
    def entry(noise: float, value: float) -> dict[str, object]:
        return {"noise": noise, "parameters": {"a": value}}

    first = {"denoise": {"m": {"1": [entry(5.0, 1.0), entry(15.0, 1.0)]}}}
    second = {"denoise": {"m": {"1": [entry(15.0, 2.0), entry(25.0, 2.0)]}}}
    found = tuned.merged(first, second)["denoise"]["m"]["1"]
    assert [(item["noise"], item["parameters"]["a"]) for item in found] == [
        (5.0, 1.0),
        (15.0, 2.0),
        (25.0, 2.0),
    ]
    assert first["denoise"]["m"]["1"][1]["parameters"] == {"a": 1.0}


def test_candidates_of_a_reconstruction() -> None:
    tv, euler = load_method("tv", 1), load_method("euler_grey", 1)
    assert all(set(point) == {"weight"} for point in tuner.candidates("deblur", tv, 1))
    found = tuner.candidates("deblur", euler, 1)
    assert all(set(point) == {"level", "coupling"} for point in found)
    assert len(found) == len(tuner.LEVELS) * len(tuner.COUPLINGS)


def test_refuses_what_cannot_be_tuned(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench("tune", "stability", "--data", data, "-o", tmp_path / "a", "--quiet") == 2
    assert "tune denoise" in error(capsys)
    assert bench("tune", "denoise", "-o", tmp_path / "a", "--quiet") == 2
    assert "tuning needs --data" in error(capsys)
    code = bench("tune", "denoise", "--data", data, "--tuned", tmp_path / "none.json")
    assert code == 2
    assert "cannot be read" in error(capsys)

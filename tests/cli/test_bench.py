"""`pnp-bench` besides `run` and `tune`: help, list, report, compare, and the suites once each."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pnp_recon.benchmark.methods import known_methods
from pnp_recon.benchmark.store import Results
from pnp_recon.benchmark.suites.catalogue import SUITES
from pnp_recon.benchmark.suites.problems import Tomography
from pnp_recon.models.store import shipped_models
from support.benchmark import bench, error, folder_of_pictures, own_file, table
from support.benchmark_rows import plan


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return folder_of_pictures(tmp_path / "pictures")


def test_list_names_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("list", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [suite["name"] for suite in found["suites"]] == list(SUITES)
    names = {method["name"] for method in found["methods"]}
    assert names == {info.name for info in known_methods()}
    assert {"tv", "wavelet", "nlm", "bilateral", "median", "bm3d", "deepinv:DRUNet"} <= names
    assert set(shipped_models("denoiser")) <= names
    assert bench("list") == 0
    text = capsys.readouterr().out
    assert "stability" in text
    assert "euler_grey\t" in text
    assert "NOT HERE: weights drunet" in text


def test_who_passes_colours_is_told_that_they_are_taken_as_grey(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = ["run", "denoise", "--noise", "25", "--methods", "tv", "--data"]
    assert bench(*start, data, "-o", tmp_path / "grey") == 0
    assert "--colour" not in capsys.readouterr().err
    colours = tmp_path / "colours"
    colours.mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(colours / "a.png")
    for name, more, told in (("a", [], True), ("b", ["--grey"], False), ("c", ["--colour"], False)):
        assert bench(*start, colours, "-o", tmp_path / name, *more) == 0
        err = capsys.readouterr().err
        assert ("taken as grey" in err and "--colour keeps" in err) is told
    # A picture that cannot be read fails in its cell, and not here.
    (colours / "a.png").write_bytes(b"none")
    assert bench(*start, colours, "-o", tmp_path / "damaged") == 0
    assert "taken as grey" not in capsys.readouterr().err


def test_report_and_compare(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start = ["run", "denoise", "--data", data, "--noise", "25", "--quiet", "--keep", "1"]
    for name, seed in (("a", 0), ("b", 1)):
        code = bench(*start, "--methods", "tv,wavelet", "-o", tmp_path / name, "--seed", seed)
        assert code == 0
    capsys.readouterr()
    assert bench("report", tmp_path / "a") == 0
    written = [Path(line) for line in capsys.readouterr().out.split()]
    assert all(path.is_file() for path in written)
    names = {path.name for path in written}
    assert {"report.md", "report.html"} <= names
    assert any(name.endswith(".png") for name in names)
    assert any("strip" in name for name in names)
    assert "tv" in (tmp_path / "a" / "report" / "report.md").read_text()
    assert bench("compare", tmp_path / "a", tmp_path / "b") == 0
    assert "seed" in capsys.readouterr().out
    assert bench("compare", tmp_path / "a", tmp_path / "b", "--markdown") == 0
    assert "| " in capsys.readouterr().out
    assert bench("compare", tmp_path / "a", "--methods", "tv,wavelet") == 0
    assert "wavelet" in capsys.readouterr().out


def test_compare_needs_two_runs_or_two_methods(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "a"
    start = ["run", "denoise", "--data", data, "--noise", "25", "--quiet", "--images", "1"]
    assert bench(*start, "--methods", "wavelet", "-o", out) == 0
    assert bench("compare", out) == 2
    assert "two folders, or one with --methods" in error(capsys)
    assert bench("compare", out, "--methods", "wavelet") == 2
    assert "two methods" in error(capsys)
    assert bench("compare", out, "--methods", "wavelet,tv") == 2
    assert "no method 'tv'" in error(capsys)


@pytest.mark.parametrize(
    ("suite", "options", "certified"),
    [
        ("deblur", ["--grey", "--problems", "motion", "--noise", "7.65"], {"tv", "euler_grey"}),
        ("inpaint", ["--grey", "--problems", "50"], {"tv", "euler_grey"}),
    ],
)
def test_reconstruction_suites(
    suite: str, options: list[str], certified: set[str], data: Path, tmp_path: Path
) -> None:
    mine, out = own_file(tmp_path), tmp_path / "out"
    methods = f"tv,euler_grey,{mine}:Half"
    code = bench(
        "run", suite, "--data", data, "-o", out, "--methods", methods, "--images", "1", *options,
        "--set", "tol=1e-3", "--quiet",
    )  # fmt: skip
    assert code == 0
    for row in Results.open(out).rows:
        assert row.status == "converged", row
        assert row.psnr is not None
        assert row.iterations is not None
        assert row.residual is not None
        assert row.residual <= 1e-3
        assert (row.certificate == "certified") == (row.method in certified)
        if row.method in certified:
            assert row.psnr > (row.psnr_input or 99)
    results = Results.open(out)
    curve = results.curve(next(results.plan.cells()))
    assert curve is not None
    assert len(curve["iteration"]) == len(curve["residual"]) > 1


@pytest.fixture
def slices(tmp_path: Path) -> Path:
    """An archive of two bodies with a bone, 64², in HU + 1024."""
    y, x = np.mgrid[:64, :64] - 31.5
    values = np.where(x**2 + 1.4 * y**2 < 700, 1024 + 40, 0) + np.where(x**2 + y**2 < 90, 300, 0)
    path = tmp_path / "slices.npz"
    np.savez(path, img=np.stack([values, values.T]).astype(np.uint16), split=["val", "val"])
    return path


def test_ct_suite(slices: Path, tmp_path: Path) -> None:
    pytest.importorskip("astra", reason="the extra [ct] is not installed")
    out = tmp_path / "out"
    code = bench(
        "run", "ct", "--data", slices, "-o", out, "--methods", "tv,euler_grey", "--images", "1",
        "--quiet",
    )  # fmt: skip
    assert code == 0
    for row in Results.open(out).rows:
        assert (row.status, row.certificate) == ("converged", "certified")
        assert row.psnr is not None
        assert row.psnr > (row.psnr_input or 99) + 1


def test_ct_suite_scans_the_crop(slices: Path) -> None:
    pytest.importorskip("astra", reason="the extra [ct] is not installed")
    whole = plan(suite="ct", data=str(slices), split="val", pictures=(("val[0]", 0),),
                 methods=("tv",), degradations=SUITES["ct"].degradations())  # fmt: skip
    (cell,) = whole.cells()
    suite = Tomography()
    full, cropped = suite.problem(whole, cell), suite.problem(replace(whole, crop=32), cell)
    assert full.truth.shape == (1, 1, 64, 64)
    assert torch.equal(cropped.truth, full.truth[..., 16:48, 16:48])
    assert cropped.start.shape == cropped.A.A_adjoint(cropped.y).shape == (1, 1, 32, 32)


def test_stability_of_shipped_denoisers(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    settings = ["--set", "applications=30", "--set", "attack_steps=10", "--set", "max_iter=60"]
    code = bench(
        "run", "stability", "--data", data, "-o", out, "--methods", "euler_grey,dncnn_grey,tv",
        *settings, "--quiet",
    )  # fmt: skip
    assert code == 0
    found = {(row.problem, row.method): row for row in Results.open(out).rows}
    euler, dncnn = found["attack", "euler_grey"], found["attack", "dncnn_grey"]
    assert euler.attained_lipschitz is not None
    assert euler.attained_lipschitz <= 1 + 1e-3
    assert (euler.status, dncnn.status) == ("done", "expansive")
    assert {row.certificate for row in found.values() if row.method == "euler_grey"} == {
        "certified"
    }
    again = {name: found["repeat", name] for name in ("euler_grey", "dncnn_grey", "tv")}
    assert (again["euler_grey"].attained_lipschitz or 9) <= 1 + 1e-3
    assert again["euler_grey"].status == again["tv"].status == "done"
    assert again["euler_grey"].certificate == again["tv"].certificate == "certified"
    # Total variation as a denoiser is inexact: certified as a map, not inside an iteration.
    assert found["attack", "tv"].certificate == "certified"
    assert found["pnp-pgd", "tv"].certificate == "no guarantee"


def test_quick_takes_few_small_pictures(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code = bench("run", "denoise", "--data", data, "-o", out, "--quick", "--quiet", "--noise", "25")
    assert code == 0
    made = Results.open(out).plan
    assert made.crop == 160
    assert "bm3d" not in made.methods
    assert {"euler_grey", "tv", "median"} <= set(made.methods)
    assert len(table(out)) == len(made)

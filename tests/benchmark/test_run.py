"""`pnp-bench run`: the table, and denoisers of users."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pnp_recon.benchmark.rows import COLUMNS
from pnp_recon.benchmark.store import Results
from support.benchmark import (
    bench,
    column,
    error,
    folder_of_pictures,
    own_file,
    picture,
    start,
    table,
)

# PSNR in dB of (method, noise) on the pictures a, b, c; noise and pictures follow from seeds.
GOLDEN = {
    ("tv", 5.0): (42.527, 37.693, 45.166),
    ("wavelet", 5.0): (36.27, 40.476, 40.922),
    ("median", 5.0): (39.423, 38.332, 41.64),
    ("tv", 25.0): (29.024, 28.822, 36.232),
    ("wavelet", 25.0): (24.339, 28.324, 29.57),
    ("median", 25.0): (25.377, 27.52, 27.861),
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return folder_of_pictures(tmp_path / "pictures")


# ---- the table ----------------------------------------------------------------------------


def test_golden_table(data: Path, tmp_path: Path) -> None:
    out, tuned = tmp_path / "out", tmp_path / "tuned.json"
    tuned.write_text("{}")  # the methods' own defaults, which no new search changes
    methods = ["--methods", "tv,wavelet,median", "--noise", "5,25", "--tuned", tuned]
    assert start(data, out, *methods) == 0
    found: dict[tuple[str, float], list[float]] = {}
    for row in table(out):
        assert (row["status"], row["split"], row["suite"]) == ("done", "all", "denoise")
        found.setdefault((row["method"], float(row["noise"])), []).append(float(row["psnr"]))
    assert set(found) == set(GOLDEN)
    for key, values in GOLDEN.items():
        assert found[key] == pytest.approx(values, abs=0.02), key


def test_a_row_says_under_which_conditions(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert start(data, out, "--methods", "tv,euler_grey", "--noise", "25", "--images", "1") == 0
    tv, euler = Results.open(out).rows
    assert tv.certificate == euler.certificate == "certified"
    assert (tv.alpha, tv.lipschitz) == (0.5, 1.0)
    assert 0.9 < (euler.alpha or 0) < 1
    assert len(euler.model_sha256) == 64
    assert "firmly nonexpansive" not in euler.theorem
    assert "torch" in euler.versions
    assert (euler.device, euler.threads, euler.seed) == ("cpu", 1, 0)
    assert euler.seconds is not None
    assert euler.seconds > 0
    assert euler.psnr is not None
    assert euler.psnr_input is not None
    assert euler.psnr > euler.psnr_input + 3
    assert set(table(out)[0]) < set(COLUMNS)


def test_noise_is_the_same_for_every_method_and_follows_the_seed(
    data: Path, tmp_path: Path
) -> None:
    # 'identity' returns what it is given: its PSNR is that of the noise.
    mine = own_file(tmp_path)
    inputs = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        out = tmp_path / name
        assert start(data, out, "--methods", f"{mine}:Half,wavelet", "--seed", seed) == 0
        inputs.append(column(out, "psnr_input"))
        halves, others = inputs[-1][0::2], inputs[-1][1::2]
        assert halves == others
    assert inputs[0] == inputs[1]
    assert inputs[0] != inputs[2]


def test_fewer_pictures_have_the_same_noise(data: Path, tmp_path: Path) -> None:
    for name, count in (("all", "all"), ("one", "1")):
        code = start(data, tmp_path / name, "--methods", "wavelet", "--images", count)
        assert code == 0
    whole = {(r["picture"], r["noise"]): r["psnr"] for r in table(tmp_path / "all")}
    some = {(r["picture"], r["noise"]): r["psnr"] for r in table(tmp_path / "one")}
    assert len(some) == 3
    assert some.items() < whole.items()


def test_crops_are_kept_of_the_pictures_named(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    options = ["--methods", "wavelet", "--noise", "5"]
    assert start(data, out, *options, "--keep", "b,c.png") == 0
    names = {path.name for path in (out / "pictures").iterdir()}
    assert len(names) == 2 * 3  # clean, noisy, denoised
    assert not any("a.png" in name for name in names)
    assert start(data, tmp_path / "other", *options, "--keep", "z") == 2
    assert "'z', which is not run; pictures: a.png, b.png, c.png" in error(capsys)


def test_a_name_wins_over_a_number_of_pictures(data: Path, tmp_path: Path) -> None:
    (data / "b.png").rename(data / "2.png")
    (data / "c.png").rename(data / "101085.png")

    def kept(words: str) -> set[str]:
        out = tmp_path / words
        options = ["--methods", "wavelet", "--noise", "5", "--keep", words]
        assert start(data, out, *options) == 0
        return set(Results.open(out).plan.kept)

    assert kept("101085") == {"101085.png"}
    assert kept("2") == {"2.png"}
    assert kept("1") == {"101085.png"}  # no such name: the first one


# ---- users' denoisers ---------------------------------------------------------------------


def test_a_class_of_three_lines(data: Path, tmp_path: Path) -> None:
    mine, out = own_file(tmp_path), tmp_path / "out"
    assert start(data, out, "--methods", f"{mine}:Half", "--images", "1", "--noise", "0") == 0
    (row,) = Results.open(out).rows
    x = picture(1) / 255
    expected = -10 * np.log10(np.mean((0.5 * x + 0.25 - x) ** 2))
    assert row.psnr == pytest.approx(expected, abs=1e-3)
    assert row.certificate == "no guarantee"


def test_an_expansive_denoiser_shows_as_diverged(data: Path, tmp_path: Path) -> None:
    mine, out = own_file(tmp_path), tmp_path / "out"
    settings = ["--set", "applications=40", "--set", "attack_steps=3", "--set", "max_iter=40"]
    methods = f"{mine}:doubles,{mine}:Half"
    code = bench(
        "run", "stability", "--data", data, "-o", out, "--quiet", "--methods", methods, *settings
    )
    assert code == 0
    found = {(row.problem, row.method.rpartition(":")[2]): row for row in Results.open(out).rows}
    assert found["repeat", "doubles"].status == "diverged"
    assert found["repeat", "doubles"].iterations == 4  # 2⁴ > 10
    assert found["repeat", "doubles"].attained_lipschitz == pytest.approx(2, abs=1e-3)
    assert found["repeat", "Half"].attained_lipschitz == pytest.approx(0.5, abs=1e-3)
    assert found["attack", "doubles"].status == "expansive"
    assert found["attack", "doubles"].attained_lipschitz == pytest.approx(2, abs=1e-3)
    # The twin that halves distances is none of it.
    assert found["repeat", "Half"].status == "done"
    assert found["attack", "Half"].status == "done"
    assert found["attack", "Half"].attained_lipschitz == pytest.approx(0.5, abs=1e-3)
    assert found["pnp-pgd", "Half"].status == "converged"


def test_a_slowly_expansive_denoiser_and_a_false_certificate_are_found(
    data: Path, tmp_path: Path
) -> None:
    path, out = tmp_path / "false.py", tmp_path / "out"
    path.write_text(
        "from pnp_recon import guarantees\n"
        "from pnp_recon.benchmark import Method\n"
        "class Slow(Method):\n"
        "    guarantee = guarantees.firm('I say so')\n"
        "    def denoise(self, x, sigma): return 0.4 + 1.02 * (x - 0.4)\n"
    )
    settings = ["--set", "applications=20", "--set", "attack_steps=3"]
    problems = ["--problems", "repeat,attack"]
    code = bench(
        "run", "stability", "--data", data, "-o", out, "--quiet", "--methods", path, *settings,
        *problems,
    )  # fmt: skip
    assert code == 0
    for row in Results.open(out).rows:
        assert row.status == "expansive"
        assert row.certificate == "contradicted"
        assert row.attained_lipschitz == pytest.approx(1.02, abs=2e-3)

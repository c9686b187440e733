"""Time, memory and quality of a cell, and the attack, on things whose answer is known."""

from __future__ import annotations

import sys

import pytest
import torch

from pnp_recon.benchmark import measure
from pnp_recon.benchmark.attack import attack, search
from pnp_recon.benchmark.rows import COLUMNS, Row, from_fields, header, to_line
from pnp_recon.errors import InputError
from pnp_recon.pictures import metrics

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process its peak")


def allocate(megabytes: int) -> float:
    return float(torch.ones(megabytes * 250_000).sum())


@LINUX
def test_peak_memory_is_of_the_call_alone() -> None:
    _, _, large = measure.timed(lambda: allocate(200), 1, "cpu")
    _, _, small = measure.timed(lambda: allocate(20), 1, "cpu")
    assert large is not None
    assert small is not None
    assert 190 < large < 260
    assert small < 60  # a plain high-water mark would still say 200


class Clock:
    """Goes on by what a call is said to take, whatever the machine does meanwhile."""

    def __init__(self, *pauses: float) -> None:
        self.now, self.pauses = 100.0, iter(pauses)

    def perf_counter(self) -> float:
        return self.now

    def call(self) -> None:
        self.now += next(self.pauses)


@pytest.mark.parametrize(
    ("pauses", "median"), [((0.0, 0.25, 0.0), 0.0), ((0.25, 0.25, 0.0), 0.25), ((3, 1, 2), 2)]
)
def test_seconds_are_the_median(
    pauses: tuple[float, ...], median: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(*pauses)
    monkeypatch.setattr(measure, "time", clock)
    assert measure.timed(clock.call, 3, "cpu")[1] == median


def test_memory_that_nobody_tells_is_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "PROCESS", measure.Path("/nonexistent"))
    assert measure.timed(lambda: 1, 1, "cpu")[2] is None


def test_scores_leave_out_what_is_no_number() -> None:
    x = torch.rand(1, 1, 8, 8)
    found = measure.scores(x, x, None)
    assert found["psnr"] is None  # infinite
    assert found["ssim"] is None  # smaller than the window
    assert "psnr_input" not in found


def test_conditions_name_versions() -> None:
    found = measure.conditions()
    assert "torch" in found["versions"]
    assert "pnp-recon" in found["versions"]


def test_the_manifest_names_the_device_of_the_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    assert measure.about("cpu")["environment"]["device"] == "cpu"
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "a GPU")
    found = measure.about("cuda")["environment"]
    assert (found["device"], found["device_name"]) == ("cuda", "a GPU")


# ---- LPIPS --------------------------------------------------------------------------------


def test_lpips_is_nothing_where_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "find_spec", lambda name: None)
    metrics._lpips.cache_clear()
    x = torch.rand(1, 3, 64, 64)
    assert metrics.lpips(x, x) is None
    metrics._lpips.cache_clear()


def test_lpips_gives_one_number_a_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def network(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        seen.append((a.shape, float(a.max())))
        return (a - b).abs().mean((1, 2, 3))

    monkeypatch.setattr(metrics, "_lpips", lambda device: network)
    x, y = 2 * torch.rand(2, 1, 64, 64), torch.zeros(2, 1, 64, 64)
    found = metrics.lpips(x, y)
    assert found is not None
    assert found.shape == (2,)
    assert seen[0][0] == (2, 3, 64, 64)
    assert seen[0][1] <= 1
    assert metrics.lpips(x[..., :32], y[..., :32]) is None
    with pytest.raises(InputError):
        metrics.lpips(x, y[:1])


# ---- the attack ---------------------------------------------------------------------------


def test_search_finds_the_norm_of_a_linear_map() -> None:
    scales = torch.linspace(0.1, 1.7, 64).reshape(1, 1, 8, 8)
    x = torch.rand(1, 1, 8, 8)
    found = search(lambda z: scales * z, x, 60)
    assert 1.65 < found <= 1.7 + 1e-3


@pytest.mark.parametrize("gradients", [False, True])
def test_attack_stays_below_the_constant_of_a_contraction(gradients: bool) -> None:
    x = torch.rand(1, 1, 8, 8)
    assert attack(lambda z: 0.8 * z.clamp(0, 1), x, 20, gradients=gradients) <= 0.8 + 1e-4


def test_gradients_find_a_steep_spot_that_the_search_misses() -> None:
    # Steep only where a value exceeds 0.9; the start lies below.
    def steep(z: torch.Tensor) -> torch.Tensor:
        return 0.5 * z + 4 * (z - 0.9).clamp_min(0)

    x = torch.full((1, 1, 8, 8), 0.8)
    assert search(steep, x, 30) < 0.6
    assert attack(steep, x, 60, gradients=True) > 1


def test_an_attack_on_what_overflows_ends() -> None:
    x = torch.rand(1, 1, 4, 4)
    assert search(lambda z: 1e30 * z, x, 5) > 1e20


# ---- rows ---------------------------------------------------------------------------------


def a_row(**fields: object) -> Row:
    usual = {
        "suite": "denoise", "problem": "gaussian noise", "noise": 5.0, "picture": "a.png",
        "split": "all", "method": "m", "channels": 1, "seed": 0, "status": "done",
    }  # fmt: skip
    return Row(**{**usual, **fields})  # type: ignore[arg-type]


def parse(line: str) -> Row:
    import csv

    return from_fields(dict(zip(COLUMNS, next(csv.reader([line])), strict=True)))


def test_rows_survive_csv() -> None:
    row = a_row(
        psnr=1 / 3,
        iterations=7,
        parameters={"a": 0.1, "size": 3},
        message='a "word", and a comma',
        alpha=None,
    )
    assert parse(to_line(row)) == row
    assert header().count(",") == to_line(a_row()).count(",")


def test_a_message_of_several_lines_stays_one_row() -> None:
    assert to_line(a_row(message="one\ntwo\r\nthree")).count("\n") == 1


@pytest.mark.parametrize(("field", "value"), [("noise", "five"), ("channels", "x"), ("seed", "")])
def test_damaged_rows_are_refused(field: str, value: str) -> None:
    import csv

    cells = dict(zip(COLUMNS, next(csv.reader([to_line(a_row())])), strict=True))
    if value:
        with pytest.raises(InputError, match="damaged"):
            from_fields({**cells, field: value})
    del cells[field]
    with pytest.raises(InputError, match="no column"):
        from_fields(cells)

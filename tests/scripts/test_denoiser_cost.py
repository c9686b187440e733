"""The cost benchmark: the timing twin computes what it says, and the scripts write their tables."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import crr_twin
import denoiser_cost
import pytest
import tiling_memory
import torch
import torch.nn.functional as F
from crr_twin import CRRTwin, Way

from pnp_recon.models.weights import export
from pnp_recon.networks.configs import EulerConfig
from pnp_recon.networks.euler import EulerNet

PLAIN = Way(channels_last=False, strided=False, spline="gather")
PICTURE = torch.rand(1, 3, 17, 22, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("strided", [False, True])
@pytest.mark.parametrize("spline", ["gather", "pairs"])
def test_all_ways_are_the_same_map(channels_last: bool, strided: bool, spline: str) -> None:
    way = Way(channels_last, strided, spline)  # type: ignore[arg-type]
    torch.testing.assert_close(CRRTwin(way, 3)(PICTURE), CRRTwin(PLAIN, 3)(PICTURE))


def test_a_clip_and_another_number_of_steps_are_other_maps() -> None:
    base = CRRTwin(PLAIN, 3)(PICTURE)
    for other in (CRRTwin(replace(PLAIN, spline="clip"), 3), CRRTwin(PLAIN, 4)):
        assert float((other(PICTURE) - base).abs().max()) > 1e-4


def test_the_splines_are_linear_between_knots() -> None:
    twin = CRRTwin(PLAIN)
    z = 0.3 * torch.randn(2, crr_twin.FILTERS, 5, 6)
    knots = crr_twin.SPACING * (torch.arange(1, crr_twin.KNOTS + 1) - (crr_twin.KNOTS + 1) / 2)
    piece = torch.bucketize(z, knots, right=True)
    rows = torch.arange(crr_twin.FILTERS)[:, None, None]
    slopes, values = (t.view(crr_twin.FILTERS, -1) for t in (twin.slopes, twin.values))
    torch.testing.assert_close(twin.activation(z), values[rows, piece] + slopes[rows, piece] * z)
    assert len(piece.unique()) == crr_twin.KNOTS + 1


def test_the_convolutions_are_transposes() -> None:
    """Of W and of the operator between, both directions: ⟨Wᵀu, x⟩ = ⟨u, Wx⟩ with u = clip(Wx)."""
    for strided in (False, True):
        twin = CRRTwin(Way(False, strided, "clip"))
        x = torch.randn(2, 1, 13, 18)
        responses = F.conv2d(x, twin.filters, padding=crr_twin.SIDE // 2)
        left = float((twin.gradient(x) * x).sum())
        assert left == pytest.approx(float((F.hardtanh(responses) * responses).sum()), rel=1e-4)


# ---- the scripts -------------------------------------------------------------------------------


@pytest.fixture
def model(tmp_path: Path) -> str:
    net = EulerNet(EulerConfig(channels=3, width=12, hidden=8, blocks=1))
    return str(export(net, tmp_path, "tiny", (1 / 255, 50 / 255), {}))


def test_the_table_and_the_rows(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(denoiser_cost, "PAUSE", 0.0)
    out, labels = tmp_path / "cost", ["tiny, bfloat16", denoiser_cost.CRR]
    sizes = ["--height", "17", "--width", "22", "--threads", "1", "--turns", "2", "--steps", "2"]
    denoiser_cost.main([model, *sizes, "--only", *labels, "--output", str(out)])
    with out.with_suffix(".csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["method"] for row in rows] == labels
    reference = float(rows[1]["median"])
    text = out.with_suffix(".md").read_text()
    for row in rows:
        seconds = [float(value) for value in row["seconds"].split()]
        assert len(seconds) == 2
        assert min(seconds) > 0
        assert float(row["peak_megabytes"]) > float(row["work_megabytes"]) >= 0
        (line,) = [line for line in text.splitlines() if line.startswith(f"| {row['method']} |")]
        assert f" {float(row['median']) / reference:.3f} |" in line
    assert "1 thread(s)" in text


def test_memory_of_tiles(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    out = tmp_path / "memory.md"
    sizes = ["--megapixels", "0.01", "--untiled", "--tile", "32", "--threads", "1"]
    tiling_memory.main([model, *sizes, "--output", str(out)])
    assert "| 0.01 | 32² |" in out.read_text()

"""DnCNN: trained by the same trainer, shipped without a guarantee, and no card can give it one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from operators import Convolution, kernels
from pnp_recon import load_denoiser, reconstruct
from pnp_recon.cli.train import main
from pnp_recon.errors import WeightsError
from pnp_recon.models.export import export
from pnp_recon.models.load import load_network
from pnp_recon.networks.dncnn import DnCNN, DnCNNConfig
from pnp_recon.priors.attack import attained_ratio
from pnp_recon.solvers import Stopping
from pnp_recon.training.denoiser.recipe import BlindRecipe, DenoiserRecipe
from support.cli import only_line

TINY = DnCNNConfig(channels=1, depth=3, width=4)
LEVELS = (1 / 255, 50 / 255)


@pytest.fixture
def card(tmp_path: Path) -> Path:
    network = DnCNN(TINY)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return export(network, tmp_path, "tiny", LEVELS, {})


def edit(card: Path, **fields: object) -> None:
    content = json.loads(card.read_text())
    card.write_text(json.dumps({**content, **fields}))


def test_starts_as_the_identity() -> None:
    x = torch.rand(2, 1, 9, 12)
    assert torch.equal(DnCNN(TINY)(x), x)


def test_round_trip_and_no_guarantee(card: Path) -> None:
    denoiser = load_denoiser(str(card))
    assert not denoiser.guarantee.holds
    assert "no guarantee" in str(denoiser.guarantee)
    assert denoiser.channels == 1
    x = torch.rand(1, 1, 16, 16)
    assert torch.equal(denoiser(x, 25 / 255), load_denoiser(str(card))(x, 5 / 255))  # blind
    assert not torch.equal(denoiser(x, 25 / 255), x)


def test_a_card_cannot_claim_a_certificate(card: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(card), "--attack-steps", "0"]) == 0
    assert "no guarantee" in capsys.readouterr().out
    edit(card, certificate={"averagedness": 0.5, "lipschitz": 1.0, "source": "I say so"})
    assert not load_denoiser(str(card)).guarantee.holds
    assert main(["check", str(card), "--attack-steps", "0", "--quiet"]) == 4
    assert "averagedness is claimed" in only_line("pnp-train", capsys.readouterr().err)


def test_it_is_no_certified_network(card: Path) -> None:
    with pytest.raises(WeightsError, match="without any certificate"):
        load_network(str(card))


def test_a_wrong_count_is_found(card: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(card, parameters=7)
    assert main(["check", str(card), "--attack-steps", "0", "--quiet"]) == 4
    assert "7 in the card" in only_line("pnp-train", capsys.readouterr().err)


def test_runs_that_use_it_say_that_nothing_is_proven(card: Path) -> None:
    A = Convolution(kernels.linear_motion(5, 0), (1, 16, 16), "circular")
    y = A.A(torch.rand(1, 1, 16, 16))
    solution = reconstruct(
        y,
        A,
        load_denoiser(str(card)),
        noise_level=0.01,
        stopping=Stopping(tol=1e-3, max_iter=3),
        allow_uncertified=True,
    )
    assert not solution.certificate.proven
    assert "no guarantee" in solution.certificate.verdict


def test_the_shipped_one_is_expansive_and_its_rival_is_not() -> None:
    x = torch.rand(1, 1, 24, 24, generator=torch.Generator().manual_seed(0)).double()
    attained = {}
    for name in ("dncnn_grey", "euler_grey"):
        denoiser = load_denoiser(name, dtype=torch.float64)
        attained[name] = attained_ratio(lambda z, d=denoiser: d(z, 25 / 255), x, 20)
    assert attained["dncnn_grey"] > 1.2
    assert attained["euler_grey"] <= 1 + 1e-9


def test_the_blind_recipe_evens_levels_out_by_half() -> None:
    known, blind = DenoiserRecipe(), BlindRecipe()
    low, high = 5 / 255, 50 / 255
    assert blind.typical_error(25 / 255) == pytest.approx(known.typical_error(25 / 255))
    ratio = known.typical_error(high) / known.typical_error(low)
    assert blind.typical_error(high) / blind.typical_error(low) == pytest.approx(ratio**0.5)


def test_command_trains_resumes_and_exports(tmp_path: Path) -> None:
    pytest.importorskip("deepinv", reason="deepinv is not installed")
    data, run = tmp_path / "data", tmp_path / "run"
    data.mkdir()
    y, x = np.mgrid[:48, :48]
    for index in range(2):
        values = (120 + 60 * np.sin(x / (4 + index)) * np.cos(y / 5)).astype(np.uint8)
        Image.fromarray(values).save(data / f"{index}.png")
    small = ["--depth", "3", "--width", "4", "--batch", "2", "--patch", "16", "--no-bf16"]
    start = ["dncnn", "--data", str(data), "-o", str(run), "--steps", "4", *small]
    common = ["--quiet", "--no-tensorboard", "--threads", "1"]
    assert main([*start, *common, "--every", "2"]) == 0
    content = json.loads((run / "dncnn_grey.json").read_text())
    assert content["network"] == {"class": "DnCNN", "channels": 1, "depth": 3, "width": 4}
    assert content["guarantee"].startswith("no guarantee")
    assert content["training"]["steps_done"] == 4
    assert set(content["validation"]["psnr_db"]) == {"psnr_5", "psnr_15", "psnr_25"}
    assert main(["dncnn", "-o", str(run), *common, "--export", str(tmp_path / "again")]) == 0
    first = (run / "dncnn_grey.safetensors").read_bytes()
    assert (tmp_path / "again" / "dncnn_grey.safetensors").read_bytes() == first
    assert main(["denoiser", "-o", str(run), *common]) == 2  # a run of another kind

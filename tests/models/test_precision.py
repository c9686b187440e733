"""bfloat16: close to float32, without any guarantee, and its deviation in the card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from operators import Identity
from pnp_recon import guarantees, reconstruct
from pnp_recon.cli.listing import plain_lines
from pnp_recon.errors import InputError, WeightsError
from pnp_recon.models.export import export
from pnp_recon.models.load import load_denoiser, load_network
from pnp_recon.models.precision import FIELD, bf16_deviation, deviation_words, is_deviation
from pnp_recon.models.store import read_card
from pnp_recon.networks.euler import EulerConfig, EulerNet
from pnp_recon.priors.denoiser import Denoiser
from scripts.tables import card_bf16

LEVELS = (1 / 255, 50 / 255)
SMALL = EulerConfig(width=12, hidden=8, blocks=2)


@pytest.fixture
def card(tmp_path: Path) -> Path:
    return export(EulerNet(SMALL), tmp_path, "small", LEVELS, {})


def edit(card: Path, field: Any) -> None:
    fields = json.loads(card.read_text())
    fields[FIELD] = field
    card.write_text(json.dumps(fields))


@pytest.mark.parametrize("lifting", ["haar", "unshuffle", "orthonormal"])
def test_bfloat16_is_close_and_is_not_float32(lifting: str) -> None:
    net = EulerNet(EulerConfig(channels=3, width=24, hidden=8, blocks=2, lifting=lifting)).eval()
    net.certify()
    exact = Denoiser(net, "exact", channels=3)
    rounded = Denoiser(net, "rounded", channels=3, precision="bfloat16")
    x = torch.rand(1, 3, 33, 40)
    with torch.no_grad():
        difference = 255 * (rounded(x, 0.1) - exact(x, 0.1)).abs()
    assert rounded(x, 0.1).dtype == torch.float32
    # The picture is not rounded, only what is added to it; rounding it would cost up to 0.5.
    assert 1e-4 < float(difference.max()) < 0.4
    assert rounded(x.double(), 0.1).dtype == torch.float64


def test_bfloat16_in_tiles_is_bfloat16() -> None:
    net = EulerNet(SMALL).eval().requires_grad_(False)
    net.certify()
    none = guarantees.none("test")
    whole = Denoiser(net, "whole", none, 1, precision="bfloat16", tile=None)
    parts = Denoiser(net, "parts", none, 1, precision="bfloat16", tile=16)
    x = torch.rand(1, 1, 45, 60)
    torch.testing.assert_close(parts(x, 0.1), whole(x, 0.1), rtol=0, atol=1e-3)


def test_no_guarantee_in_bfloat16(card: Path) -> None:
    exact = load_denoiser(str(card))
    rounded = load_denoiser(str(card), precision="bfloat16")
    assert exact.guarantee.is_averaged
    assert not rounded.guarantee.holds
    assert "bfloat16" in str(rounded.guarantee)
    y = torch.rand(1, 1, 16, 16)
    A = Identity((1, 16, 16))
    assert reconstruct(y, A, exact, noise_level=0.1).certificate.proven
    certificate = reconstruct(y, A, rounded, noise_level=0.1).certificate
    assert not certificate.proven
    assert "bfloat16" in str(certificate.guarantee)


def test_what_does_not_go_together_is_refused(card: Path) -> None:
    with pytest.raises(InputError, match="unknown precision 'float8'; known: float32, bfloat16"):
        load_denoiser(str(card), precision="float8")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="goes with float32 weights"):
        load_denoiser(str(card), precision="bfloat16", dtype=torch.float64)


# ---- the card ----------------------------------------------------------------------------------


def test_the_card_states_what_is_measured(card: Path) -> None:
    network, read = load_network(str(card))
    stated = read.fields[FIELD]
    assert stated == bf16_deviation(network, 1, LEVELS)
    assert stated["levels_255"] == [5, 15, 25]
    for rmse, most in zip(stated["rmse_255"], stated["max_255"], strict=True):
        assert 0 < rmse < most < 2
    assert "no guarantee in bfloat16" in stated["measured_on"]
    narrow = bf16_deviation(network, 1, (1 / 255, 2 / 255))
    assert narrow["levels_255"] == [2]


def test_a_network_that_bfloat16_hurts_more_deviates_more() -> None:
    class Scaled(torch.nn.Module):
        """A convolution with cancellation: rounding grows with the factor."""

        def __init__(self, factor: float) -> None:
            super().__init__()
            kernel = torch.zeros(1, 1, 3, 3)
            kernel[..., 1, 0], kernel[..., 1, 2] = -factor, factor
            self.register_buffer("kernel", kernel)

        def forward(self, x: torch.Tensor, sigma: float) -> torch.Tensor:
            kernel = self.get_buffer("kernel")
            return x + 0.1 * torch.nn.functional.conv2d(x, kernel, padding=1).float()

    small, large = (bf16_deviation(Scaled(factor), 1, LEVELS) for factor in (0.1, 10.0))
    assert large["rmse_255"][0] > 50 * small["rmse_255"][0] > 0


@pytest.mark.parametrize(
    "field",
    [
        "0.1",
        [],
        {},
        {"levels_255": [5], "rmse_255": [0.1]},
        {"levels_255": [5], "rmse_255": [0.1], "max_255": []},
        {"levels_255": [], "rmse_255": [], "max_255": []},
        {"levels_255": [5], "rmse_255": ["a"], "max_255": [1]},
        {"levels_255": [5], "rmse_255": [float("nan")], "max_255": [1]},
    ],
    ids=str,
)
def test_a_damaged_field_is_refused(card: Path, field: Any) -> None:
    assert not is_deviation(field)
    edit(card, field)
    with pytest.raises(WeightsError, match="bf16_deviation must be as `export` writes"):
        load_denoiser(str(card))


def test_a_card_without_the_field_loads_and_the_script_adds_it(card: Path) -> None:
    before = json.loads(card.read_text())
    without = {key: value for key, value in before.items() if key != FIELD}
    card.write_text(json.dumps(without))
    assert load_denoiser(str(card)).guarantee.is_averaged
    assert deviation_words(None) == ""
    card_bf16.main([str(card)])
    assert list(json.loads(card.read_text()).items()) == list(before.items())
    load_denoiser(str(card))
    card_bf16.main([str(card)])
    assert json.loads(card.read_text()) == before


def test_the_list_shows_it(card: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pnp_recon.cli import listing

    entry = listing._model(card)
    words = deviation_words(read_card(card).fields[FIELD])
    assert words.startswith("bfloat16 differs by 0.")
    assert words in "\n".join(plain_lines({"models": [entry]}))

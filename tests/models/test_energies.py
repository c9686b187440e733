"""Learned energies as models: what ships of them, and what checking a card finds."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path

import pytest
import torch

from pnp_recon import Denoiser, load_denoiser
from pnp_recon.errors import WeightsError
from pnp_recon.files import shipped
from pnp_recon.models.energies import AGREEMENT, gradient_error
from pnp_recon.models.export import export
from pnp_recon.models.families import FAMILIES
from pnp_recon.models.load import load_energy, load_network, load_prior
from pnp_recon.models.store import read_card, shipped_models
from pnp_recon.models.verify import verify
from pnp_recon.networks.configs import GradientStepConfig
from pnp_recon.networks.energies.energy import Energy
from pnp_recon.networks.energies.gradient_step import Block, GradientStepNet
from pnp_recon.pictures.colour import to_grey
from pnp_recon.pictures.files import read_picture
from pnp_recon.pictures.metrics import psnr
from support.samples import SAMPLES, noise

FOLDER = shipped("trained_models")
NAMES = shipped_models("energy")
LEVEL = 25 / 255


@cache
def model(name: str) -> Denoiser:
    return load_denoiser(str(FOLDER / name))


def tiny() -> GradientStepNet:
    return GradientStepNet(GradientStepConfig(widths=(4, 6), down=(1, 1), up=(1,)))


def test_six_ship() -> None:
    assert NAMES == [
        "energy_colour", "energy_grey", "patch_flow_ct", "patch_flow_grey", "ridge_colour",
        "ridge_grey",
    ]  # fmt: skip
    assert load_energy("energy_grey").denoiser is not None
    with pytest.raises(WeightsError, match="euler_grey is a denoiser"):
        load_energy("euler_grey")
    assert sum((FOLDER / f"{name}.safetensors").stat().st_size for name in NAMES) < 11e6


@pytest.mark.parametrize("name", NAMES)
def test_shipped_weights_are_those_of_their_cards(name: str) -> None:
    card = read_card(FOLDER / f"{name}.json")
    weights = (FOLDER / f"{name}.safetensors").read_bytes()
    assert hashlib.sha256(weights).hexdigest() == card.sha256
    few = name.startswith("patch_flow")
    assert (card.name, card.sigma_range) == (name, ((1 if few else 0.5) / 255, 50 / 255))
    if few:
        assert card.fields["training"]["pictures"] == 6
    else:
        assert card.fields["training"]["data"]["validation_held_out"]
        assert set(card.fields["figures"]["bsd68"]) == {"5", "15", "25"}
    denoiser = model(name)
    assert denoiser.channels == (3 if "colour" in name else 1)
    assert {p.dtype for p in denoiser.parameters()} == {torch.float32}
    assert not denoiser.guarantee.holds
    assert "explicit energy" in str(denoiser.guarantee)
    assert "solver descent proves" in str(denoiser.guarantee)
    assert isinstance(denoiser.function, Energy)


@pytest.mark.parametrize("name", NAMES)
def test_shipped_cards_hold(name: str) -> None:
    found = verify(str(FOLDER / name), attack_steps=0)
    assert found.problems == []
    assert any("differences of the energy" in line for line in found.lines)


# That of slices knows no photographs.
@pytest.mark.parametrize("name", [name for name in NAMES if name != "patch_flow_ct"])
def test_they_denoise_better_than_the_certified_ones(name: str) -> None:
    channels = model(name).channels
    picture, rival = ("camera", "euler_grey") if channels == 1 else ("coffee", "euler_colour")
    x = read_picture(SAMPLES / f"{picture}.png").pixels[..., 100:196, 150:246]
    x = to_grey(x) if channels == 1 and x.shape[1] == 3 else x
    y = x + LEVEL * noise(x)
    figures = [float(psnr(d(y, LEVEL), x)) for d in (model(name), load_prior(rival, 1))]
    assert figures[0] > figures[1] + 0.1
    assert figures[0] > float(psnr(y, x)) + 6


def test_a_round_trip_keeps_every_bit(tmp_path: Path) -> None:
    network = tiny()
    path = export(network, tmp_path, "tiny", (1 / 255, 50 / 255), {})
    x = torch.rand(1, 1, 9, 11)
    with torch.no_grad():
        assert torch.equal(load_denoiser(str(path))(x, LEVEL), network(x, LEVEL))
    data = bytearray(path.with_suffix(".safetensors").read_bytes())
    data[-1] ^= 1
    path.with_suffix(".safetensors").write_bytes(data)
    with pytest.raises(WeightsError, match="SHA-256"):
        load_denoiser(str(path))
    with pytest.raises(WeightsError, match="without any certificate"):
        load_network(str(path))


def test_checking_notices_a_claim_a_count_and_a_gradient(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = export(tiny(), tmp_path, "tiny", (1 / 255, 50 / 255), {})
    fields = json.loads(path.read_text())
    fields["certificate"]["averagedness"] = 0.5
    path.write_text(json.dumps({**fields, "parameters": 7}))
    assert not load_denoiser(str(path)).guarantee.holds
    claim, count = verify(str(path), attack_steps=0).problems
    assert "nothing is proven of a GradientStepNet" in claim
    assert "7 in the card" in count
    monkeypatch.setattr(Block, "pullback", lambda self, g, tape: g)
    assert "the gradient differs" in verify(str(path), attack_steps=0).problems[-1]


@pytest.mark.parametrize("name", ["GradientStepNet", "RidgeNet"])
def test_gradients_of_new_networks_agree(name: str) -> None:
    network = FAMILIES[name].load().build({"channels": 1})
    assert gradient_error(network.double()) <= AGREEMENT

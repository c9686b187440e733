"""The constants of shipped weights: those that loading vouches for are proven here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from pnp_recon.errors import WeightsError
from pnp_recon.files import shipped
from pnp_recon.models.load import load_denoiser
from pnp_recon.models.pinned import PINNED, mark
from pnp_recon.models.store import find_card, read_card, shipped_models
from pnp_recon.networks.configs import EulerConfig
from pnp_recon.networks.euler import EulerNet
from pnp_recon.priors.denoiser import Denoiser
from pnp_recon.priors.proof import proven_now

CERTIFIED = [
    name
    for name in shipped_models("denoiser")
    if json.loads(find_card(name).read_text())["certificate"]["averagedness"] is not None
]


def network(denoiser: Denoiser) -> EulerNet:
    assert isinstance(denoiser.function, EulerNet)
    return denoiser.function


@pytest.mark.parametrize("name", CERTIFIED)
def test_a_pinned_constant_is_proven_by_its_weights(name: str) -> None:
    denoiser = load_denoiser(name)
    stated = denoiser.guarantee
    assert denoiser.proven
    assert stated.averagedness == pytest.approx(network(denoiser).check().averagedness, rel=1e-6)
    assert (
        stated.averagedness
        == json.loads(find_card(name).read_text())["certificate"]["averagedness"]
    )  # to the last bit


def test_the_list_is_that_of_the_shipped_weights() -> None:
    """A model that is trained anew: replace its line in models/pinned.py."""
    cards = [read_card(find_card(name)) for name in CERTIFIED]
    assert {mark(card.sha256, EulerConfig(**card.config)) for card in cards} == PINNED


@pytest.mark.parametrize("pinned", [True, False])
def test_a_card_that_builds_another_network_of_pinned_weights_is_found_out(
    pinned: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ten stages of another method: α would be 0.9986, the card says 0.9916."""
    card = find_card("euler_grey")
    weights = card.with_suffix(".safetensors")
    (tmp_path / weights.name).write_bytes(weights.read_bytes())
    fields = json.loads(card.read_text(encoding="utf-8"))
    edited = tmp_path / card.name
    edited.write_text(json.dumps(fields), encoding="utf-8")
    assert load_denoiser(str(edited)).guarantee == load_denoiser("euler_grey").guarantee
    fields["network"]["integrator"] = "ssp104"
    edited.write_text(json.dumps(fields), encoding="utf-8")
    if pinned:
        with pytest.raises(WeightsError, match="its weights prove"):
            load_denoiser(str(edited))
        return
    # The twin: as if weights alone were pinned.
    monkeypatch.setattr("pnp_recon.models.euler.mark", lambda sha256, config: sha256)
    monkeypatch.setattr("pnp_recon.models.euler.PINNED", {fields["sha256"]})
    denoiser = load_denoiser(str(edited))
    stated, proven = (g.averagedness for g in (denoiser.guarantee, network(denoiser).check()))
    assert stated is not None
    assert proven is not None
    assert stated < proven - 1e-3


EDITED = {
    "levels that are none": (["sigma_range_255"], [1, 100000], [1, 50]),
    "a better constant": (["certificate", "lipschitz"], 0.5, 1.0),
    "no constant": (["certificate", "lipschitz"], None, 1),
}


@pytest.mark.parametrize("edit", EDITED)
def test_a_card_that_claims_more_is_refused(edit: str, tmp_path: Path) -> None:
    card = find_card("euler_grey")
    weights = card.with_suffix(".safetensors")
    (tmp_path / weights.name).write_bytes(weights.read_bytes())
    (*way, last), wrong, right = EDITED[edit]
    for value in (right, wrong):
        fields = json.loads(card.read_text(encoding="utf-8"))
        held = fields
        for name in way:
            held = held[name]
        held[last] = value
        (tmp_path / card.name).write_text(json.dumps(fields), encoding="utf-8")
        if value == right:
            assert load_denoiser(str(tmp_path / card.name)).guarantee.holds
    with pytest.raises(WeightsError, match=r"is damaged|of averaged maps it is 1"):
        load_denoiser(str(tmp_path / card.name))


def test_weights_that_are_not_pinned_are_proven_on_loading(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proven: list[EulerNet] = []
    monkeypatch.setattr(
        "pnp_recon.priors.denoiser.proven_now",
        lambda network: (proven.append(network), proven_now(network))[1],
    )
    vouched = load_denoiser("euler_grey").guarantee
    assert not proven
    monkeypatch.setattr("pnp_recon.models.euler.PINNED", frozenset())
    found = load_denoiser("euler_grey").guarantee
    assert len(proven) == 1
    assert found.averagedness == pytest.approx(vouched.averagedness, rel=1e-6)


def test_no_certified_card_lies_elsewhere() -> None:
    cards = shipped("trained_models").rglob("*.json")
    assert [Path(card).stem for card in cards if Path(card).stem not in shipped_models()] == []
    for name in shipped_models("energy"):
        fields = json.loads((shipped("trained_models") / f"{name}.json").read_text())
        assert fields["certificate"]["averagedness"] is None


def test_half_precision_proves_nothing() -> None:
    for dtype in (torch.float16, torch.bfloat16):
        assert not load_denoiser("euler_grey", dtype=dtype).guarantee.holds
    assert load_denoiser("euler_grey", dtype=torch.float64).guarantee.holds

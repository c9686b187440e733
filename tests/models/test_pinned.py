"""The constants of shipped weights: those that loading vouches for are proven here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from pnp_recon.files import shipped
from pnp_recon.models.load import load_denoiser
from pnp_recon.models.pinned import PINNED
from pnp_recon.models.store import find_card, shipped_models
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
    found = {json.loads(find_card(name).read_text())["sha256"] for name in CERTIFIED}
    assert found == PINNED


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

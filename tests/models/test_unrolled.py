"""Cards and weights of reconstruction networks: a round trip, and damage of any kind refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pnp_recon import load_denoiser, load_unrolled
from pnp_recon.errors import InputError, WeightsError
from pnp_recon.models.export import export
from pnp_recon.models.load import load_network
from pnp_recon.models.store import find_card, read_card, shipped_models
from pnp_recon.models.verify import verify
from support.unrolled import (
    OPERATORS,
    SCAN,
    TRAINED_ON,
    measured,
    network,
)


@pytest.fixture
def card(tmp_path: Path) -> Path:
    return export(network(), tmp_path, "tiny.v2", TRAINED_ON, {"seed": 7})


def edit(card: Path, change: Callable[[dict[str, Any]], object]) -> None:
    fields = json.loads(card.read_text())
    change(fields)
    card.write_text(json.dumps(fields))


# ---- export and loading -----------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["proximal-gradient", "primal-dual"])
@pytest.mark.parametrize("group", ["C1", "C4", "D4", "C8"])
def test_round_trip(tmp_path: Path, group: str, scheme: str) -> None:
    trained = network(group=group, scheme=scheme)
    before = {key: value.clone() for key, value in trained.state_dict().items()}
    card = export(trained, tmp_path / "new", "tiny", TRAINED_ON, {"seed": 7})
    assert all(torch.equal(before[key], value) for key, value in trained.state_dict().items())
    loaded = load_unrolled(str(card))
    A = OPERATORS["rays"](torch.float32)
    with torch.no_grad():
        y = measured(A)
        assert torch.equal(loaded.network(y, A), trained(y, A))
        wide = load_unrolled(str(card), dtype=torch.float64)
        expected = trained.double()(y.double(), A)
        # Harmonic filters of the float32 network were rounded, those that are loaded are not.
        slack = 1e-6 if group == "C8" else 1e-12
        torch.testing.assert_close(wide.network(y.double(), A), expected, rtol=0, atol=slack)
    assert not loaded.network.training
    assert not any(p.requires_grad for p in loaded.network.parameters())
    assert not any("parametrizations" in key for key in loaded.network.state_dict())
    assert loaded.name == "tiny"
    assert loaded.trained_on.geometry == SCAN
    assert {item.name for item in card.parent.iterdir()} == {"tiny.json", "tiny.safetensors"}


def test_the_card_says_what_there_is(card: Path) -> None:
    fields = json.loads(card.read_text())
    trained = network()
    assert fields["network"] == trained.recipe()
    assert fields["parameters"] == sum(p.numel() for p in trained.parameters())
    twin = network(group="C1")
    assert fields["parameters_of_ordinary_twin"] == sum(p.numel() for p in twin.parameters())
    assert fields["trained_on"] == TRAINED_ON
    assert fields["seed"] == 7
    assert "certificate" not in fields
    assert fields["guarantee"].startswith("no guarantee: 3 learned iterations")
    assert 0 < fields["equivariance_error"] < 1e-5
    assert load_unrolled(str(card)).parameters == fields["parameters"]


def test_counting_the_twin_draws_no_random_numbers(tmp_path: Path) -> None:
    trained = network()
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    export(trained, tmp_path, "tiny", TRAINED_ON, {})
    assert torch.equal(torch.rand(3), expected)


def test_exporting_what_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        export(network(), tmp_path / "out", "tiny", {"operator": "RayTransform"}, {})
    broken = network()
    with torch.no_grad():
        broken.steps[0] = float("nan")
    with pytest.raises(InputError, match="not finite"):
        export(broken, tmp_path / "out", "tiny", TRAINED_ON, {})
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("position", [0, 60, -1])
def test_a_flipped_byte_is_refused(card: Path, position: int) -> None:
    weights = card.with_suffix(".safetensors")
    data = bytearray(weights.read_bytes())
    data[position] ^= 1
    weights.write_bytes(data)
    with pytest.raises(WeightsError, match=r"damaged .* SHA-256"):
        load_unrolled(str(card))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: f.pop("trained_on"), "lacks trained_on"),
        (lambda f: f.pop("sha256"), "lacks sha256"),
        (lambda f: f.update(card_version=9), "version 9, expected 1"),
        (lambda f: f.update(trained_on=5), "damaged"),
        (lambda f: f.update(guarantee=None), "damaged"),
        (lambda f: f["trained_on"].update(geometry={"kind": "oval"}), "damaged: .*cannot be read"),
        (lambda f: f["trained_on"].update(image_shape=[12, 12]), "cannot be read"),
        (lambda f: f["trained_on"].update(window_hu=[5, 1]), "cannot be read"),
        (lambda f: f["trained_on"].update(other_geometry="maybe"), "refuse or warn"),
        (lambda f: f["network"].update(width=16), "do not fit"),
        (lambda f: f["network"].update(group="E8"), "unknown group"),
        (lambda f: f["network"].update({"class": "Other"}), "is a denoiser, not"),
    ],
)
def test_a_damaged_card_is_refused(
    card: Path, change: Callable[[dict[str, Any]], object], words: str
) -> None:
    edit(card, change)
    with pytest.raises(WeightsError, match=words):
        load_unrolled(str(card))


def test_the_two_kinds_are_told_apart(card: Path) -> None:
    for load in (load_denoiser, load_network):
        with pytest.raises(WeightsError, match=r"reconstruction network, not a .*pnp-ct --model"):
            load(str(card))
    with pytest.raises(WeightsError, match=r"euler_grey is a denoiser, not .*load_denoiser"):
        load_unrolled("euler_grey")
    assert read_card(card).kind == "network"
    kinds = {name: read_card(find_card(name)).kind for name in shipped_models()}
    assert {name for name, kind in kinds.items() if kind == "denoiser"} == set(
        shipped_models("denoiser")
    )
    kinds = [shipped_models(kind) for kind in ("denoiser", "energy", "network")]
    assert sorted(name for names in kinds for name in names) == shipped_models()
    assert "euler_grey" in shipped_models("denoiser")


# ---- checking a card --------------------------------------------------------------------------


@pytest.mark.parametrize("group", ["C1", "C4", "D4"])
def test_a_true_card_passes(tmp_path: Path, group: str) -> None:
    card = export(network(group=group), tmp_path, "tiny", TRAINED_ON, {})
    result = verify(str(card))
    assert result.problems == []
    text = "\n".join(result.lines)
    assert "no certificate: no guarantee" in text
    assert "parameters of ordinary twin" in text
    assert "equivariance error" in text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: f.update(parameters=5), "parameters: "),
        (lambda f: f.update(parameters_of_ordinary_twin=5), "parameters of ordinary twin: "),
        (lambda f: f.update(equivariance_error=0.5), "equivariance error: "),
        (lambda f: f.pop("equivariance_error"), "equivariance error: "),
        (lambda f: f.update(certificate={"averagedness": 0.5}), "holds a certificate"),
    ],
)
def test_a_card_that_lies_is_found_out(
    card: Path, change: Callable[[dict[str, Any]], object], words: str
) -> None:
    edit(card, change)
    (problem,) = verify(str(card)).problems
    assert words in problem

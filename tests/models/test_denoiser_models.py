"""Model cards and weights: a round trip keeps everything, and damage of any kind is refused."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pnp_recon.errors import PnPReconError, WeightsError
from pnp_recon.models.export import export
from pnp_recon.models.load import load_denoiser, load_network
from pnp_recon.models.store import find_card
from pnp_recon.networks.euler import EulerConfig, EulerNet

LEVELS = (1 / 255, 50 / 255)


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """A freshly exported small model; its name has a dot in it."""
    config = EulerConfig(width=6, hidden=4, blocks=2, activation="spline", lifting="orthonormal")
    return export(EulerNet(config), tmp_path, "tiny.v2", LEVELS, {"seed": 0, "licence": "BSD"})


def weights_of(card: Path) -> Path:
    return card.with_suffix(".safetensors")


def edit(card: Path, change: Callable[[dict[str, Any]], object]) -> None:
    fields = json.loads(card.read_text())
    change(fields)
    card.write_text(json.dumps(fields))


def sign(card: Path) -> None:
    """Makes the card agree with whatever the weights' file holds."""
    digest = hashlib.sha256(weights_of(card).read_bytes()).hexdigest()
    edit(card, lambda fields: fields.update(sha256=digest))


def test_round_trip(tmp_path: Path) -> None:
    network = EulerNet(EulerConfig(width=8, hidden=4, blocks=2, activation="spline"))
    card = export(network, tmp_path / "new" / "folder", "tiny", LEVELS, {"seed": 7})
    loaded, read = load_network(str(card))
    fields = read.fields
    assert loaded.config == network.config
    for key, value in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value)
    x = torch.rand(2, 1, 7, 9)
    assert torch.equal(loaded(x, 0.1), network(x, 0.1))
    assert not loaded.training
    assert not any(p.requires_grad for p in loaded.parameters())
    assert fields["seed"] == 7
    assert fields["parameters"] == sum(p.numel() for p in network.parameters())
    assert fields["sigma_range_255"] == [1.0, 50.0]
    assert fields["sha256"] == hashlib.sha256(weights_of(card).read_bytes()).hexdigest()
    proven = fields["certificate"]
    assert proven["averagedness"] == loaded.check().averagedness < 1
    assert len(proven["layer_norm_bounds"]) == len(proven["block_averagedness"]) == 2
    assert {item.name for item in card.parent.iterdir()} == {"tiny.json", "tiny.safetensors"}


def test_denoiser_carries_the_card(card: Path) -> None:
    denoiser = load_denoiser(str(card), dtype=torch.float64)
    assert denoiser.name == "tiny.v2"
    assert denoiser.guarantee.is_averaged
    stated = json.loads(card.read_text())["certificate"]["averagedness"]
    assert denoiser.guarantee.averagedness == pytest.approx(stated, rel=1e-6)  # found anew
    assert denoiser.proven
    assert denoiser.channels == 1
    colour = torch.rand(1, 3, 6, 6, dtype=torch.float64)
    restored = denoiser(colour, 0.1)
    for c in range(3):
        torch.testing.assert_close(restored[:, c : c + 1], denoiser(colour[:, c : c + 1], 0.1))
    with pytest.raises(PnPReconError, match="from 1 to 50, found 63"):
        denoiser(colour, 63 / 255)
    with pytest.raises(PnPReconError, match="one noise level"):
        denoiser(colour, torch.tensor([0.1, 0.2]))


def test_paths_to_either_file_or_their_stem(card: Path) -> None:
    stem = card.with_suffix("")
    assert stem.name == "tiny.v2"
    for path in (card, weights_of(card), stem):
        assert find_card(str(path)) == card
        load_network(str(path))


def test_unknown_models(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"no model .*nowhere.* shipped models"):
        find_card(str(tmp_path / "nowhere"))
    with pytest.raises(WeightsError, match=r"no model 'nobody'.* shipped models"):
        find_card("nobody")


@pytest.mark.parametrize("position", [0, 9, 60, 0.5, 0.9, -1])
def test_one_flipped_byte_is_refused(card: Path, position: float) -> None:
    load_network(str(card))
    data = bytearray(weights_of(card).read_bytes())
    index = int(position * len(data)) if 0 < position < 1 else int(position)
    data[index] ^= 1
    weights_of(card).write_bytes(data)
    with pytest.raises(WeightsError, match=r"damaged .* SHA-256"):
        load_network(str(card))


def test_truncated_empty_and_missing_weights(card: Path) -> None:
    data = weights_of(card).read_bytes()
    for part in (data[: len(data) // 2], b""):
        weights_of(card).write_bytes(part)
        with pytest.raises(WeightsError, match="damaged"):
            load_network(str(card))
        sign(card)  # even where the card agrees with the damaged file
        with pytest.raises(WeightsError, match="do not fit their card"):
            load_network(str(card))
    weights_of(card).unlink()
    with pytest.raises(WeightsError, match="cannot be read"):
        load_network(str(card))


@pytest.mark.parametrize(
    "field", ["network", "sha256", "certificate", "sigma_range_255", "name", "card_version"]
)
def test_missing_field(card: Path, field: str) -> None:
    edit(card, lambda fields: fields.pop(field))
    with pytest.raises(WeightsError, match=f"lacks {field}"):
        load_network(str(card))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("certificate", {}),
        ("certificate", {"averagedness": 1.5, "source": "me"}),
        ("certificate", {"averagedness": None, "source": "me"}),
        ("certificate", {"averagedness": 0.5}),
        ("sigma_range_255", 50),
        ("sigma_range_255", [50, 1]),
        ("sha256", 5),
        ("network", ["EulerNet"]),
        ("name", None),
    ],
)
def test_field_of_the_wrong_kind(card: Path, field: str, value: object) -> None:
    edit(card, lambda fields: fields.update({field: value}))
    with pytest.raises(WeightsError, match="is damaged"):
        load_network(str(card))


@pytest.mark.parametrize("text", ["", "{", "[]", "5", "null", '"card"'])
def test_card_that_is_none(card: Path, text: str) -> None:
    card.write_text(text)
    with pytest.raises(WeightsError, match=r"cannot be read|lacks"):
        load_network(str(card))
    card.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(WeightsError, match="cannot be read"):
        load_network(str(card))


def test_wrong_version(card: Path) -> None:
    edit(card, lambda fields: fields.update(card_version=99))
    with pytest.raises(WeightsError, match="version 99, expected 1"):
        load_network(str(card))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"class": "ResNet"}, "asks for network 'ResNet'"),
        ({"width": 8}, "do not fit"),
        ({"blocks": 3}, "do not fit"),
        ({"activation": "sine"}, "unknown activation"),
        ({"lifting": "fourier"}, "unknown lifting"),
        ({"depth": 3}, "depth"),
        ({"kernel_size": 4}, "odd"),
        ({"width": "six"}, "do not fit"),
    ],
)
def test_wrong_network_fields(card: Path, change: dict[str, object], words: str) -> None:
    edit(card, lambda fields: fields["network"].update(change))
    with pytest.raises(WeightsError, match=words):
        load_network(str(card))


@pytest.mark.parametrize("factor", [0.9, 1.0001])
def test_an_edited_constant_is_found_out(card: Path, factor: float) -> None:
    def change(fields: dict[str, Any]) -> None:
        fields["certificate"]["averagedness"] *= factor

    load_denoiser(str(card))
    edit(card, change)
    with pytest.raises(WeightsError, match="its weights were exported with"):
        load_denoiser(str(card))


class Trap:
    """Unpickled, it would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self.path,)


def test_a_pickle_is_never_loaded(card: Path, tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    weights_of(card).write_bytes(pickle.dumps({"weight": Trap(sprung)}))
    sign(card)
    with pytest.raises(WeightsError, match="do not fit their card"):
        load_network(str(card))
    assert not sprung.exists()
    pickle.loads(weights_of(card).read_bytes())  # the trap works: it is not sprung by us alone
    assert sprung.exists()


def test_a_network_without_a_certificate_is_not_exported(tmp_path: Path) -> None:
    network = EulerNet(EulerConfig(width=4, hidden=4, blocks=1))
    with torch.no_grad():
        network.flow_blocks()[0].weight[0, 0, 0, 0] = float("nan")
    with pytest.raises(ValueError, match="finite"):
        export(network, tmp_path / "out", "broken", LEVELS, {})
    assert not (tmp_path / "out").exists()

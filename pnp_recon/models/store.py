"""The two files of a model: its card and its weights, written, found, read, their hash checked.

A model is `<name>.safetensors` and `<name>.json`, the card, which says how to build the network,
what is proven about these very weights, their SHA-256, and how they were made. Pickles are never
loaded. What the networks are is known in `weights` and `weights_unrolled`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from torch import nn

from pnp_recon.errors import WeightsError
from pnp_recon.files import atomic_write, shipped
from pnp_recon.models.precision import FIELD as DEVIATION
from pnp_recon.models.precision import is_deviation

Network = TypeVar("Network", bound=nn.Module)

CARD_VERSION = 1
COMMON_FIELDS = ("card_version", "name", "network", "sha256")
Kind = Literal["denoiser", "reconstruction"]
# The network of a model that reconstructs; all others denoise.
RECONSTRUCTION = "UnrolledNetwork"


def write_model(
    folder: Path,
    name: str,
    state: Mapping[str, torch.Tensor],
    card: Mapping[str, Any],
    metadata: dict[str, str] | None = None,
) -> Path:
    """Writes weights, then the card with version, name and SHA-256; returns the card's path."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {key: value.contiguous() for key, value in state.items()}
    data = save_safetensors(tensors, metadata)
    atomic_write(folder / f"{name}.safetensors", data)
    head = {"card_version": CARD_VERSION, "name": name, "sha256": hashlib.sha256(data).hexdigest()}
    path = folder / f"{name}.json"
    atomic_write(path, json.dumps({**head, **card}, indent=1, ensure_ascii=False) + "\n")
    return path


def find_card(name: str) -> Path:
    """The card of a shipped model, or of a path to `.json`, `.safetensors` or their stem."""
    path = Path(name)
    if path.suffix in {".json", ".safetensors"}:
        card = path.with_suffix(".json")
    elif path.parent != Path():
        card = path.with_name(f"{path.name}.json")  # the stem may hold dots of its own
    else:
        card = shipped("trained_models") / f"{name}.json"
    if not card.is_file():
        known = ", ".join(shipped_models())
        raise WeightsError(f"no model {name!r}: {card} does not exist; shipped models: {known}")
    return card


def shipped_models(kind: Kind | None = None) -> list[str]:
    """Names of the models in the package, or of those of one kind."""
    cards = sorted(shipped("trained_models").glob("*.json"))
    return [card.stem for card in cards if kind is None or model_kind(card) == kind]


def model_kind(path: Path) -> Kind:
    """What the model of a card does.

    Raises:
        WeightsError: the card cannot be read.
    """
    network = read_fields(path).get("network")
    of_class = network.get("class") if isinstance(network, dict) else None
    return "reconstruction" if of_class == RECONSTRUCTION else "denoiser"


def read_fields(path: Path, needed: Collection[str] = ()) -> dict[str, Any]:
    """What a model card holds, whatever it is about.

    Args:
        path: of the card.
        needed: fields that it must have; if there are any, it must be of this version.

    Raises:
        WeightsError: it cannot be read, lacks a field, or is of another version.
    """
    try:
        card = json.loads(path.read_text())
        if not isinstance(card, dict):
            raise TypeError(f"found a {type(card).__name__}, expected an object")
    except (OSError, ValueError, TypeError) as error:
        raise WeightsError(f"model card {path} cannot be read: {error}") from error
    missing = set(needed) - set(card)
    if missing:
        raise WeightsError(f"model card {path} lacks {', '.join(sorted(missing))}")
    if needed and card.get("card_version") != CARD_VERSION:
        raise WeightsError(
            f"model card {path} has version {card.get('card_version')}, expected {CARD_VERSION}"
        )
    return card


def read_card(path: Path) -> dict[str, Any]:
    """The card of a denoiser, checked for the fields that loading needs.

    Raises:
        WeightsError: it is damaged, or the card of a reconstruction network.
    """
    if model_kind(path) == "reconstruction":
        raise WeightsError(
            f"{path.stem} is a reconstruction network, not a denoiser: give it to "
            "weights_unrolled.load_unrolled, to reconstruct(y, A, name) or to pnp-ct --model"
        )
    card = read_fields(path, {*COMMON_FIELDS, "certificate", "sigma_range_255"})
    try:
        low, high = (float(level) for level in card["sigma_range_255"])
        certified = not isinstance(card["network"], dict) or network_class(card) == "EulerNet"
        alpha = float(card["certificate"]["averagedness"]) if certified else 1.0
        sound = 0 < alpha <= 1 and 0 <= low <= high and isinstance(card["network"], dict)
        sound = sound and all(isinstance(card[key], str) for key in ("sha256", "name"))
        sound = sound and isinstance(card["certificate"]["source"], str)
        sound = sound and is_deviation(card.get(DEVIATION))
    except (KeyError, TypeError, ValueError):
        sound = False
    if not sound:
        raise WeightsError(
            f"model card {path} is damaged: certificate, sigma_range_255, network, sha256, name "
            f"and {DEVIATION} must be as `export` writes them; fetch the card again"
        )
    return card


def network_class(card: Mapping[str, Any]) -> str:
    """ "EulerNet", which has a certificate, or "DnCNN", which has none.

    Raises:
        WeightsError: the card names another.
    """
    network = card["network"]
    kind = network.get("class") if isinstance(network, dict) else network
    if kind not in ("EulerNet", "DnCNN"):
        raise WeightsError(
            f"the card of {card['name']} asks for network {kind!r}, known: EulerNet, DnCNN"
        )
    return str(kind)


def load_weights(
    path: Path, card: Mapping[str, Any], make: Callable[[dict[str, Any]], Network]
) -> Network:
    """The network of a card with its weights, for use: in evaluation mode, without gradients.

    Args:
        path: of the card; the weights lie beside it.
        card: its content.
        make: the network that the card's "network" describes.

    Raises:
        WeightsError: the weights are missing or damaged, or do not fit the card.
    """
    weights = path.with_suffix(".safetensors")
    try:
        data = weights.read_bytes()
    except OSError as error:
        raise WeightsError(f"weights {weights} cannot be read: {error.strerror}") from error
    found = hashlib.sha256(data).hexdigest()
    if found != card["sha256"]:
        raise WeightsError(
            f"weights {weights} are damaged or not those of the card: SHA-256 {found[:12]}…, "
            f"expected {card['sha256'][:12]}…; fetch them again"
        )
    fields = {key: value for key, value in card["network"].items() if key != "class"}
    try:
        network = make(fields)
        network.load_state_dict(load_safetensors(data))
    except (SafetensorError, RuntimeError, TypeError, ValueError) as error:
        line = " ".join(str(error).split())[:200]
        raise WeightsError(f"weights {weights} do not fit their card: {line}") from error
    return network.eval().requires_grad_(False)

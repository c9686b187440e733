"""The two files of a model, found, read and written: `<name>.json`, the card, and its weights.

Weights are `<name>.safetensors`; pickles are never loaded. What a card says is in `card`, what
networks there are in `families`.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as save_safetensors

from pnp_recon.errors import WeightsError
from pnp_recon.files import atomic_write, shipped
from pnp_recon.models.card import (
    CARD_VERSION,
    Card,
    Kind,
    denoiser_card,
    family_name,
    is_classifier,
    network_card,
    read_fields,
)
from pnp_recon.models.families import FAMILIES
from pnp_recon.priors.catalogue import CLASSICAL


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


def is_path(name: str) -> bool:
    """Does it name a model by its file rather than by its name?"""
    path = Path(name)
    return path.suffix in {".json", ".safetensors"} or path.parent != Path()


def is_shipped(name: str) -> bool:
    """Is there a model of that name in the package?"""
    return not is_path(name) and _shipped_card(name).is_file()


def has_card(name: str) -> bool:
    """Does the name mean a model with a card, not a classical denoiser?"""
    return is_shipped(name) or name not in CLASSICAL


def find_card(name: str) -> Path:
    """The card of a shipped model, or of a path to `.json`, `.safetensors` or their stem.

    Raises:
        WeightsError: there is none.
    """
    path = Path(name)
    if not path.name:
        raise WeightsError(f"{name!r} is no model's name; give a name or the path of a card")
    if not is_path(name):
        card = _shipped_card(name)
    elif path.suffix in {".json", ".safetensors"}:
        card = path.with_suffix(".json")
    else:
        card = path.with_name(f"{path.name}.json")  # the stem may hold dots of its own
    if not card.is_file():
        raise WeightsError(f"no model {name!r}: {card} does not exist; {_known(name)}")
    return card


def _known(name: str) -> str:
    """What could have been meant: the nearest name, shipped models, classical denoisers.

    The models by what they are for: a list of all names invites one that does not fit.
    """
    shipped_names = shipped_models()
    near = difflib.get_close_matches(name.lower(), [*shipped_names, *CLASSICAL], 1, cutoff=0.6)
    near = [word for word in near if word != name]  # it is one, of another kind
    hint = f"did you mean {near[0]}? " if near else ""
    groups: dict[str, list[str]] = {}
    for model in shipped_names:
        fields = read_fields(_shipped_card(model))
        colours = "colour" if fields["network"]["channels"] == 3 else "grey pictures"
        kind = "reconstruction (--model)" if _kind(fields) == "network" else colours
        groups.setdefault(kind, []).append(model)
    listing = "; ".join(f"for {kind} {', '.join(names)}" for kind, names in groups.items())
    return f"{hint}shipped models: {listing}; classical denoisers: {', '.join(CLASSICAL)}"


def _shipped_card(name: str) -> Path:
    return shipped("trained_models") / f"{name}.json"


def shipped_models(kind: Kind | None = None) -> list[str]:
    """Names of the models in the package, or of those of one kind.

    Raises:
        WeightsError: a card cannot be read.
    """
    cards = sorted(shipped("trained_models").glob("*.json"))
    return [card.stem for card in cards if kind is None or _kind(read_fields(card)) == kind]


def read_card(
    path: Path, kind: Kind | None = None, fields: Mapping[str, Any] | None = None
) -> Card:
    """The card at a path, read once and checked for all that loading needs.

    Args:
        path: see `find_card`.
        kind: what the model must be; an energy serves as a denoiser, too. None: any.
        fields: what the file holds, if it was read already.

    Raises:
        WeightsError: it is damaged, of another version, or of a model of another kind.
    """
    fields = read_fields(path) if fields is None else fields
    if is_classifier(fields):
        raise WeightsError(
            f"{path.stem} is a classifier, no model for pictures: give it to load_classifier of "
            "pnp_recon.models.classifier, or to pnp-train check"
        )
    found = _kind(fields)
    fits = kind in (None, found) or (kind == "denoiser" and found == "energy")
    if not fits:
        wanted = "" if kind is None else f", not {_NAMES[kind]}"
        raise WeightsError(f"{path.stem} is {_NAMES[found]}{wanted}: give it to {_PLACES[found]}")
    if found == "network":
        return network_card(path, fields)
    denoisers = {name: e.certified for name, e in FAMILIES.items() if e.kind != "network"}
    return denoiser_card(path, fields, denoisers, found)


def _kind(fields: Mapping[str, Any]) -> Kind:
    """What the model of a card does; a card that names no known network counts as a denoiser's."""
    entry = FAMILIES.get(family_name(fields) or "")
    return "denoiser" if entry is None else entry.kind


_NAMES: Mapping[Kind, str] = {
    "network": "a reconstruction network",
    "energy": "an energy",
    "denoiser": "a denoiser",
}
_PLACES: Mapping[Kind, str] = {
    "network": "load_unrolled, to reconstruct(y, A, name) or to pnp-ct --model",
    "energy": "load_energy, to reconstruct(y, A, name) or to --denoiser",
    "denoiser": "load_denoiser, to reconstruct(y, A, name) or to --denoiser",
}

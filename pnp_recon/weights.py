"""Model cards and weights: export with a certificate, load with a checked hash.

A model is two files: `<name>.safetensors` and `<name>.json`, the card, which says how to build
the network, what is proven about these very weights, their SHA-256, and how they were made.
Pickles are never loaded.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors

from pnp_recon import guarantees
from pnp_recon.denoisers import Denoiser
from pnp_recon.errors import WeightsError
from pnp_recon.files import atomic_write, shipped
from pnp_recon.networks.euler import EulerConfig, EulerNet

CARD_VERSION = 1
# What `denoiser="auto"` means, by the number of picture channels.
AUTO = {1: "euler_grey", 3: "euler_colour"}


def export(
    network: EulerNet,
    folder: Path,
    name: str,
    sigma_range: tuple[float, float],
    details: Mapping[str, Any],
) -> Path:
    """Rescales every layer once by its proven norm bound and writes weights and card.

    Args:
        network: trained; changed in place by `certify()`.
        folder: where `<name>.safetensors` and `<name>.json` go.
        sigma_range: trained noise levels, [0, 1] scale.
        details: provenance for the card (training data, recipe, seed, validation ...).

    Returns:
        The path of the card.

    Raises:
        ValueError: a group's network without its ties (`EulerNet.plain`), which are its symmetry.
    """
    if not network.tied:
        raise ValueError(
            f"the parameters of this network are no longer tied by {network.group}; export the "
            "network that was trained, not its plain twin"
        )
    network = network.cpu().eval()
    bounds = network.certify()
    running = network.plain()  # what loading gives: proven is what will run
    guarantee = running.check()
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {key: value.contiguous() for key, value in network.state_dict().items()}
    # The constant also goes into the hashed file: a card that was edited is found out on loading.
    data = save_safetensors(tensors, {"averagedness": repr(guarantee.averagedness)})
    atomic_write(folder / f"{name}.safetensors", data)
    card = {
        "card_version": CARD_VERSION,
        "name": name,
        "network": network.recipe(),
        **parameter_counts(network),
        "sigma_range_255": [round(level * 255, 6) for level in sigma_range],
        "sha256": hashlib.sha256(data).hexdigest(),
        "certificate": {
            "averagedness": guarantee.averagedness,
            "lipschitz": guarantee.lipschitz,
            "source": guarantee.source,
            "layer_norm_bounds": bounds,
            "block_averagedness": [block.averagedness() for block in running.euler_blocks()],
            "how": "float64 bound of every layer over all picture sizes; norm rescaled by it",
        },
        **details,
    }
    path = folder / f"{name}.json"
    atomic_write(path, json.dumps(card, indent=1, ensure_ascii=False) + "\n")
    return path


def parameter_counts(network: EulerNet) -> dict[str, int]:
    """Numbers that are learned and, where a group ties them, how many the ordinary twin has."""
    counts = {"parameters": sum(p.numel() for p in network.parameters())}
    if network.group.order > 1:
        counts["parameters_plain"] = sum(p.numel() for p in network.plain().parameters())
    return counts


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


def shipped_models() -> list[str]:
    """Names of the models in the package."""
    folder = shipped("trained_models")
    return sorted(card.stem for card in folder.glob("*.json"))


def read_card(path: Path) -> dict[str, Any]:
    """The model card, checked for the fields that loading needs."""
    try:
        card: dict[str, Any] = json.loads(path.read_text())
        needed = {"network", "sha256", "certificate", "sigma_range_255", "name", "card_version"}
        missing = needed - set(card)
    except (OSError, ValueError, TypeError) as error:
        raise WeightsError(f"model card {path} cannot be read: {error}") from error
    if missing:
        raise WeightsError(f"model card {path} lacks {', '.join(sorted(missing))}")
    if card["card_version"] != CARD_VERSION:
        raise WeightsError(
            f"model card {path} has version {card['card_version']}, expected {CARD_VERSION}"
        )
    try:
        low, high = (float(level) for level in card["sigma_range_255"])
        alpha = float(card["certificate"]["averagedness"])
        sound = 0 < alpha <= 1 and 0 <= low <= high and isinstance(card["network"], dict)
        sound = sound and all(isinstance(card[key], str) for key in ("sha256", "name"))
        sound = sound and isinstance(card["certificate"]["source"], str)
    except (KeyError, TypeError, ValueError):
        sound = False
    if not sound:
        raise WeightsError(
            f"model card {path} is damaged: certificate, sigma_range_255, network, sha256 and name "
            "must be as `export` writes them; fetch the card again"
        )
    return card


def load_network(name: str) -> tuple[EulerNet, dict[str, Any]]:
    """Network and card; the weights' SHA-256 must be the card's.

    A group's network comes as its plain twin, whose filters are put together (`EulerNet.plain`).

    Raises:
        WeightsError: if a file is missing, damaged, or does not fit the card.
    """
    path = find_card(name)
    card = read_card(path)
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
    fields = dict(card["network"])
    kind = fields.pop("class", None)
    if kind != "EulerNet":
        raise WeightsError(f"model card {path} asks for network {kind!r}, known: EulerNet")
    try:
        network = EulerNet(EulerConfig(**fields))
        network.load_state_dict(load_safetensors(data))
    except (SafetensorError, RuntimeError, TypeError, ValueError) as error:
        line = " ".join(str(error).split())[:200]
        raise WeightsError(f"weights {weights} do not fit their card: {line}") from error
    return network.eval().requires_grad_(False).plain(), card


def load_denoiser(
    name: str = "euler_grey", *, device: str = "cpu", dtype: torch.dtype = torch.float32
) -> Denoiser:
    """A shipped model by name, or any exported model by path, with its certificate.

    The guarantee is the card's, proven for the weights with the card's SHA-256, which is
    checked, as is that the card states the constant the weights were exported with.
    `pnp-train check` recomputes it.
    """
    network, card = load_network(name)
    proven = card["certificate"]
    with safe_open(find_card(name).with_suffix(".safetensors"), "pt") as file:
        exported = (file.metadata() or {}).get("averagedness")
    if exported != repr(proven["averagedness"]):
        raise WeightsError(
            f"the card of {card['name']} certifies α = {proven['averagedness']}, its weights were "
            f"exported with α = {exported}; fetch the card again, or see pnp-train check"
        )
    low, high = card["sigma_range_255"]
    return Denoiser(
        network.to(device=device, dtype=dtype),
        card["name"],
        guarantees.averaged(proven["averagedness"], proven["source"]),
        channels=network.config.channels,
        sigma_range=(low / 255, high / 255),
        card=card,
    ).eval()

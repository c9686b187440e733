"""Model cards and weights: export with a certificate, load with a checked hash.

A model is two files: `<name>.safetensors` and `<name>.json`, the card, which says how to build
the network, what is proven about these very weights, their SHA-256, and how they were made.
Pickles are never loaded. Denoisers are here, and what all models share; unrolled reconstruction
networks are in `weights_unrolled`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from torch import nn

from pnp_recon import guarantees
from pnp_recon.denoisers import Denoiser, Precision
from pnp_recon.errors import InputError, WeightsError
from pnp_recon.files import atomic_write, shipped
from pnp_recon.networks.dncnn import NO_GUARANTEE, DnCNN, DnCNNConfig
from pnp_recon.networks.euler import EulerConfig, EulerNet
from pnp_recon.precision import FIELD as DEVIATION
from pnp_recon.precision import bf16_deviation, is_deviation

Network = TypeVar("Network", bound=nn.Module)

CARD_VERSION = 1
COMMON_FIELDS = ("card_version", "name", "network", "sha256")
Kind = Literal["denoiser", "reconstruction"]
# The network of a model that reconstructs; all others denoise.
RECONSTRUCTION = "UnrolledNetwork"
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
    card = {
        "network": network.recipe(),
        **parameter_counts(network),
        "sigma_range_255": [round(level * 255, 6) for level in sigma_range],
        "certificate": {
            "averagedness": guarantee.averagedness,
            "lipschitz": guarantee.lipschitz,
            "source": guarantee.source,
            "layer_norm_bounds": bounds,
            "block_averagedness": [block.averagedness() for block in running.euler_blocks()],
            "how": "float64 bound of every layer over all picture sizes; norm rescaled by it",
        },
        DEVIATION: bf16_deviation(running, running.config.channels, sigma_range),
        **details,
    }
    # The constant also goes into the hashed file: a card that was edited is found out on loading.
    proven = {"averagedness": repr(guarantee.averagedness)}
    return write_model(folder, name, network.state_dict(), card, proven)


def export_uncertified(
    network: DnCNN,
    folder: Path,
    name: str,
    sigma_range: tuple[float, float],
    reason: str,
    details: Mapping[str, Any],
) -> Path:
    """Writes weights and card of a denoiser without a theorem; the card says so, and why.

    Args:
        network: trained.
        folder, name, sigma_range, details: as for `export`.
        reason: why nothing is proven.

    Returns:
        The path of the card.
    """
    card = {
        "network": network.recipe(),
        "parameters": sum(p.numel() for p in network.parameters()),
        "sigma_range_255": [round(level * 255, 6) for level in sigma_range],
        "guarantee": f"no guarantee: {reason}",
        "certificate": {"averagedness": None, "lipschitz": None, "source": reason},
        **details,
    }
    return write_model(folder, name, network.cpu().eval().state_dict(), card)


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


def load_network(name: str) -> tuple[EulerNet, dict[str, Any]]:
    """Network and card; the weights' SHA-256 must be the card's.

    A group's network comes as its plain twin, whose filters are put together (`EulerNet.plain`).

    Raises:
        WeightsError: if a file is missing, damaged, or does not fit the card.
    """
    path = find_card(name)
    card = read_card(path)
    if network_class(card) != "EulerNet":
        raise WeightsError(f"{card['name']} is a {network_class(card)}, without any certificate")
    network = load_weights(path, card, lambda fields: EulerNet(EulerConfig(**fields)))
    return network.plain(), card


def load_uncertified(name: str) -> tuple[DnCNN, dict[str, Any]]:
    """As `load_network`, for a denoiser without a theorem."""
    path = find_card(name)
    card = read_card(path)
    return load_weights(path, card, lambda fields: DnCNN(DnCNNConfig(**fields))), card


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


def load_denoiser(
    name: str = "euler_grey",
    *,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    precision: Precision = "float32",
    tile: int | Literal["auto"] | None = "auto",
) -> Denoiser:
    """A shipped model by name, or any exported model by path, with its certificate.

    The guarantee is the card's, proven for the weights with the card's SHA-256, which is
    checked, as is that the card states the constant the weights were exported with.
    `pnp-train check` recomputes it.

    Args:
        name: of a shipped model, or the path of a card.
        device, dtype: of the weights.
        precision: "bfloat16" is faster and has no guarantee, see `Denoiser`; the card's
            `bf16_deviation` says how far it is from float32. It goes with float32 weights;
            "float32" computes in `dtype`.
        tile: large pictures are denoised in tiles, see `Denoiser`.

    Raises:
        WeightsError: the model is missing or damaged.
        InputError: bfloat16 with weights of another `dtype`.
    """
    if precision == "bfloat16" and dtype != torch.float32:
        raise InputError(f"precision bfloat16 goes with float32 weights, found {dtype}")
    network: EulerNet | DnCNN
    if network_class(read_card(find_card(name))) == "DnCNN":
        network, card = load_uncertified(name)
        guarantee = guarantees.none(NO_GUARANTEE)
    else:
        network, card = load_network(name)
        guarantee = _certified(name, card)
    low, high = card["sigma_range_255"]
    return Denoiser(
        network.to(device=device, dtype=dtype),
        card["name"],
        guarantee,
        channels=network.config.channels,
        sigma_range=(low / 255, high / 255),
        card=card,
        tile=tile,
        precision=precision,
    ).eval()


def _certified(name: str, card: Mapping[str, Any]) -> guarantees.Guarantee:
    """The guarantee of the card, which must be the one that the weights were exported with."""
    proven = card["certificate"]
    with safe_open(find_card(name).with_suffix(".safetensors"), "pt") as file:
        exported = (file.metadata() or {}).get("averagedness")
    if exported != repr(proven["averagedness"]):
        raise WeightsError(
            f"the card of {card['name']} certifies α = {proven['averagedness']}, its weights were "
            f"exported with α = {exported}; fetch the card again, or see pnp-train check"
        )
    return guarantees.averaged(proven["averagedness"], proven["source"])

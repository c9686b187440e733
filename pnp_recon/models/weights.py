"""Denoisers with their certificates: exported once, rescaled and proven; loaded, checked.

Cards, files and hashes are in `weights_files`; unrolled reconstruction networks in
`weights_unrolled`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import safe_open

from pnp_recon import guarantees
from pnp_recon.errors import InputError, WeightsError
from pnp_recon.guarantees import Guarantee
from pnp_recon.models.precision import FIELD as DEVIATION
from pnp_recon.models.precision import bf16_deviation
from pnp_recon.models.store import (
    find_card,
    load_weights,
    model_kind,
    network_class,
    read_card,
    shipped_models,
    write_model,
)
from pnp_recon.networks.configs import DnCNNConfig, EulerConfig
from pnp_recon.networks.dncnn import NO_GUARANTEE, DnCNN
from pnp_recon.networks.euler import EulerNet
from pnp_recon.priors.denoiser import Denoiser, Precision

__all__ = [
    "AUTO",
    "card_guarantee",
    "export",
    "export_uncertified",
    "find_card",
    "load_denoiser",
    "load_network",
    "load_uncertified",
    "load_weights",
    "model_kind",
    "network_class",
    "parameter_counts",
    "read_card",
    "shipped_models",
    "write_model",
]

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
    details: Mapping[str, Any],
) -> Path:
    """Writes weights and card of a denoiser without a theorem; the card says so, and why.

    Args:
        network: trained.
        folder, name, sigma_range, details: as for `export`.

    Returns:
        The path of the card.
    """
    card = {
        "network": network.recipe(),
        "parameters": sum(p.numel() for p in network.parameters()),
        "sigma_range_255": [round(level * 255, 6) for level in sigma_range],
        "guarantee": str(guarantees.none(NO_GUARANTEE)),
        "certificate": {"averagedness": None, "lipschitz": None, "source": NO_GUARANTEE},
        **details,
    }
    return write_model(folder, name, network.cpu().eval().state_dict(), card)


def parameter_counts(network: EulerNet) -> dict[str, int]:
    """Numbers that are learned and, where a group ties them, how many the ordinary twin has."""
    counts = {"parameters": sum(p.numel() for p in network.parameters())}
    if network.group.order > 1:
        counts["parameters_plain"] = sum(p.numel() for p in network.plain().parameters())
    return counts


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
    if network_class(read_card(find_card(name))) == "EulerNet":
        network, card = load_network(name)
        _check_exported(name, card)
    else:
        network, card = load_uncertified(name)
    low, high = card["sigma_range_255"]
    return Denoiser(
        network.to(device=device, dtype=dtype),
        card["name"],
        card_guarantee(card),
        channels=network.config.channels,
        sigma_range=(low / 255, high / 255),
        card=card,
        tile=tile,
        precision=precision,
    ).eval()


def card_guarantee(card: Mapping[str, Any]) -> Guarantee:
    """What the card of a denoiser says is proven; none where its network has no theorem.

    Args:
        card: as `read_card` gives it.
    """
    if network_class(card) != "EulerNet":
        return guarantees.none(NO_GUARANTEE)
    proven = card["certificate"]
    return guarantees.averaged(proven["averagedness"], proven["source"])


def _check_exported(name: str, card: Mapping[str, Any]) -> None:
    """The card must state the constant that the weights were exported with."""
    stated = card["certificate"]["averagedness"]
    with safe_open(find_card(name).with_suffix(".safetensors"), "pt") as file:
        exported = (file.metadata() or {}).get("averagedness")
    if exported != repr(stated):
        raise WeightsError(
            f"the card of {card['name']} certifies α = {stated}, its weights were exported with "
            f"α = {exported}; fetch the card again, or see pnp-train check"
        )

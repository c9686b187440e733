"""Cards and weights of unrolled reconstruction networks; denoisers are in `weights`.

The weights are the learned ones, tied by the group; a loaded model holds plain convolutions. The
card says what the network was trained for, and claims no convergence: there is no certificate.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from pnp_recon.errors import InputError, WeightsError
from pnp_recon.models.store import (
    COMMON_FIELDS,
    find_card,
    load_weights,
    model_kind,
    read_fields,
    write_model,
)
from pnp_recon.networks.configs import UnrolledConfig
from pnp_recon.networks.unrolled import UnrolledNetwork
from pnp_recon.priors.unrolled import LearnedReconstruction, count_parameters
from pnp_recon.priors.unrolled_domain import TrainedOn

# Above this a map is not equivariant up to rounding in float32.
ROUNDING = 1e-4
# Errors above it are a property of the weights; machines agree on them up to this share.
AGREEMENT = 0.05


def export_unrolled(
    network: UnrolledNetwork,
    folder: Path,
    name: str,
    trained_on: Mapping[str, Any],
    details: Mapping[str, Any],
) -> Path:
    """Writes weights and card.

    Args:
        network: trained; it is not changed.
        folder: where `<name>.safetensors` and `<name>.json` go.
        trained_on: see `TrainedOn.from_dict`: operator, geometry, image_shape, window_hu,
            incident, other_geometry.
        details: provenance for the card (training data, recipe, seed, validation ...).

    Returns:
        the path of the card.

    Raises:
        InputError: `trained_on` cannot be read, or a weight is not a finite number.
    """
    network = copy.deepcopy(network).to("cpu", torch.float32)
    state = network.state_dict()
    if not all(bool(torch.isfinite(weights).all()) for weights in state.values()):
        raise InputError(f"{name} holds weights that are not finite; it is not exported")
    model = LearnedReconstruction(network, name, TrainedOn.from_dict(trained_on))
    card = {
        "network": network.recipe(),
        "parameters": model.parameters,
        "parameters_of_ordinary_twin": ordinary_twin_parameters(network.config),
        "guarantee": str(model.guarantee),
        "equivariance_error": model.equivariance.error,
        "trained_on": dict(trained_on),
        **details,
    }
    return write_model(folder, name, state, card)


def is_unrolled(name: str) -> bool:
    """Whether a model, by name or path, is a reconstruction network.

    Raises:
        WeightsError: there is no such model, or its card cannot be read.
    """
    return model_kind(find_card(name)) == "reconstruction"


def read_unrolled_card(path: Path) -> dict[str, Any]:
    """The card of a reconstruction network, checked for the fields that loading needs.

    Raises:
        WeightsError: it is damaged, or the card of a denoiser.
    """
    if model_kind(path) != "reconstruction":
        raise WeightsError(
            f"{path.stem} is a denoiser, not a reconstruction network: give it to load_denoiser, "
            "to reconstruct(y, A, name) or to --denoiser"
        )
    card = read_fields(path, {*COMMON_FIELDS, "trained_on", "guarantee"})
    texts = ("sha256", "name", "guarantee")
    if not (
        all(isinstance(card[key], str) for key in texts) and isinstance(card["trained_on"], dict)
    ):
        raise WeightsError(
            f"model card {path} is damaged: {', '.join(texts)} and trained_on must be as "
            "`export_unrolled` writes them; fetch the card again"
        )
    return card


def load_unrolled(
    name: str, *, device: str = "cpu", dtype: torch.dtype = torch.float32
) -> LearnedReconstruction:
    """A shipped reconstruction network by name, or any exported one by path.

    Raises:
        WeightsError: a file is missing, damaged, or does not fit the other, or the model is a
            denoiser.
    """
    path = find_card(name)
    card = read_unrolled_card(path)
    try:
        trained_on = TrainedOn.from_dict(card["trained_on"])
    except InputError as error:
        raise WeightsError(f"model card {path} is damaged: {error}") from error
    network = load_weights(path, card, lambda fields: UnrolledNetwork(UnrolledConfig(**fields)))
    network = network.to(device=device, dtype=dtype)
    return LearnedReconstruction(network, card["name"], trained_on, card)


def learned_weights(name: str) -> tuple[UnrolledConfig, str, dict[str, torch.Tensor]]:
    """Configuration, SHA-256 and tied weights of a model, to train on from.

    Raises:
        WeightsError: as `load_unrolled`.
    """
    path = find_card(name)
    card = read_unrolled_card(path)
    network = load_weights(path, card, lambda fields: UnrolledNetwork(UnrolledConfig(**fields)))
    return network.config, card["sha256"], network.state_dict()


@dataclass(frozen=True)
class UnrolledCheck:
    """What `check_unrolled` found: lines of text, and `problems`, empty for a true card."""

    name: str
    lines: list[str]
    problems: list[str]


def check_unrolled(name: str) -> UnrolledCheck:
    """Does the card say the truth? Hash, parameter counts and equivariance, found anew.

    There is no certificate to check, and a card that has one is refused.

    Raises:
        WeightsError: as `load_unrolled`.
    """
    model = load_unrolled(name)
    card, found = model.card, model.equivariance
    counts = {
        "parameters": model.parameters,
        "parameters_of_ordinary_twin": ordinary_twin_parameters(model.network.config),
    }
    lines = [f"sha256: {card['sha256'][:12]}… as in the card"]
    problems = []
    for key, count in counts.items():
        lines.append(
            f"{key.replace('_', ' ')}: {count} in the weights, {card.get(key)} in the card"
        )
        if card.get(key) != count:
            problems.append(lines[-1])
    said = card.get("equivariance_error")
    lines.append(f"equivariance error: {found.error:.2e} measured, {said} in the card ({found})")
    if found.promised and found.error > ROUNDING:
        problems.append(f"equivariance: error {found.error:.2e}, more than rounding")
    if not _agree(said, found.error):
        problems.append(f"equivariance error: {found.error:.2e} measured, {said} in the card")
    if "certificate" in card:
        problems.append("the card holds a certificate; nothing is proven about an unrolled network")
    lines.append(f"no certificate: {model.guarantee}")
    return UnrolledCheck(model.name, lines, problems)


def _agree(said: object, measured: float) -> bool:
    """Two measurements of one error; below rounding they differ from machine to machine."""
    if not isinstance(said, int | float):
        return False
    return max(said, measured) <= ROUNDING or abs(said - measured) <= AGREEMENT * measured


def ordinary_twin_parameters(config: UnrolledConfig) -> int:
    """How many parameters the network of the same width and depth has without a group."""
    # The twin's weights are drawn and thrown away: nobody else's random numbers change.
    with torch.random.fork_rng(devices=[]):
        twin = UnrolledNetwork(replace(config, group="C1", filters=None))
    return count_parameters(twin)

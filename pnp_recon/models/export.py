"""From a trained network to the two files of a model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from pnp_recon.models.families import FAMILIES, entry_of
from pnp_recon.models.family import Family
from pnp_recon.models.store import write_model


def export(
    network: nn.Module,
    folder: Path,
    name: str,
    meant_for: tuple[float, float] | Mapping[str, Any],
    details: Mapping[str, Any],
) -> Path:
    """Certifies a network as its family does, and writes weights and card.

    Args:
        network: trained; layers that have a certificate are rescaled in place.
        folder: where `<name>.safetensors` and `<name>.json` go.
        meant_for: for a denoiser its trained noise levels (low, high), [0, 1] scale; for a network
            that reconstructs the measurements (see `TrainedOn.from_dict`).
        details: provenance for the card (training data, recipe, seed, validation ...).

    Returns:
        The path of the card.

    Raises:
        InputError: `meant_for` cannot be read, or a weight is not a finite number.
        ValueError: the network cannot be certified, or is of no family.
    """
    entry = entry_of(network)
    if entry is None:
        known = ", ".join(FAMILIES)
        raise ValueError(f"{type(network).__name__} is of no family of networks; known: {known}")
    family: Family = entry.load()
    found = family.certify(network, name, meant_for)
    return write_model(folder, name, found.state, {**found.fields, **details}, found.metadata)

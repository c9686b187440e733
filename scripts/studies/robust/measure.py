"""Accuracies at radii: what is proven, what attacks leave, and whether the two ever disagree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pnp_recon.networks.classifier import Classifier
from pnp_recon.networks.decisions import Decisions
from scripts.studies.robust.attacks import Found, Logits, attack, foolbox_attack

RADII = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)
# Where an attack starts.
ATTACK_SEED = 0


@dataclass(frozen=True)
class Row:
    """Shares of right and unchanged decisions, in [0, 1], at one radius.

    Attributes:
        model, seed, radius: Euclidean, pictures in [0, 1].
        certified: proven; 0 where nothing is.
        foolbox: left by foolbox's attack; ours where it was not run.
        attacked: left by both attacks.
        broken: pictures that an attack changed within their proven radius; always 0, or a proof
            is wrong.
    """

    model: str
    seed: int
    radius: float
    certified: float
    foolbox: float
    attacked: float
    broken: int


def broken(held: Decisions, labels: Tensor, found: Found, radius: float) -> int:
    """Points found inside the proven radius of a right decision."""
    return int(((held.classes == labels) & (held.radii > radius) & found.fooled).sum())


def measure(
    model: str,
    seed: int,
    logits: Logits,
    held: Decisions | None,
    x: Tensor,
    labels: Tensor,
    radii: Sequence[float] = RADII,
    steps: int = 30,
    restarts: int = 10,
    by_others: bool = True,
) -> list[Row]:
    """A row for each radius.

    Args:
        logits: the network, or a whole pipeline.
        held: decisions with proven radii; None where nothing is proven.
        x: what is attacked, float64.
        by_others: run foolbox as well, which takes networks only.
    """
    rows = []
    positive = [radius for radius in radii if radius > 0]
    network = logits if isinstance(logits, torch.nn.Module) and by_others else None
    others = iter(foolbox_attack(network, x, labels, positive) if network is not None else [])
    for radius in radii:
        generator = torch.Generator().manual_seed(ATTACK_SEED)
        found = attack(logits, x, labels, radius, generator, steps, restarts)
        by_foolbox = next(others, found) if radius > 0 else found
        both = Found(found.points, found.fooled | by_foolbox.fooled)
        proven, wrong = 0.0, 0
        if held is not None:
            right = (held.classes == labels) & (held.radii > radius)
            proven, wrong = float(right.double().mean()), broken(held, labels, both, radius)
        left = [1 - float(one.fooled.double().mean()) for one in (by_foolbox, both)]
        rows.append(Row(model, seed, radius, proven, left[0], left[1], wrong))
    return rows


def decisions_of(network: torch.nn.Module, x: Tensor) -> Decisions | None:
    """With radii, where the network has any."""
    return network.decide(x) if isinstance(network, Classifier) else None

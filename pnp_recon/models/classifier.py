"""Classifiers as models: exported with the constants that are proven, loaded, checked, attacked.

Card and weights are those of every model (`store`); a classifier is no prior, hence of no family.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from pnp_recon.errors import WeightsError
from pnp_recon.models.card import CARD_VERSION, Card, is_classifier, load_weights, read_fields
from pnp_recon.models.family import Check, Row
from pnp_recon.models.store import find_card, write_model
from pnp_recon.networks.classifier import Classifier, build_classifier
from pnp_recon.networks.configs import ClassifierConfig
from pnp_recon.networks.decisions import ROUNDING
from pnp_recon.priors.attack import attained_ratio

# Relative difference between card and recomputation that rounding may cause.
AGREEMENT = 1e-6
FIELDS = ("card_version", "name", "network", "sha256", "certificate")


def export_classifier(
    network: Classifier, folder: Path, name: str, details: Mapping[str, Any]
) -> Path:
    """Writes weights and card of a classifier; returns the path of the card.

    Args:
        network: in float64 and evaluation mode, its constants certified.
        folder, name: `<name>.safetensors` and `<name>.json` go there.
        details: provenance for the card (training data, recipe, accuracies ...).

    Raises:
        ValueError: nothing is proven of the network.
    """
    held = network.check()
    constants, rounding = network.pair_constants(), network.rounding()
    others = ~torch.eye(len(constants), dtype=torch.bool)
    card = {
        "network": network.recipe(),
        "parameters": sum(p.numel() for p in network.parameters()),
        "guarantee": str(held),
        "certificate": {
            "averagedness": held.averagedness,
            "lipschitz": held.lipschitz,
            "source": held.source,
            "largest_pair_constant": float(constants[others].max()),
            "rounding": {"at_zero": rounding.at_zero, "slope": rounding.slope},
            "how": "float64 bounds of all layers; a decision holds within its lead over the "
            "constant of the pair, less what float64 may move the logits, at_zero + slope·‖x‖ each",
        },
    }
    proven = {"lipschitz": repr(held.lipschitz)}
    return write_model(folder, name, network.state_dict(), {**card, **details}, proven)


def load_classifier(name: str | Path) -> Classifier:
    """An exported classifier, float64, with gradients off; its constants are proven anew.

    Args:
        name: the path of the card, of the weights, or their stem.

    Raises:
        WeightsError: a file is missing or damaged, or the weights prove less than the card claims.
    """
    network, card = _loaded(find_card(str(name)))
    stated, proven = card.certificate.get("lipschitz"), network.check()
    if proven.lipschitz is None or not _agree(stated, proven.lipschitz):
        raise WeightsError(f"the card of {card.name} claims the constant {stated}, but {proven}")
    return network


def verify_classifier(path: Path, attack_steps: int) -> Check:
    """Does the card say the truth? Constants are found anew, and attacked.

    Raises:
        WeightsError: the weights are missing or damaged, or do not fit the card.
    """
    network, card = _loaded(path)
    problems = []
    try:
        held = network.check()
    except ValueError as error:
        return Check(card.name, [f"network: {error}"])
    if held.lipschitz is None:
        return Check(card.name, [f"network: {held}"])
    constants = network.pair_constants()
    attained = pair_attained = None
    if attack_steps:
        shape = (2, network.config.channels, network.config.side, network.config.side)
        x = torch.linspace(0, 1, 2 * network.config.inputs, dtype=torch.float64).view(shape)
        attained = attained_ratio(network.features, x[:1], attack_steps)
        first, second = divmod(int(constants.argmax()), len(constants))

        def lead(z: torch.Tensor) -> torch.Tensor:
            logits = network(z)
            return (logits[:, first] - logits[:, second])[:, None]

        pair_attained = attained_ratio(lead, x[:1], attack_steps)
    rows = [
        _row("features", card.certificate.get("lipschitz"), held.lipschitz, attained),
        _row(
            "largest pair of classes",
            card.certificate.get("largest_pair_constant"),
            float(constants.max()),
            pair_attained,
        ),
    ]
    count = sum(p.numel() for p in network.parameters())
    if (stated := card.fields.get("parameters", count)) != count:
        problems.append(f"parameters: {stated} in the card, {count} in the weights")
    problems += [f"{row.what}: {row.problem}" for row in rows if row.problem]
    return Check(card.name, problems, rows=rows)


def _row(what: str, stated: Any, proven: float, attained: float | None) -> Row:
    problem = ""
    if not _agree(stated, proven):
        problem = f"{stated} in the card, {proven:.9g} proven from the weights"
    elif attained is not None and attained > proven * (1 + ROUNDING):
        problem = f"an attack attains {attained:.9g}, above the proven {proven:.9g}"
    return Row(what, stated if isinstance(stated, float) else None, proven, attained, problem)


def _agree(stated: Any, proven: float) -> bool:
    return isinstance(stated, float) and abs(stated / proven - 1) <= AGREEMENT


def _loaded(path: Path) -> tuple[Classifier, Card]:
    fields = read_fields(path)
    if missing := [key for key in FIELDS if key not in fields]:
        raise WeightsError(f"model card {path} lacks {', '.join(missing)}")
    if fields["card_version"] != CARD_VERSION or not is_classifier(fields):
        raise WeightsError(f"model card {path} is no classifier's of version {CARD_VERSION}")
    config = {key: value for key, value in fields["network"].items() if key != "class"}
    held, sha256, name = fields["certificate"], fields["sha256"], str(fields["name"])
    card = Card(
        path, name, sha256, Classifier.__name__, config, "network", None, held, None, fields
    )  # fmt: skip

    def build(given: Mapping[str, Any]) -> Classifier:
        with torch.random.fork_rng(devices=[]):
            return build_classifier(ClassifierConfig(**given)).double()

    return load_weights(card, build)[0], card

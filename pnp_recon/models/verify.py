"""Does a model's card say the truth? Its family finds everything anew from the weights."""

from __future__ import annotations

from pnp_recon.models.card import is_classifier, read_fields
from pnp_recon.models.classifier import verify_classifier
from pnp_recon.models.family import Check
from pnp_recon.models.load import family_of
from pnp_recon.models.store import find_card, read_card


def verify(name: str, attack_steps: int = 30) -> Check:
    """Checks the card of a model by name or path; the weights' SHA-256 must be the card's.

    Args:
        name: as for `load`.
        attack_steps: steps of gradient ascent from each start; 0: no attack.

    Raises:
        WeightsError: the model is missing or damaged.
    """
    path = find_card(name)
    fields = read_fields(path)
    if is_classifier(fields):
        return verify_classifier(path, attack_steps)
    card = read_card(path, fields=fields)
    return family_of(card).verify(card, attack_steps)

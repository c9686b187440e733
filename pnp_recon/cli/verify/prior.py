"""The prior of a report: are its weights at hand, and is what is said of them proven?

Imported after parsing: it loads torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pnp_recon.errors import PnPReconError
from pnp_recon.models.load import family_of, load_denoiser
from pnp_recon.models.store import find_card, is_path, is_shipped, read_card
from pnp_recon.priors.catalogue import CLASSICAL
from pnp_recon.report.claims import Claim, claim, unchecked


def prior_claims(report: Mapping[str, Any], folder: Path, attack_steps: int) -> list[Claim]:
    """That the weights are those of the model that is named, and prove what is stated."""
    block = report["denoiser"]
    name, sha256 = block["name"], block["sha256"]
    what = f"{block['kind']} {name}"
    if sha256 is None and name in CLASSICAL:
        return _constants(block, load_denoiser(name).guarantee.to_dict())
    if sha256 is None:
        reason = "the report holds no hash of weights; what is proven enters the run's constants"
        return [unchecked(what, block["guarantee"]["words"], reason)]
    model = _model(report, folder)
    if model is None:
        reason = "the model is not here, neither among the shipped ones nor at the path of the run"
        return [unchecked(f"weights of {what}", sha256, reason)]
    stated = "its weights are those of the card, which they prove"
    try:
        card = read_card(find_card(model))
        hashes = claim(f"weights of {what}", sha256, card.sha256, f"{card.path} is another model")
        if not hashes.holds:
            return [hashes]
        family = family_of(card)
        check = family.verify(card, attack_steps)
        proven = family.guarantee(card).to_dict()
    except PnPReconError as error:
        return [Claim(f"weights of {what}", sha256, "no such weights", False, str(error))]
    found = "; ".join(check.problems) or "so"
    proof = Claim(f"proof of {what}", stated, found, not check.problems)
    return [hashes, proof, *_constants(block, proven)]


def _constants(block: Mapping[str, Any], proven: Mapping[str, Any]) -> list[Claim]:
    stated = block["guarantee"]
    # What holds may be less than what is on the card (bfloat16), never more.
    if not stated["holds"]:
        return [Claim(f"guarantee of {block['name']}", "none is claimed", proven["words"])]
    return [
        claim(f"{words} of {block['name']}", stated[key], proven[key])
        for key, words in (("averagedness", "α"), ("lipschitz", "Lipschitz constant"))
    ]


def _model(report: Mapping[str, Any], folder: Path) -> str | None:
    """How the model is loaded: by the path of the options, or by the name of the prior."""
    for option in ("model", "denoiser"):
        given = report["options"].get(option)
        if isinstance(given, str) and is_path(given):
            for base in (Path(), folder):
                place = str(base / given)
                try:
                    return str(find_card(place))
                except PnPReconError:
                    continue
            return None
    name = str(report["denoiser"]["name"])
    return name if is_shipped(name) else None

"""A model's card, read and checked once, and the weights that it vouches for.

The card says how to build the network, what is proven about these very weights, their SHA-256,
and how they were made. Which networks there are is known in `families`, not here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from torch import nn

from pnp_recon.errors import InputError, WeightsError
from pnp_recon.models.precision import FIELD as DEVIATION
from pnp_recon.models.precision import is_deviation
from pnp_recon.priors.unrolled_domain import TrainedOn

Network = TypeVar("Network", bound=nn.Module)
# A model is a denoiser, an energy, which has a denoiser, too, or a network that reconstructs.
Kind = Literal["denoiser", "energy", "network"]

CARD_VERSION = 1
COMMON_FIELDS = ("card_version", "name", "network", "sha256")


@dataclass(frozen=True, eq=False)
class Card:
    """What a model's card says.

    Attributes:
        path: where the card is; the weights lie beside it.
        name: what the model is called.
        sha256: the hash of the weights.
        family: class of the network, a name of `FAMILIES`; `config` builds it.
        kind: what the model does.
        sigma_range: trained noise levels of a denoiser, [0, 1] scale; None for a network.
        certificate: what is proven of a denoiser, as the card has it; empty where it has none.
        trained_on: the measurements of a network that reconstructs; None for a denoiser.
        fields: all that the card holds, as it holds it.
    """

    path: Path
    name: str
    sha256: str
    family: str
    config: Mapping[str, Any]
    kind: Kind
    sigma_range: tuple[float, float] | None
    certificate: Mapping[str, Any]
    trained_on: TrainedOn | None
    fields: Mapping[str, Any]


def read_fields(path: Path) -> dict[str, Any]:
    """What a card's file holds, whatever it is about.

    Raises:
        WeightsError: it cannot be read.
    """
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(fields, dict):
            raise TypeError(f"found a {type(fields).__name__}, expected an object")
    except (OSError, ValueError, TypeError) as error:
        raise WeightsError(f"model card {path} cannot be read: {error}") from error
    return fields


def family_name(fields: Mapping[str, Any]) -> str | None:
    """The class of network that a card names, if it names one."""
    network = fields.get("network")
    found = network.get("class") if isinstance(network, dict) else None
    return found if isinstance(found, str) else None


def is_classifier(fields: Mapping[str, Any]) -> bool:
    """Does a card say so? A classifier is no prior, hence of no family; see `classifier`."""
    return family_name(fields) == "Classifier"


def denoiser_card(
    path: Path, fields: Mapping[str, Any], certified: Mapping[str, bool], kind: Kind = "denoiser"
) -> Card:
    """The card of a denoiser or an energy, checked.

    Args:
        path: where the card is.
        fields: see `read_fields`.
        certified: the families of denoisers, and whether a network of each has a certificate.
        kind: what the model does.

    Raises:
        WeightsError: it is damaged, of another version, or asks for an unknown network.
    """
    _require(path, fields, {*COMMON_FIELDS, "certificate", "sigma_range_255"})
    try:
        low, high = (float(level) for level in fields["sigma_range_255"])
        family = family_name(fields)
        if isinstance(fields["network"], dict) and family not in certified:
            raise WeightsError(
                f"the card of {fields['name']} asks for network "
                f"{fields['network'].get('class')!r}, known: {', '.join(certified)}"
            )
        proven = family is None or certified[family]
        alpha = float(fields["certificate"]["averagedness"]) if proven else 1.0
        sound = 0 < alpha <= 1 and 0 <= low <= high <= 255
        sound = sound and isinstance(fields["network"], dict)
        sound = sound and all(isinstance(fields[key], str) for key in ("sha256", "name"))
        sound = sound and isinstance(fields["certificate"]["source"], str)
        sound = sound and is_deviation(fields.get(DEVIATION))
    except (KeyError, TypeError, ValueError):
        sound = False
    if not sound:
        raise WeightsError(
            f"model card {path} is damaged: certificate, sigma_range_255, network, sha256, name "
            f"and {DEVIATION} must be as `export` writes them; fetch the card again"
        )
    return _card(path, fields, kind, sigma_range=(low / 255, high / 255))


def network_card(path: Path, fields: Mapping[str, Any]) -> Card:
    """The card of a network that reconstructs, checked.

    Args:
        path, fields: as for `denoiser_card`.

    Raises:
        WeightsError: it is damaged or of another version.
    """
    _require(path, fields, {*COMMON_FIELDS, "trained_on", "guarantee"})
    texts = ("sha256", "name", "guarantee")
    if not (
        all(isinstance(fields[key], str) for key in texts)
        and isinstance(fields["trained_on"], dict)
    ):
        raise WeightsError(
            f"model card {path} is damaged: {', '.join(texts)} and trained_on must be as "
            "`export` writes them; fetch the card again"
        )
    try:
        trained_on = TrainedOn.from_dict(fields["trained_on"])
    except InputError as error:
        raise WeightsError(f"model card {path} is damaged: {error}") from error
    return _card(path, fields, "network", trained_on=trained_on)


def _require(path: Path, fields: Mapping[str, Any], needed: Collection[str]) -> None:
    missing = set(needed) - set(fields)
    if missing:
        raise WeightsError(f"model card {path} lacks {', '.join(sorted(missing))}")
    if fields["card_version"] != CARD_VERSION:
        raise WeightsError(
            f"model card {path} has version {fields['card_version']}, expected {CARD_VERSION}"
        )


def _card(
    path: Path,
    fields: Mapping[str, Any],
    kind: Kind,
    sigma_range: tuple[float, float] | None = None,
    trained_on: TrainedOn | None = None,
) -> Card:
    config = {key: value for key, value in fields["network"].items() if key != "class"}
    return Card(
        path,
        fields["name"],
        fields["sha256"],
        str(family_name(fields)),
        config,
        kind,
        sigma_range,
        fields.get("certificate", {}),
        trained_on,
        fields,
    )


def load_weights(
    card: Card, build: Callable[[dict[str, Any]], Network]
) -> tuple[Network, dict[str, str]]:
    """The network of a card with its weights, for use: in evaluation mode, without gradients.

    Args:
        card: the model's.
        build: the network that a configuration describes.

    Returns:
        The network, and what the weights' file says of itself.

    Raises:
        WeightsError: the weights are missing or damaged, or do not fit the card.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load as load_safetensors

    weights = card.path.with_suffix(".safetensors")
    try:
        data = weights.read_bytes()
    except OSError as error:
        raise WeightsError(f"weights {weights} cannot be read: {error.strerror}") from error
    found = hashlib.sha256(data).hexdigest()
    if found != card.sha256:
        raise WeightsError(
            f"weights {weights} are damaged or not those of the card: SHA-256 {found[:12]}…, "
            f"expected {card.sha256[:12]}…; fetch them again"
        )
    try:
        with float32_by_default():
            network = build(dict(card.config))
            network.load_state_dict(load_safetensors(data))
    except (SafetensorError, RuntimeError, TypeError, ValueError) as error:
        line = " ".join(str(error).split())[:200]
        raise WeightsError(f"weights {weights} do not fit their card: {line}") from error
    return network.eval().requires_grad_(False), _metadata(data)


@contextmanager
def float32_by_default() -> Iterator[None]:
    """Networks are built in float32, whatever `torch.set_default_dtype` says outside."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def _metadata(data: bytes) -> dict[str, str]:
    """The free text in the header of a safetensors file that was loaded: its length, then JSON."""
    length = int.from_bytes(data[:8], "little")
    found: dict[str, str] = json.loads(data[8 : 8 + length]).get("__metadata__", {})
    return found

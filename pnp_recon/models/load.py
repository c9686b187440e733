"""From a name to a prior: shipped and exported models, and the classical denoisers.

The one place where what a user typed becomes a `Denoiser` or a `LearnedReconstruction`. A name is
looked for among the shipped models first; then it may be a path; then a classical denoiser's name.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import nn

from pnp_recon.errors import InputError, WeightsError
from pnp_recon.models.card import Card, Kind, load_weights
from pnp_recon.models.families import FAMILIES
from pnp_recon.models.family import Family, Options, Tile
from pnp_recon.models.store import find_card, has_card, read_card
from pnp_recon.priors.catalogue import CLASSICAL
from pnp_recon.priors.classical.base import ClassicalMap
from pnp_recon.priors.denoiser import Denoiser, Precision
from pnp_recon.priors.energies.base import LearnedEnergy
from pnp_recon.priors.unrolled import LearnedReconstruction

# What the prior "auto" means, by the number of picture channels, and the energies that commands
# take where they give the better picture at no more than three times the cost.
AUTO = {1: "euler_grey", 3: "euler_colour"}
ENERGIES = {1: "energy_grey", 3: "energy_colour"}


def load(
    name: str,
    *,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    precision: Precision = "float32",
    tile: Tile = "auto",
) -> Denoiser | LearnedEnergy | LearnedReconstruction:
    """The prior of that name, whatever it does.

    Args:
        name: a shipped model's, the path of a card, or a classical denoiser's.
        device, dtype, precision, tile: see `load_denoiser`; the last two are for denoisers that
            are networks.

    Raises:
        WeightsError: the model is missing or damaged.
        InputError: the settings do not go with it, or a library that it needs is not installed.
    """
    return _load(name, None, Options(device, dtype, precision, tile))


def load_denoiser(
    name: str = "euler_grey",
    *,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    precision: Precision = "float32",
    tile: Tile = "auto",
) -> Denoiser:
    """A shipped model by name, or any exported model by path, with its certificate.

    The guarantee is the card's, proven for the weights with the card's SHA-256, which is
    checked, as is that the card states the constant the weights were exported with.
    `pnp-train check` recomputes it.

    Of an energy this is the denoising step alone, of which nothing is proven; `reconstruct`
    descends the energy itself where it gets the name or what `load_energy` returns.

    Args:
        name: a shipped model's, the path of a card, or a classical denoiser's.
        device, dtype: where the weights lie, and their precision.
        precision: "bfloat16" is faster and has no guarantee, see `Denoiser`; the card's
            `bf16_deviation` says how far it is from float32. It goes with float32 weights;
            "float32" computes in `dtype`.
        tile: large pictures are denoised in tiles, see `Denoiser`.

    Raises:
        WeightsError: the model is missing or damaged, or reconstructs by itself.
        InputError: bfloat16 with weights of another `dtype`, or with a classical denoiser; a
            library that the denoiser needs is not installed.
    """
    found = _load(name, "denoiser", Options(device, dtype, precision, tile))
    if isinstance(found, LearnedEnergy):
        assert found.denoiser is not None  # models come with theirs
        return found.denoiser
    return cast(Denoiser, found)


def load_energy(
    name: str, *, device: str = "cpu", dtype: torch.dtype = torch.float32
) -> LearnedEnergy:
    """A shipped energy by name, or any exported one by path; its denoiser is `load_denoiser`'s.

    Raises:
        WeightsError: a file is missing, damaged, or does not fit the other, or the model is none.
    """
    card = read_card(find_card(name), "energy")
    return cast(LearnedEnergy, family_of(card).prior(card, Options(device, dtype)))


def load_unrolled(
    name: str, *, device: str = "cpu", dtype: torch.dtype = torch.float32
) -> LearnedReconstruction:
    """A shipped reconstruction network by name, or any exported one by path.

    Raises:
        WeightsError: a file is missing, damaged, or does not fit the other, or the model is a
            denoiser.
    """
    card = read_card(find_card(name), "network")
    return cast(LearnedReconstruction, family_of(card).prior(card, Options(device, dtype)))


def load_prior(
    name: str, channels: int, *, device: str = "cpu", dtype: torch.dtype = torch.float32
) -> Denoiser | LearnedEnergy | LearnedReconstruction:
    """The prior that a user means by a name, "auto" included.

    Args:
        name: "auto" for the shipped model for so many channels, or as for `load`.
        channels: how many the pictures have.
        device, dtype: the same for the prior and the pictures.

    Raises:
        WeightsError, InputError: as `load`.
    """
    if name == "auto":
        name = AUTO.get(channels, AUTO[1])
    return load(name, device=device, dtype=dtype)


def load_network(name: str) -> tuple[nn.Module, Card]:
    """The network of a certified denoiser as it runs, and its card; the SHA-256 must agree.

    A group's network comes as its plain twin, whose filters are put together.

    Raises:
        WeightsError: a file is missing, damaged, or does not fit the card; or the model has no
            certificate.
    """
    card = read_card(find_card(name), "denoiser")
    if not FAMILIES[card.family].certified:
        raise WeightsError(f"{card.name} is a {card.family}, without any certificate")
    return family_of(card).load(card), card


def load_trained(name: str, kind: Kind) -> tuple[nn.Module, Card]:
    """The network of a model as it was trained, a group's ties included, to train it on.

    Raises:
        WeightsError: as `load`; or the model is of the other kind.
    """
    card = read_card(find_card(name), kind)
    with torch.random.fork_rng(devices=[]):
        return load_weights(card, family_of(card).build)[0], card


def family_of(card: Card) -> Family:
    """The family of a card's network."""
    found: Family = FAMILIES[card.family].load()
    return found


def _load(
    name: str, kind: Kind | None, options: Options
) -> Denoiser | LearnedEnergy | LearnedReconstruction:
    if not has_card(name):
        return _classical(name, options)
    card = read_card(find_card(name), kind)
    return family_of(card).prior(card, options)


def _classical(name: str, options: Options) -> Denoiser:
    entry = CLASSICAL[name]
    if missing := entry.missing():
        raise InputError(f"denoiser {name}: {missing}")
    if options.precision != "float32":
        raise InputError(f"denoiser {name} is no network; leave out precision {options.precision}")
    if isinstance(options.tile, int):
        raise InputError(f"denoiser {name} does not tell its receptive field; leave out tile")
    made: ClassicalMap = entry.load()()
    return made.denoiser()

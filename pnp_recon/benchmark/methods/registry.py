"""Names of methods: what is known, what is available, and what a name stands for."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from pnp_recon.benchmark.methods.base import Method, MethodInfo
from pnp_recon.benchmark.methods.classical import Classical
from pnp_recon.benchmark.methods.deepinv_models import (
    PREFIX,
    PRETRAINED,
    deepinv_model,
    find_weights,
)
from pnp_recon.benchmark.methods.entries import is_entry, load_entry
from pnp_recon.benchmark.methods.models import model
from pnp_recon.benchmark.methods.scheduled import PREFIX as SCHEDULED
from pnp_recon.benchmark.methods.scheduled import InSchedule
from pnp_recon.errors import InputError
from pnp_recon.models.load import family_of
from pnp_recon.models.store import find_card, is_path, read_card, shipped_models
from pnp_recon.priors.catalogue import CLASSICAL

GROUPS = ("shipped", "classical", "all")


def load_method(entry: str, channels: int, device: str = "cpu") -> Method:
    """A method by name, path or entry; loaded once in a process.

    Args:
        entry: "tv", "wavelet", "nlm", "bilateral", "median", "bm3d"; the name of a shipped
            denoiser or the path of a model card; "deepinv:NAME" or "deepinv:NAME@WEIGHTS"; a
            denoiser of one's own, "module:name", "file.py:name" or "file.py"; or "dpir:" before any
            of them.
        channels: how many the pictures have that it will run on.
        device: where networks run; other methods run where the picture is, or on the CPU.

    Raises:
        InputError: unknown (with the nearest known name), not available here (with the remedy),
            or not for so many channels.
        WeightsError: a model card or its weights are damaged.
    """
    return _load(entry, channels, device)


@lru_cache(maxsize=32)
def _load(entry: str, channels: int, device: str) -> Method:
    method = _resolve(entry, channels, device)
    _check_channels(entry, method, channels)
    return method


def _resolve(entry: str, channels: int, device: str) -> Method:
    if entry.startswith(SCHEDULED):
        return InSchedule(_load(entry.removeprefix(SCHEDULED), channels, device))
    if entry in CLASSICAL:
        return Classical(entry)
    if entry in _models() or _is_card(entry):
        return model(entry, device)
    if entry.startswith(PREFIX):
        return deepinv_model(entry, channels, device)
    if is_entry(entry):
        return load_entry(entry, device)
    raise InputError(unknown(entry))


def unknown(entry: str) -> str:
    """What to say of a name that stands for nothing."""
    names = [*CLASSICAL, *_models(), *(PREFIX + name for name in PRETRAINED)]
    if entry in GROUPS:
        return f"{entry!r} is a group of methods; name one of {', '.join(names)}"
    small = {name.lower(): name for name in [*names, *GROUPS]}
    near = difflib.get_close_matches(entry.lower(), small, 1, cutoff=0.5)
    hint = f"; did you mean {small[near[0]]}?" if near else ";"
    return (
        f"unknown method {entry!r}{hint} known: {', '.join(names)}; groups: {', '.join(GROUPS)}; "
        f"or a denoiser of your own: module:name, file.py:name; {SCHEDULED}NAME reconstructs by "
        "the schedule of DPIR with any of them"
    )


def _models() -> list[str]:
    """Shipped denoisers, and energies, which denoise, too; the group "shipped" leaves them out."""
    return [*shipped_models("denoiser"), *shipped_models("energy")]


def _is_card(entry: str) -> bool:
    return ":" not in entry and Path(entry).suffix != ".py" and is_path(entry)


def known_methods() -> list[MethodInfo]:
    """Every method that has a name, available here or not; loads neither networks nor libraries."""
    lines = []
    for name, entry in CLASSICAL.items():
        kind = entry.load()
        lines.append(MethodInfo(name, entry.words, str(kind.guarantee), None, entry.missing()))
    lines += [_of_model(name) for name in _models()]
    for name, weights in PRETRAINED.items():
        here = [count for count in weights.files if find_weights(name, count)[0] is not None]
        counts = here or list(weights.files)
        lines.append(
            MethodInfo(
                PREFIX + name,
                f"{weights.what}, from deepinv",
                "no guarantee: trained without a proven constraint",
                # Each number of channels has weights of its own.
                counts[0] if len(counts) == 1 else None,
                "" if here else find_weights(name, counts[0])[1],
            )
        )
    return lines


def _of_model(name: str) -> MethodInfo:
    card = read_card(find_card(name), "denoiser")
    low, high = card.fields["sigma_range_255"]
    size = f"{card.family}, {card.fields.get('parameters', 0)} parameters"
    what = f"{size}, σ·255 from {low:g} to {high:g}"
    channels = int(card.config.get("channels", 1))
    return MethodInfo(name, what, str(family_of(card).guarantee(card)), channels)


def expand(names: Sequence[str], channels: int) -> list[str]:
    """Entries with group words written out, each once, in the order given.

    Args:
        names: entries of `load_method`, or "shipped", "classical" or "all": those that are
            available here and made for so many channels (a grey network may be named for colour
            pictures, but is in no group of theirs).
        channels: how many the pictures have.

    Raises:
        InputError: an entry that is named itself is unknown, not available, or does not fit.
    """
    known = {info.name: info for info in known_methods()}
    shipped = set(shipped_models("denoiser"))
    out: list[str] = []
    for name in names:
        if name in GROUPS:
            out += [
                info.name
                for info in known.values()
                if info.available
                and info.channels in (None, channels)
                and (name == "all" or info.name in (shipped if name == "shipped" else CLASSICAL))
            ]
            continue
        info = known.get(name)
        if info is not None:
            _refuse(info, channels)
        elif not (name.startswith((PREFIX, SCHEDULED)) or is_entry(name) or _is_card(name)):
            raise InputError(unknown(name))
        out.append(name)
    return list(dict.fromkeys(out))


def _refuse(info: MethodInfo, channels: int) -> None:
    missing = info.missing
    if info.name.startswith(PREFIX):
        missing = find_weights(info.name.removeprefix(PREFIX), channels)[1]
    if missing:
        raise InputError(f"method {info.name} is not available: {missing}")
    _check_channels(info.name, info, channels)


def _check_channels(name: str, found: Method | MethodInfo, channels: int) -> None:
    if not found.fits(channels):
        raise InputError(
            f"method {name} is for pictures of {found.channels} channels, these have {channels}; "
            f"take {'--colour' if found.channels == 3 else '--grey'}, or another method"
        )

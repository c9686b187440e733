"""Routes through the files of a model: its card, its weights, and both at once.

Whoever edits a file is careful: the SHA-256 of the card is put right afterwards.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from laws.networks import small_net
from pnp_recon.models.export import export

Edit = Callable[[Path], None]


def exported(folder: Path) -> Path:
    """The card of a tiny certified model, exported in float32 as all are."""
    with torch.random.fork_rng():
        return export(small_net("spline", "haar").float(), folder, "tiny", (1 / 255, 50 / 255), {})


def card_edit(change: Callable[[dict[str, Any]], object]) -> Edit:
    def edit(card: Path) -> None:
        fields = json.loads(card.read_text())
        change(fields)
        card.write_text(json.dumps(fields))

    return edit


def weights_edit(
    change: Callable[[dict[str, Tensor]], object], metadata: Mapping[str, str] | None = None
) -> Edit:
    """Edits the weights, keeps or changes what the file says of itself, and signs the card."""

    def edit(card: Path) -> None:
        path = card.with_suffix(".safetensors")
        with safe_open(path, framework="pt") as file:
            held = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        change(tensors)
        save_file(tensors, path, {**held, **(metadata or {})})
        fields = json.loads(card.read_text())
        fields["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
        card.write_text(json.dumps(fields))

    return edit


def both(first: Edit, second: Edit) -> Edit:
    def edit(card: Path) -> None:
        first(card)
        second(card)

    return edit


def divide_norms(factor: float) -> Callable[[dict[str, Tensor]], None]:
    def change(tensors: dict[str, Tensor]) -> None:
        for name in tensors:
            if name.endswith(".norm"):
                tensors[name] = tensors[name] / factor

    return change


def claim(value: float) -> Edit:
    return card_edit(lambda fields: fields["certificate"].update(averagedness=value))


def claim_everywhere(value: float) -> Edit:
    """On the card, and in the file that it signs."""
    return both(weights_edit(lambda tensors: None, {"averagedness": repr(value)}), claim(value))


def scale_first(tensors: dict[str, Tensor]) -> None:
    name = next(name for name in tensors if name.endswith(".weight"))
    tensors[name] = 1.5 * tensors[name]


def poison(tensors: dict[str, Tensor]) -> None:
    name = next(name for name in tensors if name.endswith(".weight"))
    tensors[name][0] = torch.nan


@dataclass(frozen=True)
class FileRoute:
    name: str
    edit: Edit

    def __str__(self) -> str:
        return self.name


FILES = [
    *(FileRoute(f"norms / {f}", weights_edit(divide_norms(f))) for f in (1.01, 1.1, 1.5)),
    FileRoute("norms of half the size, claimed", both(weights_edit(divide_norms(2)), claim(0.99))),
    FileRoute("a filter scaled", weights_edit(scale_first)),
    FileRoute("a filter that is not finite", weights_edit(poison)),
    *(FileRoute(f"α = {a} on the card", claim(a)) for a in (0.3, 0.99, 1.0, 1.5, 0.0, -1.0)),
    *(FileRoute(f"α = {a} on the card and in the file", claim_everywhere(a)) for a in (0.3, 0.9)),
    FileRoute(
        "a little less than proven",
        card_edit(
            lambda f: f["certificate"].update(
                averagedness=f["certificate"]["averagedness"] * (1 - 1e-5)
            )
        ),
    ),
    FileRoute(
        "α that is no number", card_edit(lambda f: f["certificate"].update(averagedness="x"))
    ),
    FileRoute("another hash", card_edit(lambda f: f.update(sha256="0" * 64))),
]

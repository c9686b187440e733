"""Make a model, weights and card, of a training: NAME.best.safetensors and NAME.json.

    python -m scripts.accelerator.cards out/energies/energy_grey --to trained_models

Or of weights that torch.save wrote, trained on from a model, with a JSON file of facts about it:

    python -m scripts.accelerator.cards RUN.pt --key ema --facts FACTS.json \
        --init energy_colour --to trained_models

FACTS.json holds "steps", "seconds", "device", "recipe", and figures: "bsd68", "validation",
"critical".

`--note` adds a sentence to the card, such as what went wrong, or which GPU and driver it was.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from pnp_recon import __version__
from pnp_recon.models.card import read_fields
from pnp_recon.models.export import export
from pnp_recon.models.families import FAMILIES
from pnp_recon.models.store import find_card
from scripts.accelerator.losses import LEVELS

MEASURED = "averaged weights, float32, PSNR with range 1 and without clipping"

# What a stage of a training says of itself, and figures of what came out.
STAGE = ("device", "recipe", "steps", "seconds", "rewinds", "curve")
FIGURES = ("bsd68", "validation", "best_validation", "critical")


def details(record: Mapping[str, Any], notes: Sequence[str]) -> dict[str, Any]:
    """Provenance for the card, from what `train` wrote."""
    training = ("recipe", "data", "device", "steps", "best_step", "seconds", "rewinds", "curve")
    found: dict[str, Any] = {
        "training": {key: record[key] for key in training if key in record},
        "made_with": {
            "pnp_recon": __version__,
            "torch": {"training": record["torch"], "export": torch.__version__},
            "python": platform.python_version(),
        },
        "figures": {
            **{key: record[key] for key in FIGURES if key in record},
            "measured_on": MEASURED,
        },
    }  # fmt: skip
    if notes:
        found["notes"] = list(notes)
    return found


def make(
    name: str,
    state: Mapping[str, Tensor],
    record: Mapping[str, Any],
    folder: Path,
    notes: Sequence[str] = (),
) -> Path:
    """Writes the model and returns the path of its card."""
    config = {key: value for key, value in record["network"].items() if key != "class"}
    network = FAMILIES[record["network"]["class"]].load().build(config)
    network.load_state_dict(dict(state))
    low, high = (level / 255 for level in LEVELS)
    return export(network, folder, name, (low, high), details(record, notes))


def continued(before: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    """The record of a model that was trained on: the stages so far, and the new one.

    Args:
        before: the card of the model which it began with.
        facts: see the head of this file; figures that it lacks are not those of the new weights.
    """
    missing = [key for key in ("steps", "seconds", "device", "recipe") if key not in facts]
    if missing:
        raise SystemExit(f"the facts lack {', '.join(missing)}; write them down first")
    training = before["training"]
    stages = training["recipe"].get("stages") or [
        {key: training[key] for key in STAGE if key in training}
    ]
    stage = {key: facts[key] for key in STAGE if key in facts}
    return {
        "network": before["network"],
        "torch": facts.get("torch", torch.__version__),
        "data": facts.get("data", training["data"]),
        "recipe": {"stages": [*stages, stage]},
        "device": "see stages",
        "steps": training["steps"] + facts["steps"],
        "seconds": round(training["seconds"] + facts["seconds"], 1),
        **{key: facts[key] for key in FIGURES if key in facts},
    }


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", type=Path, help="folder and name of a training")
    parser.add_argument("--to", type=Path, required=True, help="folder for the model")
    parser.add_argument("--note", action="append", default=[], help="a sentence for the card")
    parser.add_argument("--init", help="the model which RUN.pt was trained on from")
    parser.add_argument("--key", help="where in RUN.pt the weights are; by default it is they")
    parser.add_argument("--facts", type=Path, help="a JSON file about the training of RUN.pt")
    parser.add_argument("--name", help="the model's name; by default that of the run, or of --init")
    a = parser.parse_args(argv)
    if a.init:
        before = read_fields(find_card(a.init))
        facts = json.loads(a.facts.read_text(encoding="utf-8")) if a.facts else {}
        held = torch.load(a.run, map_location="cpu", weights_only=True)
        weights = held[a.key] if a.key else held
        record = continued(before, facts)
        print(make(a.name or Path(a.init).stem, weights, record, a.to, a.note))
        return
    record = json.loads(a.run.with_name(f"{a.run.name}.json").read_text(encoding="utf-8"))
    state = load_file(a.run.with_name(f"{a.run.name}.best.safetensors"))
    print(make(a.name or a.run.name, state, record, a.to, a.note))


if __name__ == "__main__":
    main()

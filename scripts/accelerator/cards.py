"""Make a model, weights and card, of a training: NAME.best.safetensors and NAME.json.

    python -m scripts.accelerator.cards out/energies/energy_grey --to trained_models/energies

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
from pnp_recon.models.export import export
from pnp_recon.models.families import FAMILIES
from scripts.accelerator.losses import LEVELS

MEASURED = "averaged weights, float32, PSNR with range 1 and without clipping"


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
            **{key: record[key] for key in ("bsd68", "validation", "best_validation", "critical")
               if key in record},
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


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", type=Path, help="folder and name of a training")
    parser.add_argument("--to", type=Path, required=True, help="folder for the model")
    parser.add_argument("--note", action="append", default=[], help="a sentence for the card")
    a = parser.parse_args(argv)
    record = json.loads(a.run.with_name(f"{a.run.name}.json").read_text())
    state = load_file(a.run.with_name(f"{a.run.name}.best.safetensors"))
    print(make(a.run.name, state, record, a.to, a.note))


if __name__ == "__main__":
    main()

"""Writes into the cards of certified denoisers how far they are from float32 in bfloat16.

`pnp-train export` measures that by itself; this is for models that were exported before, or on
another machine. The weights, their SHA-256 and the certificate stay as they are.

    python -m scripts.tables.card_bf16 [NAME|PATH ...]      (without names: all that ship)
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from pnp_recon.files import atomic_write
from pnp_recon.models.load import load_network
from pnp_recon.models.precision import FIELD, bf16_deviation, deviation_words
from pnp_recon.models.store import find_card, read_card, shipped_models


def update(path: Path) -> str:
    """Measures, writes the card anew, and returns what it says now."""
    network, card = load_network(str(path))
    low, high = card.fields["sigma_range_255"]
    found = bf16_deviation(network, card.config.get("channels", 1), (low / 255, high / 255))
    fields = {}
    for key, value in card.fields.items():
        if key != FIELD:
            fields[key] = value
        if key == "certificate":
            fields[FIELD] = found
    atomic_write(path, json.dumps(fields, indent=1, ensure_ascii=False) + "\n")
    return deviation_words(found)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="*", metavar="NAME|PATH")
    for name in parser.parse_args(argv).models or shipped_models("denoiser"):
        path = find_card(name)
        if read_card(path, "denoiser").certificate["averagedness"] is None:
            print(f"{path.stem}: left as it is, not certified")
            continue
        print(f"{path.stem}: {update(path)}")


if __name__ == "__main__":
    main()

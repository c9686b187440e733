"""The model zoo: a section for each shipped card, so that the page says what the files say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

_INTRODUCTION = """# Models

Every shipped model is two files, `NAME.safetensors` (weights, a format that cannot run code) and
`NAME.json` (its card). What a card claims is computed again when the model is loaded; `pnp-train
check NAME` also attacks it. How they were trained:
[trained models](/generated/repository/trained_models-readme.md).

"""


def _section(card: dict[str, Any], size: int) -> str:
    network = dict(card["network"])
    kind = network.pop("class")
    built = ", ".join(f"{key} {value}" for key, value in network.items() if value is not None)
    guarantee = card.get("guarantee")
    if guarantee is None:
        guarantee = (
            f"α-averaged with α ≤ {card['certificate']['averagedness']:.6g}, for every picture size"
        )
    lines = [
        f"## {card['name']}",
        "",
        f"- **network**: {kind} ({built})",
        f"- **weights**: {size / 1024:.0f} kB, SHA-256 `{card['sha256'][:16]}…`",
        f"- **what is proven**: {guarantee}",
    ]
    if "parameters" in card:
        lines.append(f"- **learned numbers**: {card['parameters']:,}".replace(",", " "))
    return "\n".join(lines) + "\n"


def _write(app: Sphinx) -> None:
    docs = Path(app.srcdir)
    folder = docs.parent / "trained_models"
    sections = []
    for path in sorted(folder.glob("*.json")):
        card = json.loads(path.read_text(encoding="utf-8"))
        sections.append(_section(card, path.with_suffix(".safetensors").stat().st_size))
    made = docs / "generated" / "models.md"
    made.parent.mkdir(exist_ok=True)
    made.write_text(_INTRODUCTION + "\n".join(sections), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("builder-inited", _write)
    return {"parallel_read_safe": True}

"""`pnp-ct --slices` as it is typed, and what it left beside a volume."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pnp_recon.cli.ct import main


def run(*args: object) -> int:
    return main([*map(str, args)])


def rows(path: Path) -> list[dict[str, Any]]:
    """The rows of the ledger, one for each slice."""
    lines = path.with_name(f"{path.name}.slices.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines[1:]]

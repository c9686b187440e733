"""Where something lies in a file that may hold several: FILE:KEY in two. Imports no torch."""

from __future__ import annotations

import re
from pathlib import Path


def place_in_file(text: str) -> tuple[Path, str | None]:
    """FILE:KEY as a path and a key, or None for no key; a file whose name has a colon is a file."""
    whole = Path(text)
    found = re.fullmatch(r"(.+):([^:\[\]]*(?:\[(?:\d+|:)\])?)", text)
    if found is None or whole.exists():
        return whole, None
    return Path(found[1]), found[2]

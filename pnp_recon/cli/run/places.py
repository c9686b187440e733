"""Where something lies in a file that may hold several: FILE:KEY in two. Imports no torch."""

from __future__ import annotations

import re
from pathlib import Path

from pnp_recon.files import split_frame


def place_in_file(text: str) -> tuple[Path, str | None]:
    """FILE:KEY as a path and a key, or None for no key; a file whose name has a colon is a file.

    FILE[3] stays whole: which picture of a file is read where files are.
    """
    whole = Path(text)
    found = re.fullmatch(r"(.+):([^:\[\]]*(?:\[(?:\d+|:)\])?)", text)
    if found is None or whole.exists() or split_frame(whole)[1] is not None:
        return whole, None
    return Path(found[1]), found[2]

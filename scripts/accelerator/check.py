"""Whether the package runs on an accelerator, and how exactly.

    python -m scripts.accelerator.check OUT.json [--device cpu|cuda] [--limit S] [--only NAME,NAME]

Every section has its turn within the limit, see `sections`. On a CPU the same code runs with tiny
sizes: a dry run. `check.sh` runs it beside the tests that need a GPU.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from scripts.accelerator.sections import Section, command

LIMIT = 150.0
SECTIONS = (
    Section("environment", 3),
    Section("attacks", 16),
    Section("training", 18),
    Section("determinism", 8),
    Section("streams", 5),
    Section("denoisers", 16),
    Section("reconstruct", 30),
    Section("operators", 8),
    Section("tomography", 6),
    Section("devices", 5),
    Section("synchronisations", 16),
    Section("command_line", 10),
)


def main(argv: Sequence[str] | None = None) -> int:
    return command(__doc__ or "", SECTIONS, LIMIT, argv)


if __name__ == "__main__":
    sys.exit(main())

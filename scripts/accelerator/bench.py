"""How fast the package is on an accelerator, beside what the card can do and beside the CPU.

    python -m scripts.accelerator.bench OUT.json [--device cpu|cuda] [--limit S] [--only NAME,NAME]

The ceilings are measured first, on the same card. Every section has its turn within the limit, see
`sections`. On a CPU the same code runs with tiny sizes: a dry run.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from scripts.accelerator.sections import BENCHES, Section, command

LIMIT = 240.0
SECTIONS = (
    Section("environment", 2),
    Section("roofline", 8, BENCHES),
    Section("block", 10, BENCHES),
    Section("denoisers", 30, BENCHES),
    Section("synchronisations", 12),
    Section("reconstructions", 20, BENCHES),
    Section("processor", 25, BENCHES),
    Section("compiled", 40, BENCHES),
)


def main(argv: Sequence[str] | None = None) -> int:
    return command(__doc__ or "", SECTIONS, LIMIT, argv)


if __name__ == "__main__":
    sys.exit(main())

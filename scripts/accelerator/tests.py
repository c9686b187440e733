"""pytest that still says what failed, and in which words, when it is told to end.

python -m scripts.accelerator.tests ARGUMENTS OF PYTEST
"""

from __future__ import annotations

import signal
import sys

import pytest


def main() -> int:
    # As Ctrl-C, which is ignored where a shell runs a command in the background.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return int(pytest.main(sys.argv[1:]))


if __name__ == "__main__":
    sys.exit(main())

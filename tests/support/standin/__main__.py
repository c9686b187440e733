"""Runs a module with the stand-in as the device "cuda".

PYTHONPATH=.:tests python -m support.standin MODULE [ARGUMENT …]
"""

from __future__ import annotations

import runpy
import sys

from support.standin import standin


def main() -> None:
    if len(sys.argv) < 2:
        raise SystemExit("usage: python -m support.standin MODULE [ARGUMENT …]")
    del sys.argv[0]
    with standin():
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()

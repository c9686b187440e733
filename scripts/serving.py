"""`pnp-recon serve` as a process of its own: for pictures of the page, and for its tests."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
START = "from pnp_recon.cli.listing import main; raise SystemExit(main())"


@contextmanager
def serving(
    *arguments: str, environment: Mapping[str, str] | None = None
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server of this checkout and the address that it prints; ended with the context.

    Args:
        arguments: its options.
        environment: what differs from this process's.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", START, "serve", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url.startswith("http://"), url
        yield process, url
    finally:
        process.terminate()  # it removes its folder
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()

"""A dry run of the commands for an accelerator, on a machine without some libraries."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scripts.accelerator.sections import Section

ROOT = Path(__file__).resolve().parents[2]
# What the machine with an accelerator does not have.
MISSING = ("deepinv", "odl", "astra", "imagecodecs", "pywt")


def dry_run(
    command: str, sections: Sequence[Section], out: Path, missing: Sequence[str] = MISSING
) -> dict[str, Any]:
    """The record of `scripts.accelerator.COMMAND`, in which every section came to its end."""
    code = (
        f"import sys\nfor name in {missing}: sys.modules[name] = None\n"
        f"from scripts.accelerator.{command} import main\n"
        f"sys.exit(main([{str(out)!r}, '--device', 'cpu', '--limit', '600']))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    record: dict[str, Any] = json.loads(out.read_text())
    found = record["sections"]
    assert list(found) == [section.name for section in sections]
    for name, rows in found.items():
        assert not {"error", "cut", "skipped"} & set(rows), (name, rows)
        assert len(rows) > 2, name
    return record

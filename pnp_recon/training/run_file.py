"""`run.json`, which says what is trained in a folder, on what, and how: as plain values.

Knows no task; loads no torch.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pnp_recon.errors import InputError, OutputError
from pnp_recon.files import atomic_write, write_reason

RUN_VERSION = 1


def run_file(folder: Path) -> Path:
    return folder / "run.json"


def write_fields(folder: Path, kind: str, fields: Mapping[str, Any]) -> None:
    """Makes the run folder and writes `run.json`.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the run folder {folder}: {write_reason(error)}") from error
    content = {"run_version": RUN_VERSION, "kind": kind, **fields}
    atomic_write(run_file(folder), json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def read_fields(folder: Path) -> tuple[str, dict[str, Any]]:
    """Kind and fields of the run in a folder.

    Raises:
        InputError: there is no run, or its `run.json` is damaged.
    """
    path = run_file(folder)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"{folder} holds no training run ({path.name}: {error.strerror}); expected the folder "
            "that a pnp-train command made with -o"
        ) from error
    with undamaged(folder):
        fields = json.loads(text)
        version, kind = fields.pop("run_version"), fields.pop("kind")
        if version != RUN_VERSION:
            raise InputError(f"{path} is of version {version}, expected {RUN_VERSION}")
    return kind, fields


@contextmanager
def undamaged(folder: Path) -> Iterator[None]:
    """Values of `run.json` that cannot be used inside are an InputError that says so."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{run_file(folder)} is damaged ({error}); restore it or start anew"
        ) from error

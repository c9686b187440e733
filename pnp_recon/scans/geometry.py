"""Scan geometries in small JSON and YAML files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from operators.errors import OperatorError
from operators.scan_geometry import ScanGeometry
from pnp_recon.errors import InputError
from pnp_recon.files import atomic_write


def read_geometry(path: str | Path) -> ScanGeometry:
    """Read a geometry from a JSON file or (.yaml, .yml) a YAML file; see `from_dict` for its keys.

    Raises:
        InputError: if the file cannot be read or says something that is not understood.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text ({error})") from error
    try:
        values = json.loads(text) if path.suffix.lower() == ".json" else _yaml(text)
    except ValueError as error:
        raise InputError(f"{path}: neither JSON nor YAML that can be read ({error})") from error
    try:
        return ScanGeometry.from_dict(values)
    except OperatorError as error:
        raise InputError(f"{path}: {error}") from error


def write_geometry(geometry: ScanGeometry, path: str | Path) -> None:
    """Write a geometry, whole or not at all, so that `read_geometry` gives it back digit for digit.

    Raises:
        OutputError: it cannot be written; the old file, if any, is untouched.
    """
    path = Path(path)
    if path.suffix.lower() == ".json":
        text = json.dumps(geometry.to_dict(), indent=2) + "\n"
    else:
        import yaml

        text = yaml.safe_dump(geometry.to_dict(), sort_keys=False)
    atomic_write(path, text)


def _yaml(text: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error

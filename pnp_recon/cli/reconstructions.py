"""The commands that reconstruct, and what each is made of; a report names the one that wrote it.

`catalogue` lists them among all commands; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from pnp_recon.cli.run.options import Options
from pnp_recon.errors import InputError
from pnp_recon.registry import Entry, Registry

RECONSTRUCTIONS: Registry[Entry] = Registry(
    "reconstruction command",
    [
        Entry("pnp-deblur", "pnp_recon.cli.deblur:COMMAND"),
        Entry("pnp-inpaint", "pnp_recon.cli.inpaint:COMMAND"),
        Entry("pnp-sr", "pnp_recon.cli.sr:COMMAND"),
        Entry("pnp-jpeg", "pnp_recon.cli.jpeg:COMMAND"),
        Entry("pnp-ct", "pnp_recon.cli.ct:COMMAND"),
        Entry("pnp-mri", "pnp_recon.cli.mri:COMMAND"),
    ],
)


def rebuilt(options: type[Options], stored: Mapping[str, Any]) -> Options:
    """The options of a command from what a report holds of them.

    Args:
        options: the dataclass.
        stored: plain values by the names of its fields.

    Raises:
        InputError: a field is missing, unknown, or of another kind.
    """
    hints = get_type_hints(options)
    names = [field.name for field in fields(options)]
    for missing in [name for name in names if name not in stored]:
        raise InputError(f"the options lack {missing}; another version has written them")
    for unknown in [name for name in stored if name not in names]:
        raise InputError(f"the options hold {unknown}, which this version does not know")
    return options(**{name: _typed(name, hints[name], stored[name]) for name in names})


def _typed(name: str, hint: Any, value: Any) -> Any:
    """A plain value as the field's kind: text as a path or as a choice."""
    if get_origin(hint) in (Union, UnionType):
        if value is None and type(None) in get_args(hint):
            return None
        (hint,) = (one for one in get_args(hint) if one is not type(None))
    if get_origin(hint) is list and isinstance(value, list):
        return [_typed(name, get_args(hint)[0], item) for item in value]
    try:
        if isinstance(value, str) and issubclass(hint, Enum | Path):
            return hint(value)
        if hint is float and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        fits = type(value) is hint
    except (TypeError, ValueError):
        fits = False
    if not fits:
        raise InputError(f"the option {name} is {value!r}, which this version does not take")
    return value

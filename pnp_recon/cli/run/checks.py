"""Options that do not go together: which of them were given, and how that is refused.

Works on any dataclass of options and knows none of them. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Any, get_type_hints

from pnp_recon.errors import InputError


def given(options: Any, *names: str) -> list[str]:
    """The flags among these fields that the user gave: they are on, or not at their default."""
    defaults = {field.name: field.default for field in fields(options)}
    return [
        flag_of(options, name)
        for name in names
        if (value := getattr(options, name)) is not False and value != defaults[name]
    ]


def flag_of(options: Any, name: str) -> str:
    """How the flag of a field is spelled ("--max-iter"), from its annotation."""
    hint = get_type_hints(type(options), include_extras=True)[name]
    (option,) = hint.__metadata__
    # In an annotation typer takes the first spelling for the default.
    spelled = (option.default, *(option.param_decls or ()))
    long = next(one for one in spelled if one.startswith("--"))
    return str(long).partition("/")[0]


def refuse(flags: Iterable[str], subject: str, when: bool = True) -> None:
    """Refuses the first of `flags`, if there is one, along with `subject`.

    Args:
        flags: what was given, see `given`.
        subject: what it does not go with; may go on with a remedy.
        when: nothing is refused otherwise.

    Raises:
        InputError: naming both.
    """
    for flag in flags if when else ():
        raise InputError(f"{flag} does not go with {subject}")

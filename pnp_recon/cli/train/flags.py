"""The options that a task's settings stand for: one for each field, unless the task hides it.

A field's words, type and default come from its dataclass; what these do not say is in `Task.flags`.
An option that was not given is None, so that a resumed run keeps its own value. Knows no task;
loads no torch.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from inspect import Parameter
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import typer

from pnp_recon.cli.shell import parse_level
from pnp_recon.training.task import Flag, Given, Task

# Options of every task, which commands write out themselves: see `command`.
COMMON = frozenset({"threads"})


@dataclass(frozen=True)
class Asked:
    """A field of a task, or of one of its parts, that an option sets.

    Attributes:
        part: the field of the task that is a dataclass of its own; empty: the task itself.
        field: its name.
        kind: its type, None left out.
        words: help.
        default: in words; empty: there is none.
        flag: what the task says about it.
    """

    part: str
    field: str
    kind: type
    words: str
    default: str
    flag: Flag

    @property
    def parameter(self) -> str:
        """The name of the command's argument."""
        return f"{self.part}_{self.field}" if self.part else self.field

    @property
    def names(self) -> tuple[str, ...]:
        if self.flag.names:
            return self.flag.names
        name = self.field.replace("_", "-")
        return (f"--{name}/--no-{name}",) if self.kind is bool else (f"--{name}",)

    @property
    def option(self) -> Parameter:
        """The command's argument."""
        kind = bool if self.flag.switch else str if self.flag.level else self.kind
        option = typer.Option(*self.names, help=self.words, show_default=self.default or False)
        return Parameter(
            self.parameter,
            Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[kind | None, option],
        )

    def value(self, typed: Any) -> Any:
        """What the field gets; None leaves it as it is."""
        if typed is None:
            return None
        if self.flag.switch:
            return self.flag.switch[0 if typed else 1]
        return parse_level(typed, self.names[0]) if self.flag.level else typed


def asked(task: type[Task]) -> list[Asked]:
    """The fields of a task that have an option of their own, in the order of the help."""
    parts = task.parts()
    own = [found for found in _asked(task, task, "") if found.field not in (*parts, *COMMON)]
    first = [found for found in own if found.field == "data"]
    inner = [found for part, kind in parts.items() for found in _asked(task, kind, part)]
    return [*first, *inner, *(found for found in own if found not in first)]


def _asked(task: type[Task], holder: type, part: str) -> Iterator[Asked]:
    hints = get_type_hints(holder, include_extras=True)
    for field in fields(holder):
        flag = task.flags.get(f"{part}.{field.name}" if part else field.name, Flag())
        if flag.asked and task.flags.get(part, flag).asked:
            kind, words = _read(hints[field.name])
            yield Asked(
                part,
                field.name,
                kind,
                flag.words or words,
                flag.default or _default(field, flag),
                flag,
            )


def _read(hint: Any) -> tuple[Any, str]:
    """Type, without None, and words of an annotation."""
    words = ""
    if get_origin(hint) is Annotated:
        hint, words = get_args(hint)[:2]
    if get_origin(hint) in (types.UnionType, Union):
        (hint,) = (kind for kind in get_args(hint) if kind is not types.NoneType)
    return hint, words


def _default(field: Field[Any], flag: Flag) -> str:
    value = field.default
    if value is MISSING or value is None or value == "":
        return ""
    if isinstance(value, bool):
        return ("" if value else "no-") + field.name.replace("_", "-")
    if flag.level:
        return f"{255 * value:g}/255"
    return f"{value:g}" if isinstance(value, float) else str(value)


def said(task: type[Task], part: str, field: str) -> str:
    """What a message calls a field: as its only option is called, or like itself."""
    flag = task.flags.get(f"{part}.{field}" if part else field, Flag())
    alone = flag.names[0] if len(flag.names) == 1 and "/" not in flag.names[0] else field
    return flag.said or alone.lstrip("-").replace("_", "-")


def given(options: list[Asked], typed: Mapping[str, Any]) -> Given:
    """The fields that were typed, in their parts; an option that was left out is left out."""
    found: dict[str, Any] = {}
    for option in options:
        value = option.value(typed[option.parameter])
        if value is not None:
            holder = found.setdefault(option.part, {}) if option.part else found
            holder[option.field] = value.absolute() if isinstance(value, Path) else value
    return found

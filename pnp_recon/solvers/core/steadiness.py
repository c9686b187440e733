"""Did operators whose code this package cannot read answer after a run as they did before it?

A fingerprint covers coefficients, not what somebody's function keeps to itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from torch import nn

from operators.base import LinearOperator
from operators.checks.steady import remember, strayed


def strangers(solver: object) -> tuple[LinearOperator, ...]:
    """The operators in a solver whose transpose is not known by construction, asked once."""
    operators = (part for part in parts(solver) if isinstance(part, LinearOperator))
    found = {id(A): A for A in operators if A.transpose_by != "construction"}
    for A in found.values():
        remember(A)
    return tuple(found.values())


def void_by(operators: tuple[LinearOperator, ...]) -> str:
    """Why the certificate is void; empty where all answer as before."""
    try:
        changed = [A.name for A in operators if strayed(A)]
    except KeyboardInterrupt:
        return "it was stopped before the operator was asked whether it is still the same"
    if not changed:
        return ""
    return f"'{changed[0]}' no longer answers as it did before the run: does it keep a state?"


def parts(thing: object, seen: set[int] | None = None) -> Iterator[object]:
    """A solver and all that it is made of: fields, items, children of modules."""
    seen = set() if seen is None else seen
    if id(thing) in seen:
        return
    seen.add(id(thing))
    yield thing
    inside: list[Any] = []
    if isinstance(thing, nn.Module):
        inside = list(thing.children())
    elif is_dataclass(thing) and not isinstance(thing, type):
        inside = [getattr(thing, field.name) for field in fields(thing)]
    elif isinstance(thing, Mapping):
        inside = list(thing.values())
    elif isinstance(thing, list | tuple):
        inside = list(thing)
    for part in inside:
        yield from parts(part, seen)

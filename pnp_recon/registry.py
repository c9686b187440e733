"""Registries: what there is by name, and where it lives, known before torch is loaded.

One registry for each kind of thing (solvers, accelerations, model families, training tasks,
commands, suites, regularisers). Enums of options, listings, refusals and lazy imports derive from
its entries. A kind with more to say about itself derives its own entry from `Entry`.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from typing import Any, Generic, TypeVar

from pnp_recon.errors import InputError


@dataclass(frozen=True)
class Entry:
    """One line of a registry.

    Attributes:
        name: what users type.
        home: "module:attribute", imported when it is asked for.
    """

    name: str
    home: str

    def load(self) -> Any:
        """What the entry stands for."""
        module, _, attribute = self.home.partition(":")
        return getattr(import_module(module), attribute)


E = TypeVar("E", bound=Entry)


class Registry(Mapping[str, E], Generic[E]):
    """Entries by name, in the order in which they are listed.

    Args:
        kind: what an entry is, for messages ("solver").
        entries: each name once.
    """

    def __init__(self, kind: str, entries: Iterable[E]) -> None:
        self.kind = kind
        self._entries: dict[str, E] = {}
        for entry in entries:
            if entry.name in self._entries:
                raise ValueError(f"two entries of the registry of {kind}s are called {entry.name}")
            self._entries[entry.name] = entry

    def __getitem__(self, name: str) -> E:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, name: str, *words: str) -> E:
        """The entry of that name.

        Args:
            name: what a user typed.
            words: what else could have been typed there ("auto"), for the message.

        Raises:
            InputError: there is none; names the nearest one and all that are known.
        """
        if name in self._entries:
            return self._entries[name]
        known = [*words, *self._entries]
        near = difflib.get_close_matches(str(name).lower(), known, 1, cutoff=0.6)
        hint = f"; did you mean {near[0]}?" if near else ";"
        raise InputError(f"unknown {self.kind} {name!r}{hint} known: {', '.join(known)}")

    def enum(self, title: str, *words: str) -> type[StrEnum]:
        """The names as the choices of an option, after `words`."""
        members = {name.replace("-", "_"): name for name in (*words, *self._entries)}
        # Where it is bound, so that its members can be sent to other processes.
        home = sys._getframe(1).f_globals["__name__"]
        made: type[StrEnum] = StrEnum(title, members, module=home)  # type: ignore[misc, assignment]
        return made


def by_need(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """The `__getattr__` of a package whose names are loaded when they are asked for (PEP 562).

    Args:
        package: its name.
        homes: public name -> the module below the package that it lives in.
    """

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{homes[name]}"), name)

    return get

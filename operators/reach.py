"""Which torch modules a function comes by, however they are held: not in its arguments.

A lambda around a network is a function like any other, and what is true of the network is true of
it: its weights may change, and it may be in training mode. Looked at are closures, defaults,
partial functions, caches, weak references, bound methods, containers, and the globals that the
code names; of an object that code holds, the attributes and methods that some code names, as the
rest may be anything. What a function fetches in another way (an import inside it, a name made up of
strings) is not seen.
"""

from __future__ import annotations

import dis
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import _lru_cache_wrapper, cached_property, partial, partialmethod
from types import BuiltinMethodType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any
from weakref import ref

import numpy as np
import torch
from torch import nn

# Whose functions hold no module of a caller's.
_LIBRARIES = {*sys.stdlib_module_names, "torch", "numpy", "scipy", "operators", "pnp_recon"}
# Whose objects hold none either, unless they are modules.
_PLAIN = _LIBRARIES - {"operators", "pnp_recon"}
# How many things are looked at, at most, and how many of them in one another.
MOST, DEPTH = 20000, 100
_NUMBERS = (bool, int, float, complex, str, bytes, type(None), torch.Tensor, np.ndarray, np.generic)
_SKIPPED = (*_NUMBERS, type, ModuleType, torch.dtype, torch.device, torch.Generator)
_NUMBER_TYPES = frozenset(_NUMBERS)
_CONTAINERS = (list, tuple, set, frozenset, deque)
_CALLED = ("__call__", "__get__", "forward")


def reached(*things: object) -> list[nn.Module]:
    """All modules that these things are or come by, each once, parts of modules included."""
    return list(_searched(things).modules.values())


def whole(*things: object) -> bool:
    """Was all looked at that these things come by? No search takes more than `MOST` steps."""
    return not _searched(things).cut


def _searched(things: tuple[object, ...]) -> _Search:
    names = set(_CALLED)
    while True:
        found = _Search(names).all(things)
        if found.names == names:
            return found
        names = found.names


@dataclass
class _Search:
    """One pass.

    Attributes:
        known: names that code has loaded, as far as earlier passes know.
        names: those, and what this one has seen.
        seen: what was looked at, held so that no id is used twice.
        cut: something was not looked at, as it lies too deep or there is too much.
    """

    known: set[str]
    names: set[str] = field(default_factory=set)
    modules: dict[int, nn.Module] = field(default_factory=dict)
    seen: dict[int, object] = field(default_factory=dict)
    cut: bool = False

    def all(self, things: tuple[object, ...]) -> _Search:
        self.names = set(self.known)
        # Each with how deep it lies, and whether code holds it.
        pending = deque[tuple[object, int, bool]]((thing, 0, False) for thing in things)
        while pending:
            thing, depth, held = pending.popleft()  # what is near comes first
            if isinstance(thing, _SKIPPED) or id(thing) in self.seen or _of_numbers(thing):
                continue
            if len(self.seen) >= MOST or depth > DEPTH:
                self.cut = True
                continue
            self.seen[id(thing)] = thing
            if isinstance(thing, nn.Module):
                self.modules[id(thing)] = thing
            code = isinstance(thing, FunctionType | MethodType)
            pending += [(part, depth + 1, held or code) for part in self._parts(thing, held)]
        return self

    def _parts(self, thing: object, held: bool) -> Iterator[object]:
        if isinstance(thing, FunctionType):
            yield from self._of_function(thing)
        elif isinstance(thing, MethodType):
            yield from (thing.__self__, thing.__func__)
        elif isinstance(thing, partial):
            yield from (thing.func, *thing.args, *thing.keywords.values())
        elif isinstance(thing, Mapping):
            yield from list(thing.values())
        elif isinstance(thing, list | tuple | set | frozenset | deque):
            yield from list(thing)
        elif isinstance(thing, ref):
            yield thing()
        elif isinstance(thing, BuiltinMethodType):  # such as that of a list
            yield thing.__self__
        elif isinstance(thing, _lru_cache_wrapper):
            yield thing.__wrapped__
        elif isinstance(thing, nn.Module) or _home(type(thing)) not in _PLAIN:
            yield from self._of_object(thing, held)

    def _of_object(self, thing: object, held: bool) -> Iterator[object]:
        whole = not held or _home(type(thing)) in ("operators", "pnp_recon")
        for name, value in list(getattr(thing, "__dict__", {}).items()):
            if whole or name == "_modules" or name in self.known:
                yield value
        for kind in type(thing).__mro__:
            for name, value in list(vars(kind).items()):
                if name not in self.known:
                    continue
                if isinstance(value, property):
                    yield value.fget
                elif isinstance(value, staticmethod | classmethod):
                    yield value.__func__
                elif isinstance(value, cached_property | partialmethod):
                    yield from vars(value).values()
                elif name in getattr(kind, "__slots__", ()):
                    yield getattr(thing, name, None)
                else:  # a method, or what all objects of the class share
                    yield value

    def _of_function(self, function: FunctionType) -> Iterator[object]:
        yield from (function.__defaults__ or ())
        yield from (function.__kwdefaults__ or {}).values()
        yield from list(vars(function).values())  # what a decorator leaves there
        for cell in function.__closure__ or ():
            try:
                yield cell.cell_contents
            except ValueError:  # empty still
                continue
        if _home(function) not in _LIBRARIES:
            yield from self._named(function.__code__, function.__globals__)

    def _named(self, code: CodeType, names: dict[str, Any]) -> Iterator[object]:
        """Globals that code loads, and what it takes from Python modules among them."""
        self.names.update(code.co_names)
        inside: Any = None
        for line in dis.get_instructions(code):
            if isinstance(line.argval, CodeType):
                yield from self._named(line.argval, names)
            if line.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
                inside = names.get(line.argval)
                yield inside
            elif line.opname in ("LOAD_ATTR", "LOAD_METHOD") and isinstance(inside, ModuleType):
                known = inside.__name__.partition(".")[0] in _LIBRARIES
                inside = None if known else vars(inside).get(line.argval)
                yield inside
            elif line.opname not in ("PRECALL", "CACHE", "PUSH_NULL"):
                inside = None


def _of_numbers(thing: object) -> bool:
    """Is it a container of nothing but numbers? Most data are, and there may be a lot of them."""
    kind = type(thing)
    if kind is dict:
        return all(type(value) in _NUMBER_TYPES for value in thing.values())  # type: ignore[attr-defined]
    return kind in _CONTAINERS and all(type(value) in _NUMBER_TYPES for value in thing)  # type: ignore[attr-defined]


def _home(thing: Any) -> str:
    """The package that a function or class is of."""
    return str(thing.__module__).partition(".")[0]

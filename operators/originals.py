"""What torch was when this package was imported, so that what somebody puts in its place is seen.

Names can be borrowed: `functools.wraps` copies them, objects and partial functions have none. So
what stands at a name of torch now is compared with what stood there at first. What was replaced
even before is known by the module in which its code runs.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from types import FunctionType, MethodType, ModuleType
from typing import Any

import torch
from torch import nn

# Whose functions torch is made of.
OWN = {"torch", "typing_extensions", *sys.stdlib_module_names} - {"__main__"}
# What torch's own compiler replaces, and what only prints.
_SPARED = ("manual_seed", "Storage", "__init__", "__setstate__", "__doc__")
_PRINTING = ("__repr__", "__str__", "__format__", "extra_repr", "_get_name", "__dir__")
# They have names of their own for what they call.
_LAYERS = tuple(held for name, held in sys.modules.items() if name.startswith("torch.nn.modules."))
_HOMES = (
    *(torch, nn, nn.functional, torch.fft, torch.linalg, torch.special, torch.autograd),
    *(torch.func, torch.autograd.Function, torch.Tensor, nn.Parameter, nn.Buffer, *_LAYERS),
    *(kind for kind in vars(nn).values() if isinstance(kind, type) and issubclass(kind, nn.Module)),
)


@dataclass(frozen=True)
class Recorded:
    """What torch is made of at one time.

    Attributes:
        held: what each of its modules and classes has, by name.
        strange: what of it is not torch's, by name; or empty.
    """

    held: tuple[tuple[Any, Mapping[str, Any]], ...]
    strange: str


def record() -> Recorded:
    """What torch is made of now."""
    held = tuple((home, dict(vars(home))) for home in _HOMES)
    found = (
        _place(home, name)
        for home, values in held
        for name, value in values.items()
        if name not in _PRINTING and not _of_torch(value)
    )
    return Recorded(held, next(found, ""))


def replaced() -> str:
    """What of torch is another than at first, by name; or empty. Names that are new are not."""
    for home, before in KNOWN.held:
        now = vars(home)
        for name in before.keys() | now.keys():
            if now.get(name) is before.get(name) or name in (*_SPARED, *_PRINTING):
                continue
            first = before[name] if name in before else _inherited(home, name)
            known = first is not None and now.get(name) is not first
            if known and (_computes(now.get(name)) or _computes(first)):
                return _place(home, name)
    return KNOWN.strange


def code_home(thing: Any) -> str:
    """The package in which the code of a function or method runs, whatever it says of itself.

    What torch and the standard library put around it (`torch.no_grad`, `property`) is taken off.
    """
    while (inner := _inside(thing)) is not None:
        thing = inner
    if isinstance(thing, FunctionType):
        return str(thing.__globals__.get("__name__") or "").partition(".")[0]
    kind = thing if isinstance(thing, type) else type(thing)
    return kind.__module__.partition(".")[0]


def _inside(thing: Any) -> Any:
    """What a decoration of torch or of the standard library is around, or None."""
    if isinstance(thing, type):
        return None
    if isinstance(thing, FunctionType):
        own = str(thing.__globals__.get("__name__")).partition(".")[0] in OWN
        return getattr(thing, "__wrapped__", None) if own else None
    if isinstance(thing, property):
        return thing.fget
    if isinstance(thing, staticmethod | classmethod | MethodType):
        return thing.__func__
    if type(thing).__module__ == "functools":
        return getattr(thing, "func", None) or getattr(thing, "__wrapped__", None)
    return None


def _computes(value: object) -> bool:
    """May it take part in what is computed? Flags and texts of torch change by themselves."""
    return callable(value) or isinstance(value, ModuleType) or hasattr(type(value), "__get__")


def _inherited(home: Any, name: str) -> Any:
    bases = home.__mro__[1:] if isinstance(home, type) else ()
    return next((vars(base)[name] for base in bases if name in vars(base)), None)


def _of_torch(value: object) -> bool:
    computes = callable(value) or isinstance(value, staticmethod | classmethod | property)
    partly = isinstance(value, functools.partial)  # torch has none at these places
    return not computes or (not partly and code_home(value) in {*OWN, "pybind11_builtins"})


def _place(home: Any, name: str) -> str:
    if isinstance(home, type):
        return f"{home.__module__}.{home.__qualname__}.{name}"
    return f"{home.__name__}.{name}"


KNOWN = record()

"""What ran, as a hash: the content of tensors and modules, their mode, the numbers beside them.

A proof is about certain weights, in a certain mode, with certain numbers. Its fingerprint is taken
when the proof is made, and compared when it is used: version counters would not do, since
`tensor.data.mul_(2)` does not count as a change. Values are hashed in float64, so that a precision
that holds them exactly, or another device, changes nothing.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cached_property
from inspect import getattr_static
from types import FunctionType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from operators.base import LinearOperator
from operators.originals import code_home
from operators.reach import reached

# What writes methods into classes that ask for it.
_TYPING = ("typing", "abc", "dataclasses", "functools")
_METHODS = (staticmethod, classmethod, property, cached_property)
_OURS = ("pnp_recon", "operators")
_PLAIN = (bool, int, float, complex, str, bytes, type(None))
# What torch keeps at a module for whoever wants to look at, or change, what it computes.
_HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
)


def fingerprint(thing: Any) -> str:
    """A hash of the content of tensors, modules, operators, dataclasses and containers of them.

    Anything else counts by its type, functions by their names, and by the modules that they come
    by (`operators.reach`): what they do besides cannot be hashed.
    """
    digest = hashlib.blake2b(digest_size=16)
    _add(digest, thing, set())
    return digest.hexdigest()


def _add(digest: Any, thing: Any, seen: set[int]) -> None:
    if isinstance(thing, _PLAIN):
        digest.update(repr(thing).encode())
        return
    if isinstance(thing, Tensor):
        _add_tensor(digest, thing)
        return
    if isinstance(thing, np.ndarray | np.generic) and not thing.dtype.hasobject:
        digest.update(f"{thing.shape} {thing.dtype}".encode())
        digest.update(np.ascontiguousarray(thing).tobytes())
        return
    if id(thing) in seen:  # an object that holds itself, or that two others share
        return
    seen.add(id(thing))
    digest.update(_type(thing).encode())
    if isinstance(thing, LinearOperator):
        digest.update(thing.fingerprint().encode())
    elif isinstance(thing, nn.Module):
        _add_module(digest, thing, seen)
    elif is_dataclass(thing) and not isinstance(thing, type):
        digest.update(repr(methods_put(thing)).encode())
        for field in fields(thing):
            digest.update(field.name.encode())
            _add(digest, getattr(thing, field.name), seen)
    elif isinstance(thing, Mapping):
        for key, value in thing.items():
            digest.update(repr(key).encode())
            _add(digest, value, seen)
    elif isinstance(thing, list | tuple):
        for value in thing:
            _add(digest, value, seen)
    else:
        digest.update(getattr(thing, "__qualname__", "").encode())
        for module in reached(thing):
            _add(digest, module, seen)


def _add_module(digest: Any, module: nn.Module, seen: set[int]) -> None:
    digest.update(b"train" if module.training else b"eval")
    digest.update(repr((replaced(module), foreign(type(module)), everywhere())).encode())
    for name in _HOOKS:
        for hook in getattr(module, name).values():
            digest.update(f"{name} {getattr(hook, '__qualname__', type(hook))}".encode())
    own = {**module._parameters, **module._buffers, **module._modules}
    for name, value in [*own.items(), *public(module)]:
        digest.update(name.encode())
        _add(digest, value, seen)


def public(module: nn.Module) -> list[tuple[str, Any]]:
    """The attributes that somebody set at a module, besides what torch keeps there, by name."""
    found = vars(module).items()
    return sorted((name, value) for name, value in found if not name.startswith("_"))


def replaced(module: nn.Module) -> list[str]:
    """Attributes of the instance that are called instead of those of its class, by name."""
    kind = type(module)
    return sorted(name for name, f in vars(module).items() if callable(f) and hasattr(kind, name))


def foreign(kind: type) -> list[str]:
    """Methods of a class that another package has put there, by name."""
    found = []
    for base in kind.__mro__:
        home = base.__module__.partition(".")[0]
        if base is nn.Module or home in sys.stdlib_module_names:
            break
        for name, f in vars(base).items():
            if isinstance(f, type) or not (callable(f) or isinstance(f, _METHODS)):
                continue
            given = code_home(f)
            # What was compiled from a string has no module; this package compiles none.
            if given not in (home, *_TYPING, *([] if home in _OURS else [""])):
                found.append(name)
    return sorted(found)


def methods_put(thing: object) -> list[str]:
    """Methods of an object that are not of the package of its class, by name."""
    kind, methods = type(thing), FunctionType | staticmethod | classmethod
    held = getattr(thing, "__dict__", {})
    own = [name for name in held if isinstance(getattr_static(kind, name, None), methods)]
    return [*own, *foreign(kind)]


def everywhere() -> list[str]:
    """Hooks that torch calls around every module, by name."""
    held = torch.nn.modules.module
    hooks = (*held._global_forward_hooks.values(), *held._global_forward_pre_hooks.values())
    named = (hook if hasattr(hook, "__qualname__") else type(hook) for hook in hooks)
    return [f"{one.__module__}.{one.__qualname__}" for one in named]


def _add_tensor(digest: Any, tensor: Tensor) -> None:
    values = tensor.detach()
    if values.is_floating_point():
        values = values.double()
    values = values.cpu().contiguous()
    digest.update(f"{tuple(values.shape)} {values.dtype}".encode())
    digest.update(values.reshape(-1).view(torch.uint8).numpy())


def _type(thing: Any) -> str:
    kind = type(thing)
    return f"{kind.__module__}.{kind.__qualname__}"

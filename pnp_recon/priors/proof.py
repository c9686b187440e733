"""Whether what is known of a denoiser's map is proven by this package, or somebody's word.

A function proves itself if its class is one of this package and has `prove`, which finds the
constant from its weights as they are. Everything else has the constant that is declared for it.
"""

from __future__ import annotations

import sys
from typing import Any, Protocol, runtime_checkable

import torch
from torch import nn

from operators.reach import reached
from pnp_recon.guarantees import Guarantee
from pnp_recon.priors.fingerprints import everywhere, foreign, methods_put, replaced

NARROW = (torch.float16, torch.bfloat16)
HALF = (
    "its weights are in {dtype}, in which every product is rounded to a few digits; the theorem is "
    "about exact arithmetic, and no bound of the rounded map is known"
)
CHANGED = (
    "its weights, or how it computes, changed after its constant was declared; declare it anew for "
    "what is there now"
)
TRAINING = (
    "its {part} is in training mode, in which it goes by chance or by the other pictures of the "
    "batch; call eval() of what was given"
)
# Names of classes, whoever wrote them, whose map is another one in training.
UNSTEADY = ("Dropout", "DropPath", "BatchNorm", "RReLU")


@runtime_checkable
class SelfProving(Protocol):
    """A map that knows why its constant holds."""

    def prove(self) -> Guarantee:
        """What is proven of the map as it is now.

        Raises:
            ValueError: nothing is, and why.
        """
        ...


def proves_itself(function: Any) -> bool:
    """Has the class of the function, which is one of this package, a proof?"""
    kind = type(function)
    return (is_ours(kind) or _parametrized(function)) and isinstance(function, SelfProving)


def is_ours(kind: type) -> bool:
    """Is it the class of this package that its name says? Names can be borrowed."""
    held: Any = sys.modules.get(kind.__module__)
    for name in kind.__qualname__.split("."):
        held = getattr(held, name, None)
    return kind.__module__.startswith("pnp_recon.") and held is kind


def altered(module: nn.Module) -> str | None:
    """What was hung onto a module that is no part of its source, in words, or None.

    Hooks, maps that were replaced in an instance, parts of classes from elsewhere: a proof that
    looks at weights does not see them.
    """
    for name, part in module.named_modules():
        if (found := changed(part)) is not None:
            return f"{name or 'the whole'} {found}"
    return None


def changed(part: nn.Module) -> str | None:
    """What was hung onto one module, whatever its parts, in words, or None."""
    kind = type(part)
    torch_own = f"{kind.__module__}.".startswith("torch.nn.")
    if not (torch_own or is_ours(kind)):
        return f"is a {kind.__module__}.{kind.__qualname__}"
    if part._forward_hooks or part._forward_pre_hooks:
        return "has a forward hook"
    if hooks := everywhere():
        return f"has {hooks[0]} around it, a hook that torch calls around every module"
    if names := [*replaced(part), *foreign(kind)]:
        return f"has a {names[0]} of its own"
    return None


def tampered(thing: object) -> list[str]:
    """Methods of an object of this package that somebody put there, by name."""
    return methods_put(thing) if is_ours(type(thing)) else []


def narrow(module: nn.Module) -> torch.dtype | None:
    """The precision of the first weights that are in half precision, or None."""
    for part in _parts(module):
        for tensor in (*part.parameters(False), *part.buffers(False)):
            if tensor.dtype in NARROW:
                return tensor.dtype
    return None


def unsteady(thing: object) -> str | None:
    """The class of a part whose map is no fixed one while it is in training mode, or None.

    Of a module, of a function that comes by one, of whatever holds either.
    """
    for part in _parts(thing):
        name = type(part).__name__
        if part.training and any(word in name for word in UNSTEADY) and getattr(part, "p", 1) != 0:
            return name
    return None


def _parts(thing: object) -> list[nn.Module]:
    """The modules of a thing; what proves itself comes by no others than its own."""
    if isinstance(thing, nn.Module) and proves_itself(getattr(thing, "function", thing)):
        return list(thing.modules())
    return reached(thing)


def proven_now(function: Any) -> Guarantee:
    """What a function that proves itself proves now.

    Raises:
        ValueError: nothing, and why.
    """
    if isinstance(function, nn.Module) and (what := altered(function)) is not None:
        raise ValueError(f"it is not as the package defines it: {what}")
    found: Guarantee = function.prove()
    return found


def _parametrized(function: Any) -> bool:
    """Torch gives a module with parametrisations a class of its own, derived from the first."""
    bases = type(function).__mro__
    return (
        bases[0].__module__ == "torch.nn.utils.parametrize"
        and len(bases) > 1
        and bases[1].__module__.startswith("pnp_recon.")
    )

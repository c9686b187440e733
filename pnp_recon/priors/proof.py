"""Whether what is known of a denoiser's map is proven by this package, or somebody's word.

A function proves itself if its class is one of this package and has `prove`, which finds the
constant from its weights as they are. Everything else has the constant that is declared for it.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import torch
from torch import nn

from pnp_recon.guarantees import Guarantee
from pnp_recon.priors.fingerprints import public

# Modules of these packages compute what their source says, if nothing was hung onto them.
_OURS = ("pnp_recon.", "torch.nn.")
NARROW = (torch.float16, torch.bfloat16)
HALF = (
    "its weights are in {dtype}, in which every product is rounded to a few digits; the theorem is "
    "about exact arithmetic, and no bound of the rounded map is known"
)
CHANGED = (
    "its weights, or how it computes, changed after its constant was declared; declare it anew for "
    "what is there now"
)


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
    ours = type(function).__module__.startswith("pnp_recon.") or _parametrized(function)
    return ours and isinstance(function, SelfProving)


def altered(module: nn.Module) -> str | None:
    """What was hung onto a module that is no part of its source, in words, or None.

    Hooks, maps that were replaced in an instance, parts of classes from elsewhere: a proof that
    looks at weights does not see them.
    """
    for name, part in module.named_modules():
        where = name or "the whole"
        kind = type(part)
        if not f"{kind.__module__}.".startswith(_OURS):
            return f"{where} is a {kind.__module__}.{kind.__qualname__}"
        if part._forward_hooks or part._forward_pre_hooks:
            return f"{where} has a forward hook"
        for attribute, value in public(part):
            if callable(getattr(kind, attribute, None)) and callable(value):
                return f"{where} has a {attribute} of its own"
        if "__call__" in vars(part) or "_call_impl" in vars(part):
            return f"{where} has a call of its own"
    return None


def narrow(module: nn.Module) -> torch.dtype | None:
    """The precision of the first weights that are in half precision, or None."""
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.dtype in NARROW:
            return tensor.dtype
    return None


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

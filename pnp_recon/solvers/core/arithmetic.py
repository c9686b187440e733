"""The arithmetic that a certificate is about: what the tensors' own precision gives, no less.

A caller's autocast would run a float32 denoiser in bfloat16, and TensorFloat-32 rounds the factors
of products to ten bits. Theorems hold for exact arithmetic, and the laws that a run checks allow
for the rounding of the precision that its tensors have. Nor are theorems about operations that
somebody puts in the place of torch's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import _get_current_function_mode_stack
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

from operators import originals

# Where torch keeps how products in float32 are rounded, since 2.9.
_PLACES = ("cuda.matmul", "cudnn.conv", "cudnn.rnn", "mkldnn.matmul", "mkldnn.conv", "mkldnn.rnn")


@contextmanager
def full_precision() -> Iterator[None]:
    """Runs a block without autocast and without rounding of factors, and leaves both as found."""
    kinds = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    places = _places()
    before = [place.fp32_precision for place in places]
    legacy = None if places else _legacy()
    casts = [torch.autocast(kind, enabled=False) for kind in kinds]
    try:
        for place in places:
            place.fp32_precision = "ieee"
        if legacy is not None:
            _set_legacy(("highest", False))
        for cast in casts:
            cast.__enter__()
        yield
    finally:
        for cast in reversed(casts):
            cast.__exit__(None, None, None)
        for place, value in zip(places, before, strict=True):
            place.fp32_precision = value
        if legacy is not None:
            _set_legacy(legacy)


def held_to_it() -> None:
    """Takes back what a callback has set inside a block of `full_precision`, which ends as ever."""
    for place in _places():
        place.fp32_precision = "ieee"
    if not _places():
        _set_legacy(("highest", False))
    for kind in ("cpu", "cuda"):
        torch.set_autocast_enabled(kind, False)


def intercepted() -> str:
    """What stands where torch's own operations are expected, by name; or empty.

    Modes through which every operation goes, and what of torch was replaced (`originals`).
    """
    modes = (*_get_current_function_mode_stack(), *_get_current_dispatch_mode_stack())
    found = [f"{type(m).__module__}.{type(m).__qualname__}" for m in modes]
    strange = (name for name in found if name.partition(".")[0] not in originals.OWN)
    if name := next(strange, ""):
        return name
    place = originals.replaced()
    return f"what somebody put in the place of {place}" if place else ""


def _places() -> list[Any]:
    found = []
    for path in _PLACES:
        place: Any = torch.backends
        for name in path.split("."):
            place = getattr(place, name, None)
        if hasattr(place, "fp32_precision"):
            found.append(place)
    return found


def _legacy() -> tuple[str, bool]:
    """Matrix products and convolutions before 2.9."""
    return torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32


def _set_legacy(values: tuple[str, bool]) -> None:
    torch.set_float32_matmul_precision(values[0])
    torch.backends.cudnn.allow_tf32 = values[1]

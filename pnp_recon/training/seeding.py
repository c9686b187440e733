"""First weights that follow from a seed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from pnp_recon.errors import InputError


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Weights that are drawn inside follow from the seed; what cannot be built is an InputError."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            yield
        except (ValueError, RuntimeError) as error:
            raise InputError(f"the network cannot be built: {error}") from error

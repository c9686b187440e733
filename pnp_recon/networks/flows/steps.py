"""Step sizes h₁ … h_K of a flow: given, a share of the proven range, free, or on a simplex.

Each is a module whose `values` are the steps; what is learned is inside. `settle` is called after
an optimiser's step and puts constraints right again.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pnp_recon.errors import InputError
from pnp_recon.proximal.simplex import project_capped_simplex, project_simplex

# A share of the proven range stays below it, so that every step is averaged.
LARGEST_SHARE = 0.99


class Steps(nn.Module, ABC):
    """K step sizes."""

    count: int

    @abstractmethod
    def values(self, limits: Tensor) -> Tensor:
        """The steps (K,), given the largest proven ones (K,), infinite where there is none."""

    def settle(self) -> None:
        """Projects what an optimiser has moved back onto its constraint."""
        return


class FixedSteps(Steps):
    """Given steps, kept as they are."""

    sizes: Tensor

    def __init__(self, sizes: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("sizes", torch.tensor(list(sizes), dtype=torch.float64))
        self.count = len(sizes)

    def values(self, limits: Tensor) -> Tensor:
        return self.sizes.to(limits.dtype)


class ShareSteps(Steps):
    """hₖ = sₖ·limitₖ with a learned share 0 < sₖ < `largest` of what is proven for the weights."""

    def __init__(self, count: int, share: float = 0.9, largest: float = LARGEST_SHARE) -> None:
        super().__init__()
        part = share / largest
        if not 0 < part < 1 or not 0 < largest < 1:
            raise InputError(f"share is {share}; expected a number between 0 and {largest} < 1")
        self.logits = nn.Parameter(torch.full((count,), math.log(part / (1 - part))))
        self.count, self.largest = count, largest

    def shares(self) -> Tensor:
        return self.largest * torch.sigmoid(self.logits)

    def values(self, limits: Tensor) -> Tensor:
        return _shared(self.shares(), limits)


class LearnedSteps(Steps):
    """Free steps, of either sign (the ODENet of Benning et al. 2019)."""

    def __init__(self, count: int, first: float = 1.0) -> None:
        super().__init__()
        self.sizes = nn.Parameter(torch.full((count,), float(first)))
        self.count = count

    def values(self, limits: Tensor) -> Tensor:
        return self.sizes.to(limits.dtype)


class SimplexSteps(LearnedSteps):
    """hₖ ≥ 0 with Σ hₖ = T; an optimiser's step is followed by the projection (`settle`).

    A step that the projection has set to zero is the identity, and such a layer can be left out
    exactly (`Flow.pruned`). Source: Benning et al. 2019, section 4.
    """

    def __init__(self, count: int, total: float = 1.0) -> None:
        if total <= 0:
            raise InputError(f"the steps sum to {total}; expected a number above 0")
        super().__init__(count, total / count)
        self.total = float(total)

    @torch.no_grad()
    def settle(self) -> None:
        self.sizes.copy_(project_simplex(self.sizes, self.total))


class SimplexShares(Steps):
    """hₖ = sₖ·limitₖ with shares 0 ≤ sₖ ≤ `largest` of what is proven, Σ sₖ = `total`.

    As `SimplexSteps`, and proven as `ShareSteps`: whatever is learned, every step that is left is
    averaged. A share that the projection has set to zero is the identity (`Flow.pruned`). With K
    steps at least `total`/`largest` are left.

    Raises:
        InputError: `total` does not fit into K shares.
    """

    def __init__(self, count: int, total: float, largest: float = LARGEST_SHARE) -> None:
        super().__init__()
        if not 0 < total <= count * largest or not 0 < largest < 1:
            raise InputError(
                f"the shares of {count} steps sum to {total:g} and are at most {largest:g}; "
                f"expected a sum above 0, at most {count * largest:g}, and a largest one below 1"
            )
        self.shares = nn.Parameter(torch.full((count,), total / count))
        self.count, self.total, self.largest = count, float(total), largest

    def values(self, limits: Tensor) -> Tensor:
        return _shared(self.shares, limits)

    @torch.no_grad()
    def settle(self) -> None:
        self.shares.copy_(project_capped_simplex(self.shares, self.total, self.largest))


def _shared(shares: Tensor, limits: Tensor) -> Tensor:
    """Shares of limits that are there: a share of 0 would be the identity, whatever is learned."""
    if not bool(torch.isfinite(limits).all()):
        raise InputError("a share of an unlimited step is none; give the steps, or learn them")
    if not bool((limits > 0).all()):
        raise InputError(
            "a share of no step is the identity: this method keeps nothing nonexpansive, however "
            "small its steps (its radius of contractivity is 0); take another, or give the steps"
        )
    return shares.to(limits.dtype) * limits

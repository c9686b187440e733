"""What a prior is to those who run, report or compare one: its kind, its name, what is proven.

Denoisers, convex functionals, energies and reconstruction networks are priors alike. This module
knows none of them; it stands below all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

from pnp_recon.guarantees import Guarantee

PriorKind = Literal["denoiser", "functional", "energy", "network", "none"]


@dataclass(frozen=True)
class PriorRecord:
    """A prior as reports and tables describe it.

    Attributes:
        kind: see `Prior`; "none" for runs without one.
        name: what the prior is called.
        guarantee: what is proven of its map.
        parameters: its numbers (weights, levels).
        sha256: the hash of its weights, where it has any.
    """

    kind: PriorKind
    name: str
    guarantee: Guarantee
    parameters: Mapping[str, float] = field(default_factory=dict)
    sha256: str | None = None


@runtime_checkable
class Prior(Protocol):
    """What is known of pictures before they are measured.

    Attributes:
        kind: "denoiser": a map x, σ ↦ D_σ(x); "functional": convex, with a proximal map; "energy":
            differentiable; "network": reconstructs by itself.
        name: for reports.
        guarantee: what is proven of its map.
    """

    @property
    def kind(self) -> PriorKind: ...

    @property
    def name(self) -> str: ...

    @property
    def guarantee(self) -> Guarantee: ...

    def record(self) -> PriorRecord:
        """The prior as reports describe it."""
        ...

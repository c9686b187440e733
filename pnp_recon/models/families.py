"""The families of networks that models are made of, by the class that a card names. Loads nothing.

What a family can do is in `family`; no code elsewhere compares a network's name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pnp_recon.registry import Entry, Registry


@dataclass(frozen=True)
class FamilyEntry(Entry):
    """A family of networks; `home` is its `Family`.

    Attributes:
        kind: what its models are: denoisers, energies, or networks that reconstruct by themselves.
        certified: a card of it must hold a certificate.
    """

    kind: Literal["denoiser", "energy", "network"]
    certified: bool = False


FAMILIES: Registry[FamilyEntry] = Registry(
    "network family",
    [
        FamilyEntry("EulerNet", "pnp_recon.models.euler:FAMILY", "denoiser", certified=True),
        FamilyEntry("DnCNN", "pnp_recon.models.dncnn:FAMILY", "denoiser"),
        FamilyEntry("GradientStepNet", "pnp_recon.models.energies:GRADIENT_STEP", "energy"),
        FamilyEntry("RidgeNet", "pnp_recon.models.energies:RIDGE", "energy"),
        FamilyEntry("PatchFlowNet", "pnp_recon.models.energies:PATCH_FLOW", "energy"),
        FamilyEntry("CriticNet", "pnp_recon.models.energies:CRITIC", "energy"),
        FamilyEntry("UnrolledNetwork", "pnp_recon.models.unrolled:FAMILY", "network"),
    ],
)


def entry_of(network: object) -> FamilyEntry | None:
    """The family of a network, or of the nearest of its classes that has one."""
    names = (kind.__name__ for kind in type(network).__mro__)
    return next((FAMILIES[name] for name in names if name in FAMILIES), None)

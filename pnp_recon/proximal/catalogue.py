"""The regularisers that there are. Loads nothing.

Listings and imports derive from these entries; what is proven of one with its numbers is its
`guarantee`.
"""

from __future__ import annotations

from dataclasses import dataclass

from pnp_recon.registry import Entry, Registry

_MOREAU = "proximal map firmly nonexpansive (Moreau 1965)"


@dataclass(frozen=True)
class RegulariserEntry(Entry):
    """A functional with its proximal map.

    Attributes:
        theorem: what is proven about the proximal map, in one line.
    """

    theorem: str = _MOREAU


REGULARISERS: Registry[RegulariserEntry] = Registry(
    "regulariser",
    [
        RegulariserEntry("l1", "pnp_recon.proximal.simple:L1"),
        RegulariserEntry("ridge", "pnp_recon.proximal.simple:Ridge"),
        RegulariserEntry("elastic-net", "pnp_recon.proximal.simple:ElasticNet"),
        RegulariserEntry("box", "pnp_recon.proximal.simple:Box"),
        RegulariserEntry("l2-ball", "pnp_recon.proximal.simple:L2Ball"),
        RegulariserEntry("total-variation", "pnp_recon.proximal.total_variation:TotalVariation"),
        RegulariserEntry("wavelet-l1", "pnp_recon.proximal.wavelet:WaveletL1"),
    ],
)

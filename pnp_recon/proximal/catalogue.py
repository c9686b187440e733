"""The regularisers that there are. Loads nothing.

Listings and imports derive from these entries; what is proven of one with its numbers is its
`guarantee`.
"""

from __future__ import annotations

from dataclasses import dataclass

from pnp_recon.registry import Entry, Registry

_HERE = "pnp_recon.proximal"
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
        RegulariserEntry("l1", f"{_HERE}.simple:L1"),
        RegulariserEntry("ridge", f"{_HERE}.simple:Ridge"),
        RegulariserEntry("elastic-net", f"{_HERE}.simple:ElasticNet"),
        RegulariserEntry("box", f"{_HERE}.simple:Box"),
        RegulariserEntry("l2-ball", f"{_HERE}.simple:L2Ball"),
        RegulariserEntry("total-variation", f"{_HERE}.total_variation:TotalVariation"),
        RegulariserEntry("wavelet-l1", f"{_HERE}.wavelet:WaveletL1"),
    ],
)

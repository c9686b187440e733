"""The classical denoisers that there are, by name. Loads nothing.

Shipped models have names of their own, in `models.store`.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from pnp_recon.contracts import PriorKind
from pnp_recon.registry import Entry, Registry

_VARIATIONAL = "pnp_recon.priors.classical.variational"
_FILTERS = "pnp_recon.priors.classical.filters"


@dataclass(frozen=True)
class ClassicalEntry(Entry):
    """A classical denoiser; `home` is the class of its map, whose fields are its parameters.

    Attributes:
        words: what it is, with the source.
        needs: the library that it needs besides those of the package; "" for none.
        kind: what kind of prior it is.
    """

    words: str
    needs: str = ""
    kind: PriorKind = "denoiser"

    def missing(self) -> str:
        """Why it cannot run here and what to do; "" where it can."""
        if not self.needs or find_spec(self.needs) is not None:
            return ""
        return (
            f"the package {self.needs} is not installed; install it with: "
            "pip install 'pnp-recon[bench]'"
        )


CLASSICAL: Registry[ClassicalEntry] = Registry(
    "classical denoiser",
    [
        ClassicalEntry(
            "tv",
            f"{_VARIATIONAL}:TV",
            "Total variation (Rudin, Osher & Fatemi 1992), vectorial in colour (Bresson & Chan "
            "2008)",
        ),
        ClassicalEntry(
            "wavelet",
            f"{_VARIATIONAL}:Wavelet",
            "Soft thresholding of orthogonal wavelet coefficients (Donoho 1995), averaged over "
            "shifts",
        ),
        ClassicalEntry(
            "nlm",
            f"{_FILTERS}:NLM",
            "Non-local means (Buades, Coll & Morel 2005), scikit-image's fast version",
        ),
        ClassicalEntry(
            "bilateral",
            f"{_FILTERS}:Bilateral",
            "Bilateral filter (Tomasi & Manduchi 1998), scikit-image's, in a window of ±2 "
            "`spatial`",
        ),
        ClassicalEntry(
            "median",
            f"{_FILTERS}:Median",
            "Median over a square of `size`² pixels, each channel by itself; of size 1 the "
            "identity",
        ),
        ClassicalEntry(
            "bm3d",
            f"{_FILTERS}:BM3D",
            "Block matching and 3D filtering (Dabov, Foi, Katkovnik & Egiazarian 2007)",
            needs="bm3d",
        ),
    ],
)

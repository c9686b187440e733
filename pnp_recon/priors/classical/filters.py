"""Classical denoisers without a theorem: non-local means, bilateral, median, BM3D."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor

from pnp_recon import guarantees
from pnp_recon.guarantees import Guarantee
from pnp_recon.priors.classical.base import ClassicalMap, on_pictures


@dataclass(frozen=True)
class NLM(ClassicalMap):
    """Non-local means (Buades, Coll & Morel 2005), scikit-image's fast version.

    Patches of `patch`² pixels within ±`distance` pixels, compared at h·sigma.
    """

    name: ClassVar[str] = "nlm"
    guarantee: ClassVar[Guarantee] = guarantees.none(
        "non-local means: the weights depend on the picture; no Lipschitz constant is proven"
    )
    h: float = 0.7
    patch: int = 5
    distance: int = 7

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        """See the class; x (B, C, H, W)."""
        from skimage.restoration import denoise_nl_means

        if sigma <= 0:
            return x.clone()

        def run(picture: np.ndarray) -> np.ndarray:
            return denoise_nl_means(
                picture,
                patch_size=int(self.patch),
                patch_distance=int(self.distance),
                h=self.h * sigma,
                sigma=sigma,
                fast_mode=True,
                channel_axis=None if picture.ndim == 2 else -1,
            )

        return on_pictures(run, x)


@dataclass(frozen=True)
class Bilateral(ClassicalMap):
    """Bilateral filter (Tomasi & Manduchi 1998), scikit-image's, in a window of ±2 `spatial`.

    Weights fall with the distance (`spatial`, pixels) and the difference (`colour`·sigma).
    """

    name: ClassVar[str] = "bilateral"
    guarantee: ClassVar[Guarantee] = guarantees.none(
        "bilateral filter: the weights depend on the picture; no Lipschitz constant is proven"
    )
    colour: float = 1.5
    spatial: float = 2.0

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        """See the class; x (B, C, H, W)."""
        from skimage.restoration import denoise_bilateral

        if sigma <= 0:
            return x.clone()

        def run(picture: np.ndarray) -> np.ndarray:
            low = picture.min()
            if not np.isfinite(picture).all() or low == picture.max():
                return picture  # its table of differences can hold neither
            # The filter commutes with a shift of the grey scale, but wants no negative values.
            return low + denoise_bilateral(
                picture - low,
                win_size=2 * int(np.ceil(2 * self.spatial)) + 1,
                sigma_color=self.colour * sigma,
                sigma_spatial=self.spatial,
                mode="symmetric",
                channel_axis=None if picture.ndim == 2 else -1,
            )

        return on_pictures(run, x)


@dataclass(frozen=True)
class Median(ClassicalMap):
    """Median over a square of `size`² pixels, each channel by itself; of size 1 the identity."""

    name: ClassVar[str] = "median"
    guarantee: ClassVar[Guarantee] = guarantees.none(
        "median filter: one pixel can be the median of all size² windows that hold it, so that "
        "distances can grow size-fold"
    )
    size: int = 3

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        """See the class; x (B, C, H, W)."""
        from scipy.ndimage import median_filter

        window = (int(self.size), int(self.size), 1)

        def run(picture: np.ndarray) -> np.ndarray:
            return median_filter(picture, window[: picture.ndim], mode="reflect")

        return on_pictures(run, x)


@dataclass(frozen=True)
class BM3D(ClassicalMap):
    """Block matching and 3D filtering (Dabov, Foi, Katkovnik & Egiazarian 2007).

    The package `bm3d` (Mäkinen, Azzari & Foi 2020), whose licence is for non-commercial use; in
    colour its opponent colour space. It is run at level·sigma.
    """

    name: ClassVar[str] = "bm3d"
    guarantee: ClassVar[Guarantee] = guarantees.none(
        "BM3D: which blocks are put together depends on the picture, and the map jumps where that "
        "changes"
    )
    level: float = 1.0

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        """See the class; x (B, 1 or 3, H, W)."""
        import bm3d

        if sigma <= 0:
            return x.clone()

        profile = bm3d.BM3DProfile()
        profile.num_threads = 1  # with more, sums are taken in another order at every run

        def run(picture: np.ndarray) -> np.ndarray:
            denoise = bm3d.bm3d if picture.ndim == 2 else bm3d.bm3d_rgb
            return denoise(picture, self.level * sigma, profile)

        return on_pictures(run, x)

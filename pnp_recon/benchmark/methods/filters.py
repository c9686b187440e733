"""Classical denoisers without a theorem: non-local means, bilateral, median, BM3D."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from pnp_recon import guarantees
from pnp_recon.benchmark.methods.base import Method, on_pictures
from pnp_recon.errors import InputError

BM3D_MISSING = "the package bm3d is not installed; install it with: pip install 'pnp-recon[bench]'"


class NLM(Method):
    """Non-local means (Buades, Coll & Morel 2005), scikit-image's fast version.

    Patches of `patch`² pixels within ±`distance` pixels, compared at h·sigma.
    """

    name = "nlm"
    guarantee = guarantees.none(
        "non-local means: the weights depend on the picture; no Lipschitz constant is proven"
    )
    tuned_by: Mapping[str, Sequence[float]] = {
        "h": (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
        "patch": (3, 5, 7),
        "distance": (7, 10),
    }
    defaults: Mapping[str, float] = {"h": 0.7, "patch": 5, "distance": 7}

    def denoise(
        self,
        x: Tensor,
        sigma: float,
        *args: Any,
        h: float = 0.7,
        patch: float = 5,
        distance: float = 7,
        **parameters: Any,
    ) -> Tensor:
        """See the class; x (B, C, H, W)."""
        from skimage.restoration import denoise_nl_means

        if sigma <= 0:
            return x.clone()

        def run(picture: np.ndarray) -> np.ndarray:
            return denoise_nl_means(
                picture,
                patch_size=int(patch),
                patch_distance=int(distance),
                h=h * sigma,
                sigma=sigma,
                fast_mode=True,
                channel_axis=None if picture.ndim == 2 else -1,
            )

        return on_pictures(run, x)


class Bilateral(Method):
    """Bilateral filter (Tomasi & Manduchi 1998), scikit-image's, in a window of ±2 `spatial`.

    Weights fall with the distance (`spatial`, pixels) and the difference (`colour`·sigma).
    """

    name = "bilateral"
    guarantee = guarantees.none(
        "bilateral filter: the weights depend on the picture; no Lipschitz constant is proven"
    )
    tuned_by: Mapping[str, Sequence[float]] = {
        "colour": (1.0, 1.25, 1.5, 2.0, 2.5, 3.0),
        "spatial": (1.0, 1.5, 2.0, 3.0),
    }
    defaults: Mapping[str, float] = {"colour": 1.5, "spatial": 2.0}

    def denoise(
        self,
        x: Tensor,
        sigma: float,
        *args: Any,
        colour: float = 1.5,
        spatial: float = 2.0,
        **parameters: Any,
    ) -> Tensor:
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
                win_size=2 * int(np.ceil(2 * spatial)) + 1,
                sigma_color=colour * sigma,
                sigma_spatial=spatial,
                mode="symmetric",
                channel_axis=None if picture.ndim == 2 else -1,
            )

        return on_pictures(run, x)


class Median(Method):
    """Median over a square of `size`² pixels, each channel by itself; of size 1 the identity."""

    name = "median"
    guarantee = guarantees.none(
        "median filter: one pixel can be the median of all size² windows that hold it, so that "
        "distances can grow size-fold"
    )
    tuned_by: Mapping[str, Sequence[float]] = {"size": (1, 3, 5, 7)}
    defaults: Mapping[str, float] = {"size": 3}

    def denoise(
        self, x: Tensor, sigma: float, *args: Any, size: float = 3, **parameters: Any
    ) -> Tensor:
        """See the class; x (B, C, H, W)."""
        from scipy.ndimage import median_filter

        window = (int(size), int(size), 1)

        def run(picture: np.ndarray) -> np.ndarray:
            return median_filter(picture, window[: picture.ndim], mode="reflect")

        return on_pictures(run, x)


class BM3D(Method):
    """Block matching and 3D filtering (Dabov, Foi, Katkovnik & Egiazarian 2007).

    The package `bm3d` (Mäkinen, Azzari & Foi 2020), whose licence is for non-commercial use; in
    colour its opponent colour space. It is run at level·sigma.
    """

    name = "bm3d"
    guarantee = guarantees.none(
        "BM3D: which blocks are put together depends on the picture, and the map jumps where that "
        "changes"
    )
    tuned_by: Mapping[str, Sequence[float]] = {"level": (0.9, 0.95, 1.0, 1.05, 1.1)}
    defaults: Mapping[str, float] = {"level": 1.0}

    def __init__(self) -> None:
        try:
            import bm3d  # noqa: F401
        except ImportError as error:
            raise InputError(f"method bm3d: {BM3D_MISSING}") from error

    def denoise(
        self, x: Tensor, sigma: float, *args: Any, level: float = 1.0, **parameters: Any
    ) -> Tensor:
        """See the class; x (B, 1 or 3, H, W)."""
        import bm3d

        if sigma <= 0:
            return x.clone()

        profile = bm3d.BM3DProfile()
        profile.num_threads = 1  # with more, sums are taken in another order at every run

        def run(picture: np.ndarray) -> np.ndarray:
            denoise = bm3d.bm3d if picture.ndim == 2 else bm3d.bm3d_rgb
            return denoise(picture, level * sigma, profile)

        return on_pictures(run, x)

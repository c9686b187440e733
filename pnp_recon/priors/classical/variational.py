"""Classical denoisers with a theorem: proximal maps of total variation and of wavelet sparsity."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pnp_recon import guarantees
from pnp_recon.errors import InputError
from pnp_recon.guarantees import Guarantee
from pnp_recon.priors.classical.base import ClassicalMap
from pnp_recon.proximal import Regulariser, TotalVariation, WaveletL1
from pnp_recon.proximal.coupling import Coupling


@dataclass(frozen=True)
class TV(ClassicalMap):
    """Total variation (Rudin, Osher & Fatemi 1992), vectorial in colour (Bresson & Chan 2008).

    argmin_u ½‖u − x‖² + weight·sigma·TV(u), up to rounding and an error bounded by the duality gap.
    """

    name: ClassVar[str] = "tv"
    inexactness: ClassVar[float] = 2e-3
    MAX_ITER: ClassVar[int] = 20000
    guarantee: ClassVar[Guarantee] = guarantees.firm(
        "proximal map of total variation (Moreau 1965), computed up to rounding and an error "
        f"proven to be below {inexactness:g}·σ per pixel in the mean square"
    )
    weight: float = 0.8

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        """See the class; x (B, C, H, W).

        Raises:
            InputError: the error is larger than the guarantee says: x holds values that are not
                finite or out of all proportion to sigma.
        """
        if sigma <= 0 or self.weight <= 0:
            return x.clone()
        tolerance = self.inexactness * sigma * math.sqrt(x[0].numel())
        functional = TotalVariation(1.0, coupling(x.shape[1]), max_iter=self.MAX_ITER)
        point, error = functional.prox(x, self.weight * sigma, tol=tolerance)
        if not bool((error <= tolerance + rounding(x)).all()):
            raise InputError(
                f"total variation denoising reached an error of {float(error.max()):.2g} only, "
                f"expected {tolerance:.2g}; are the pictures in [0, 1] and finite?"
            )
        return point

    def regulariser(self, weight: float, channels: int) -> Regulariser:
        return TotalVariation(weight, coupling(channels), box=(0.0, 1.0))


@dataclass(frozen=True)
class Wavelet(ClassicalMap):
    """Soft thresholding of orthogonal wavelet coefficients (Donoho 1995), averaged over shifts.

    Mean over cyclic shifts S of Sᵀ prox S (cycle spinning, Coifman & Donoho 1995), prox being that
    of threshold·sigma·‖details‖₁. Each term is firmly nonexpansive, S being orthogonal. Colour is
    first turned to a grey and two opponent channels, which is orthogonal as well and gains a
    decibel; the `regulariser` does without shifts and turn.
    """

    name: ClassVar[str] = "wavelet"
    WAVELET: ClassVar[str] = "sym4"
    LEVELS: ClassVar[int] = 4
    # Diagonal shifts; all 4 × 4, or 16 of them, or other wavelets change 0.1 dB at most.
    SHIFTS: ClassVar[tuple[tuple[int, int], ...]] = tuple((k, k) for k in range(8))
    guarantee: ClassVar[Guarantee] = guarantees.convex_combination(
        [guarantees.isometric_lifting(guarantees.firm("soft threshold of wavelet coefficients"))]
        * len(SHIFTS),
        [1 / len(SHIFTS)] * len(SHIFTS),
    )
    threshold: float = 1.2
    differentiable: ClassVar[bool] = True

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        """See the class; x (B, C, H, W)."""
        if sigma <= 0 or self.threshold <= 0:
            return x.clone()
        functional = WaveletL1(1.0, self.WAVELET, self.LEVELS)
        turn = opponent(x) if x.shape[1] == 3 else None
        y = x if turn is None else torch.einsum("ij,bjhw->bihw", turn, x)
        out = torch.zeros_like(y)
        for down, right in self.SHIFTS:
            point, _ = functional.prox(y.roll((down, right), (-2, -1)), self.threshold * sigma)
            out = out + point.roll((-down, -right), (-2, -1))
        out = out / len(self.SHIFTS)
        return out if turn is None else torch.einsum("ji,bjhw->bihw", turn, out)

    def regulariser(self, weight: float, channels: int) -> Regulariser:
        return WaveletL1(weight, self.WAVELET, self.LEVELS)


def coupling(channels: int) -> Coupling:
    """How total variation couples the channels: they share their edges in colour."""
    return "vectorial" if channels == 3 else "isotropic"


def opponent(x: Tensor) -> Tensor:
    """The orthogonal matrix (3, 3) that takes RGB to grey, red − blue and green − the others."""
    rows = [[1.0, 1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 2.0, -1.0]]
    matrix = torch.tensor(rows, dtype=torch.float64)
    return (matrix / matrix.norm(dim=1, keepdim=True)).to(x)


def rounding(x: Tensor) -> float:
    """What the precision of x leaves open of a picture in [0, 1], Euclidean."""
    return torch.finfo(x.dtype).eps * math.sqrt(x[0].numel())

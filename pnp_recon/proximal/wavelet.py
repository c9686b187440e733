"""Sparsity under an orthogonal wavelet transform, for pictures of any size.

The filters are those of PyWavelets; the transform is written in torch, so that it runs where the
picture is, in its precision, and can be differentiated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import torch
from torch import Tensor

from pnp_recon.errors import InputError
from pnp_recon.proximal.base import (
    Regulariser,
    checked_step,
    checked_weight,
    no_error,
    soft_threshold,
)

# By how much the rows of a filter bank may miss being orthonormal. PyWavelets calls its truncated
# Meyer filter orthogonal, which it is to 1e-3.
ORTHONORMAL = 1e-9
CHOICES = "choose haar, db2 … db38, sym2 … sym20 or coif1 … coif17"


@dataclass(frozen=True)
class OrthogonalWavelets:
    """A two-dimensional wavelet transform T with TᵀT = TTᵀ = I on every picture size.

    Mallat 1989, with the filters wrapped around the picture (periodised), which keeps an
    orthonormal filter bank orthonormal on every even length (Mallat 2009, A Wavelet Tour, §7.5.1).
    The last sample of an odd length is left as it is: an orthogonal map and the identity side by
    side are orthogonal. It then sits between approximations and details, and takes part in the
    transform along the other axis only.

    The coefficients have the picture's shape: approximations, then samples left alone, in the
    upper left corner `coarse`, details around it.

    Attributes:
        wavelet: name of an orthogonal family of PyWavelets ("haar", "db2", "sym4", …).
        levels: at most so many; an axis stops when one approximation is left.
    """

    wavelet: str = "db2"
    levels: int = 4

    def __post_init__(self) -> None:
        if self.levels < 1:
            raise InputError(f"the wavelet transform has {self.levels} levels; expected at least 1")
        filters(self.wavelet)

    def forward(self, x: Tensor) -> Tensor:
        """T x of pictures (..., H, W)."""
        out = x
        for (rows, height), (columns, width) in self._plan(x):
            block = _split(out[..., :height, :width], columns, self.wavelet)
            block = _split(block.mT, rows, self.wavelet).mT
            out = _replaced(out, block)
        return out

    def inverse(self, coefficients: Tensor) -> Tensor:
        """Tᵀ = T⁻¹."""
        out = coefficients
        for (rows, height), (columns, width) in reversed(self._plan(coefficients)):
            block = _merge(out[..., :height, :width].mT, rows, self.wavelet).mT
            out = _replaced(out, _merge(block, columns, self.wavelet))
        return out

    def coarse(self, height: int, width: int) -> tuple[int, int]:
        """The size of the corner that holds no details."""
        rows, columns = (_axis(length, self.levels) for length in (height, width))
        return rows[-1][1], columns[-1][1]

    def _plan(self, x: Tensor) -> list[tuple[tuple[int, int], tuple[int, int]]]:
        """For each level and axis: how many samples are transformed, in a block how long."""
        rows, columns = (_axis(length, self.levels) for length in x.shape[-2:])
        return list(zip(rows[:-1], columns[:-1], strict=True))


@dataclass(frozen=True)
class WaveletL1(Regulariser):
    """weight·‖details of T x‖₁; its proximal map thresholds the details (Donoho 1995).

    Attributes:
        weight: ≥ 0.
        wavelet, levels: see `OrthogonalWavelets`.
        threshold_coarse: the approximations are penalised, too; without it they are free.
    """

    weight: float
    wavelet: str = "db2"
    levels: int = 4
    threshold_coarse: bool = False
    name: ClassVar[str] = "wavelet-l1"
    finite: ClassVar[bool] = True

    def __post_init__(self) -> None:
        checked_weight(self.weight, "weight of the wavelet coefficients")
        OrthogonalWavelets(self.wavelet, self.levels)

    @property
    def transform(self) -> OrthogonalWavelets:
        return OrthogonalWavelets(self.wavelet, self.levels)

    def value(self, x: Tensor) -> Tensor:
        coefficients = self.transform.forward(x).abs()
        total = coefficients.flatten(1).sum(1)
        if not self.threshold_coarse:
            height, width = self.transform.coarse(x.shape[-2], x.shape[-1])
            total = total - coefficients[..., :height, :width].flatten(1).sum(1)
        return self.weight * total

    def prox(self, x: Tensor, step: float, *, tol: float = 0.0) -> tuple[Tensor, Tensor]:
        """Tᵀ soft(T x), since T is orthogonal (Combettes & Pesquet 2011, Table 10.1 (xi))."""
        coefficients = self.transform.forward(x)
        shrunk = soft_threshold(coefficients, checked_step(step) * self.weight)
        if not self.threshold_coarse:
            height, width = self.transform.coarse(x.shape[-2], x.shape[-1])
            shrunk = _replaced(shrunk, coefficients[..., :height, :width])
        return self.transform.inverse(shrunk), no_error(x)


@lru_cache(maxsize=32)
def filters(wavelet: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Low-pass and high-pass filter of an orthonormal bank, as correlations.

    Raises:
        InputError: PyWavelets knows no such wavelet, or it is not orthogonal.
    """
    import pywt

    if wavelet not in pywt.wavelist(kind="discrete"):
        raise InputError(f"no wavelet is called {wavelet!r}; {CHOICES}")
    if not pywt.Wavelet(wavelet).orthogonal:
        raise InputError(f"the wavelet {wavelet!r} is biorthogonal, not orthogonal; {CHOICES}")
    low = tuple(reversed(pywt.Wavelet(wavelet).dec_lo))
    # The mirror filter, which is orthogonal to `low` and all its even shifts.
    high = tuple((-1) ** k * value for k, value in enumerate(reversed(low)))
    if (defect := orthonormality_defect(low)) > ORTHONORMAL:
        raise InputError(
            f"the wavelet {wavelet!r} is not orthogonal (its even shifts miss it by "
            f"{defect:.1g}); {CHOICES}"
        )
    return low, high


def orthonormality_defect(low: tuple[float, ...]) -> float:
    """max over n of |Σ_k low[k] low[k + 2n] − δ_n|: zero for an orthonormal filter bank."""
    return max(
        abs(math.fsum(a * b for a, b in zip(low, low[shift:], strict=False)) - (shift == 0))
        for shift in range(0, len(low), 2)
    )


def _axis(length: int, levels: int) -> list[tuple[int, int]]:
    """For each level (samples transformed, block length), then what is left after the last."""
    active, block, plan = length, length, []
    for _ in range(levels):
        even = active - active % 2
        plan.append((even, block))
        active, block = even // 2, block - even // 2
    return [*plan, (active, block)]


def _split(x: Tensor, even: int, wavelet: str) -> Tensor:
    """One level along the last axis: [approximations, samples left alone, details]."""
    if even == 0:
        return x
    filter_pair = filters(wavelet)
    taps = len(filter_pair[0])
    samples = x[..., :even].roll(taps // 2 - 1, -1)  # the filters' middle over their coefficient
    pieces = [samples[..., k % 2 :: 2].roll(-(k // 2), -1) for k in range(taps)]
    low, high = (_combined(taps_, pieces) for taps_ in filter_pair)
    return torch.cat((low, x[..., even:], high), -1)


def _merge(x: Tensor, even: int, wavelet: str) -> Tensor:
    """The transpose, hence the inverse, of `_split`."""
    if even == 0:
        return x
    half = even // 2
    low, high = x[..., :half], x[..., x.shape[-1] - half :]
    low_taps, high_taps = filters(wavelet)
    taps = len(low_taps)
    pieces = [(low_taps[k] * low + high_taps[k] * high).roll(k // 2, -1) for k in range(taps)]
    first, second = (_combined((1.0,) * (taps // 2), pieces[odd::2]) for odd in (0, 1))
    samples = torch.stack((first, second), -1).flatten(-2).roll(1 - taps // 2, -1)
    return torch.cat((samples, x[..., half : x.shape[-1] - half]), -1)


def _combined(factors: Sequence[float], pieces: Sequence[Tensor]) -> Tensor:
    """Σ factorᵢ·pieceᵢ."""
    out = factors[0] * pieces[0]
    for factor, piece in zip(factors[1:], pieces[1:], strict=True):
        out = out + factor * piece
    return out


def _replaced(whole: Tensor, corner: Tensor) -> Tensor:
    """`whole` with its upper left corner replaced; a new tensor, so that autograd is content."""
    if corner.shape == whole.shape:
        return corner
    out = whole.clone()
    out[..., : corner.shape[-2], : corner.shape[-1]] = corner
    return out

"""Proven brackets of operator norms, and one estimate that never enters a proof.

A `NormBound` holds for the operator in exact arithmetic with its stored coefficients: float64
rounding on the way to it is allowed for and rounded outwards. The rounding of a later run in
float32 is no matter of the norm. This lies below `base`: it knows of an operator what `LinearMap`
says.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from operators.errors import OperatorError

EPS = torch.finfo(torch.float64).eps  # twice the unit round-off, so a margin of two throughout

# The iterate has to stay positive; far below this it no longer says anything about the norm.
SMALLEST_ENTRY = 1e-8


# Norms whose squares, and squares of entries that are small next to them, are ordinary numbers.
SMALLEST, LARGEST = 1e-130, 1e130


class LinearMap(Protocol):
    """What a bracket asks of an operator; `LinearOperator` says what each of them means."""

    @property
    def name(self) -> str: ...
    @property
    def image_shape(self) -> tuple[int, int, int]: ...
    @property
    def nonnegative(self) -> bool: ...
    @property
    def adjoint_matched(self) -> bool: ...

    def A(self, x: Tensor, /) -> Tensor: ...
    def normal(self, x: Tensor, /) -> Tensor: ...
    def normal_enclosure(self, v: Tensor, /) -> tuple[Tensor, Tensor]: ...
    def certificate_start(self) -> Tensor: ...


@dataclass(frozen=True)
class NormBound:
    """lower <= ‖A‖ <= value.

    Attributes:
        value: proven upper bound; the only number that a guarantee may use.
        lower: attained by some image (or zero), shows how tight the bound is.
        method: how it was proven, in words.
        source: the literature that the method rests on.
    """

    value: float
    lower: float
    method: str
    source: str

    def __post_init__(self) -> None:
        if not (math.isfinite(self.value) and 0 <= self.lower <= self.value):
            raise OperatorError(f"[{self.lower}, {self.value}] is no bracket of a norm")

    @property
    def looseness(self) -> float:
        """value / lower: one if the norm is known exactly."""
        return self.value / self.lower if self.lower > 0 else math.inf


def round_up(value: float) -> float:
    """A float safely above a value that carries a few float64 roundings."""
    return math.nextafter(value * (1 + 4 * EPS), math.inf)


def round_down(value: float) -> float:
    """A float safely below a value that carries a few float64 roundings, and not negative."""
    return max(0.0, math.nextafter(value * (1 - 4 * EPS), -math.inf))


def widened(product: Tensor, terms: int, name: str) -> tuple[Tensor, Tensor]:
    """Bounds of sums of `terms` products without negative numbers; see `LinearOperator.enclosure`.

    Raises OperatorError if the precision of `product` is too low to say anything.
    """
    error = (terms + 8) * torch.finfo(product.dtype).eps
    if error >= 0.1:
        raise OperatorError(
            f"'{name}' is too large to bound its norm in {product.dtype}; use float64"
        )
    error /= 1 - error
    return product / (1 + error), product * (1 + error)


def tightest(*bounds: NormBound) -> NormBound:
    """The smallest of several proven upper bounds, with the largest of the proven lower ones."""
    best = min(bounds, key=lambda bound: bound.value)
    lower = min(best.value, max(bound.lower for bound in bounds))
    return NormBound(best.value, lower, best.method, best.source)


def require_size(A: LinearMap, bound: NormBound) -> NormBound:
    """The bound, unless its square would leave float64: then OperatorError.

    What underflowed on the way to a bound may be missing in it. A bound of an operator that is
    zero, rounded up, is no such case: it maps a random picture to nothing.
    """
    tiny = bound.value < SMALLEST
    if tiny:
        seeded = torch.Generator().manual_seed(0)
        x = torch.rand(1, *A.image_shape, generator=seeded, dtype=torch.float64)
        tiny = bool(A.A(x.to(A.certificate_start())).any())
    if bound.value > LARGEST or tiny:
        raise OperatorError(
            f"the norm of '{A.name}' is about {bound.value:.2g}; float64 can square numbers from "
            f"{SMALLEST:.0e} to {LARGEST:.0e}: scale the operator (and its measurements)"
        )
    return bound


def peak_response(kernel: Tensor, grid: Sequence[int]) -> tuple[float, float, tuple[int, int]]:
    """Bracket of max |k̂(ω)| over the frequencies of a grid, and where it is attained.

    A kernel without negative entries peaks at zero, where k̂ is the sum. Otherwise the transform is
    written out as two matrix products and not left to an FFT, because then each entry is a plain
    sum whose error is known: at most (taps + a few) ε ‖k‖₁ (Higham 2002, §3.1 and §3.6; the angles
    are reduced in integers, so every cosine is right to an ε or two). It costs
    P·kh·kw + P·kw·Q/2 multiplications.

    Args:
        kernel: (kh, kw), any real dtype, not larger than the grid.
        grid: (P, Q).

    Returns:
        lower, upper, (row, column) of the largest entry.
    """
    k = kernel.detach().to(torch.float64).cpu()
    if bool((k >= 0).all()):
        total = math.fsum(k.flatten().tolist())  # correctly rounded
        return round_down(total), round_up(total), (0, 0)
    p, q = grid
    magnitude, error = _responses(k, p, q)
    index = int(magnitude.argmax())
    row, column = divmod(index, magnitude.shape[1])
    peak = float(magnitude.max())
    return round_down(peak - error), round_up(peak + error), (row, column)


def lowest_response(kernel: Tensor, grid: Sequence[int]) -> float:
    """A proven lower bound of min |k̂(ω)| over the frequencies of a grid; see `peak_response`."""
    magnitude, error = _responses(kernel.detach().to(torch.float64).cpu(), *grid)
    return round_down(float(magnitude.min()) - error)


def _responses(k: Tensor, p: int, q: int) -> tuple[Tensor, float]:
    """|k̂| on one half of the frequencies, the other mirrors it, and the error of each entry."""
    left = _waves(p, p, k.shape[0])
    right = _waves(q // 2 + 1, q, k.shape[1])
    magnitude = (left @ k.to(torch.complex128) @ right.T).abs()
    return magnitude, 4 * (sum(k.shape) + 8) * EPS * math.fsum(k.abs().flatten().tolist())


def _waves(frequencies: int, period: int, taps: int) -> Tensor:
    turns = torch.outer(torch.arange(frequencies), torch.arange(taps)) % period
    angle = turns.to(torch.float64) * (-2 * math.pi / period)
    return torch.polar(torch.ones_like(angle), angle)


def circular_norm(kernel: Tensor, shape: Sequence[int]) -> NormBound:
    """The norm of a cyclic convolution on an image (H, W): max |k̂|, exact up to rounding.

    The Fourier basis diagonalises it (Davis 1979, Circulant Matrices, §3.2).
    """
    lower, upper, _ = peak_response(kernel, shape)
    return NormBound(
        upper,
        lower,
        "exact: largest modulus of the kernel's discrete Fourier transform",
        "Davis 1979, Circulant Matrices, section 3.2",
    )


def compression_norm(kernel: Tensor, grid: Sequence[int], multiplicity: int = 1) -> NormBound:
    """Bound of a convolution that is a piece of a cyclic one on `grid`: max |k̂|·√multiplicity.

    A = R C E, where C is the cyclic convolution, R keeps some pixels (norm one) and E writes the
    image into the grid, repeating a pixel at most `multiplicity` times (norm √multiplicity; 1 for
    zeros beyond the border, and for the valid part). So ‖A‖ <= ‖C‖ ‖E‖.
    """
    _, upper, _ = peak_response(kernel, grid)
    repeated = "" if multiplicity == 1 else f", times the root of {multiplicity} for copied pixels"
    return NormBound(
        round_up(upper * math.sqrt(multiplicity)),
        0.0,
        f"part of a cyclic convolution on {grid[0]} x {grid[1]} pixels{repeated}",
        "Davis 1979, Circulant Matrices, section 3.2; norm of a product",
    )


def attained_gain(A: LinearMap, x: Tensor) -> float:
    """‖A x‖ / ‖x‖ rounded down: a lower bound of ‖A‖, whatever x is.

    The allowance 1e-9 (float64) or 1e-4 (float32) is far above the rounding of one application.
    """
    gain = float(torch.linalg.vector_norm(A.A(x)) / torch.linalg.vector_norm(x))
    return gain * (1 - (1e-9 if x.dtype == torch.float64 else 1e-4))


def collatz_wielandt(
    A: LinearMap, rtol: float = 2e-3, max_iter: int = 25, start: Tensor | None = None
) -> NormBound:
    """Bracket of ‖A‖ for an operator whose matrix has no negative entry.

    With M = AᵀA and any v > 0: min (Mv)ᵢ/vᵢ <= ‖A‖² <= max (Mv)ᵢ/vᵢ (Collatz 1942; Wielandt 1950;
    Horn & Johnson 2013, Matrix Analysis, Cor. 8.1.31, which asks nothing of M beyond entries >= 0).
    Every v gives a valid bound, so the iteration v ← Mv is only a search: the smallest upper bound
    met is kept, and it may stop at any time. Entries that would vanish are lifted to a small
    positive number, which costs tightness and never validity. `A.normal_enclosure` accounts for
    rounding. The lower end also uses the Rayleigh quotient of v.

    Args:
        A: has `nonnegative` set and a matched transpose.
        rtol: stop when upper/lower <= 1 + rtol, or when the upper end has come to rest.
        max_iter: applications of M at most.
        start: the first v, entries > 0; default `A.certificate_start()`.
    """
    if not A.nonnegative or not A.adjoint_matched:
        raise OperatorError(
            f"'{A.name}' is not known to have non-negative entries and a matched transpose; "
            "Collatz–Wielandt bounds need both"
        )
    v = A.certificate_start() if start is None else start
    best_upper, best_lower = math.inf, 0.0
    with torch.no_grad():
        for _ in range(max_iter):
            below, above = A.normal_enclosure(v)
            below = below.clamp_min(0)
            upper = round_up(float((above / v).max()))
            rayleigh = float((v * below).sum() / (v * v).sum())
            rayleigh *= 1 - 4 * v.numel() * torch.finfo(v.dtype).eps  # two sums of positive terms
            lower = max(round_down(float((below / v).min())), round_down(rayleigh))
            if not math.isfinite(upper):
                raise OperatorError(
                    f"'{A.name}' returned values that are not finite; scale or repair it"
                )
            at_rest = best_upper - upper < 0.1 * rtol * best_upper
            best_upper, best_lower = min(best_upper, upper), max(best_lower, lower)
            if best_upper <= (1 + rtol) ** 2 * best_lower or at_rest:
                break
            peak = above.max()
            if float(peak) <= 0:
                break
            v = (above / peak).clamp_min(SMALLEST_ENTRY)
    value = round_up(math.sqrt(best_upper))
    return NormBound(
        value,
        min(value, round_down(math.sqrt(best_lower))),
        "Collatz–Wielandt bracket of a matrix without negative entries",
        "Collatz 1942; Wielandt 1950; Horn & Johnson 2013, Matrix Analysis, Cor. 8.1.31",
    )


def power_iteration_estimate(
    A: LinearMap, generator: torch.Generator, iterations: int = 50
) -> float:
    """An ESTIMATE of ‖A‖ from below, by power iteration on AᵀA from a random image.

    It approaches the norm from the wrong side for a guarantee and is never used in one: it serves
    to refute a bound, to steer training, and to show how loose a bound is.
    """
    ones = A.certificate_start()
    v = torch.randn(ones.shape, generator=generator, dtype=ones.dtype, device=generator.device)
    v = v.to(ones.device).expand(1, *A.image_shape)
    gain = 0.0
    with torch.no_grad():
        for _ in range(iterations):
            gain = max(gain, attained_gain(A, v))
            v = A.normal(v)
            size = torch.linalg.vector_norm(v)
            if float(size) == 0:
                break
            v = v / size
    return gain

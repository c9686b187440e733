"""Blur and keep every f-th pixel: the forward map of super-resolution."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from operators import norms
from operators.base import LinearOperator
from operators.borders import Bordered, Boundary, axes, pad, pad_transpose, require_weight
from operators.errors import OperatorError
from operators.fourier import rfft2
from operators.norms import NormBound, round_down, round_up

# Of the weight of a kernel, what its sum must be for a measurement to be a picture.
PICTURE = 0.5


class Downsampling(Bordered, LinearOperator):
    """y[i] = (kernel ∗ x)[f · i]: every f-th pixel of a convolution, from the first one on.

    The convolution is that of `Convolution`, with the same kernels, border rules and centre; the
    measurement has ⌈n / f⌉ pixels along an axis where the convolution has n. Only pixels that are
    kept are computed.

    Args:
        kernel: (kh, kw), float32 or float64, finite, not all zero, not larger than the image.
        factor: f >= 1. For circular borders it must divide H and W.
        image_shape: (C, H, W) of the large picture.
        boundary: 'circular', 'replicate', 'reflect', 'constant' or 'valid'.
        center: the kernel's origin (row, column); default the middle, for odd sizes only.
        noise_model: applied by `forward`.

    Raises:
        OperatorError: for a kernel, a factor or a shape that breaks one of these rules.

    Under circular borders the proximal map is a closed form (after Zhao et al. 2016, IEEE Trans.
    Image Process. 25, "Fast single image super-resolution").

    The norm rests on AAᵀ: without borders it is a convolution, on the coarse grid, with every f-th
    entry of the kernel's autocorrelation c, so ‖A‖² = max |ĉ| (Vaidyanathan 1993, Multirate Systems
    and Filter Banks, §4.1). This is exact for circular borders. Zeros beyond the border, or
    nothing ('valid'), make A a part of such a matrix on a larger grid; copied pixels multiply it by
    the norm of the copying, and Collatz–Wielandt bounds that more tightly.
    """

    kernel: Tensor

    def __init__(
        self,
        kernel: Tensor,
        factor: int,
        image_shape: Sequence[int],
        boundary: Boundary = "circular",
        *,
        center: tuple[int, int] | None = None,
        noise_model: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        rows, columns = axes(kernel, image_shape, boundary, center)
        if isinstance(factor, bool) or not isinstance(factor, int) or factor < 1:
            raise OperatorError(f"factor is {factor!r}; give a whole number >= 1")
        if boundary == "circular" and (rows.length % factor or columns.length % factor):
            raise OperatorError(
                f"a picture of {rows.length}x{columns.length} pixels cannot wrap around after "
                f"downsampling by {factor}; crop it to multiples of {factor}, or choose another "
                "boundary"
            )
        super().__init__(
            f"{factor}-fold downsampling, {boundary}, of a blur of {rows.taps}x{columns.taps}",
            image_shape,
            (int(image_shape[0]), *(-(-axis.outputs // factor) for axis in (rows, columns))),
            noise_model=noise_model,
        )
        self._factor = factor
        self._rows, self._columns = rows, columns
        self._spectra: dict[object, Tensor] = {}
        # A tensor made under inference_mode could not be used in a differentiated call later.
        with torch.inference_mode(False):
            self.register_buffer("kernel", kernel.detach().clone())

    @property
    def factor(self) -> int:
        """Every so many-th pixel is kept."""
        return self._factor

    def _own_content(self) -> tuple[object, ...]:
        return self._rows, self._columns, self._factor

    def _sign(self) -> bool:
        return bool((self.kernel >= 0).all())

    # ---- the two maps -----------------------------------------------------------------------

    def _forward_map(self, x: Tensor) -> Tensor:
        x = pad(x, self._rows, self._columns)
        weight = self._weight(x)
        return functional.conv2d(x, weight, stride=self.factor, groups=x.shape[1])

    def _transpose_map(self, y: Tensor) -> Tensor:
        rows, columns = self._rows, self._columns
        # What lies behind the last pixel that is kept was never seen.
        unseen = [(axis.padded - axis.taps) % self.factor for axis in (rows, columns)]
        z = functional.conv_transpose2d(
            y, self._weight(y), stride=self.factor, groups=y.shape[1], output_padding=unseen
        )
        return pad_transpose(z, rows, columns)

    def _weight(self, like: Tensor) -> Tensor:
        kernel = self.kernel.to(dtype=like.dtype, device=like.device).flip(0, 1)
        return kernel.expand(like.shape[1], 1, *kernel.shape)

    # ---- closed form under circular borders ---------------------------------------------------

    def _closed_prox(self, z: Tensor, y: Tensor, step: Tensor) -> Tensor:
        """For circular borders z + γ Aᵀ (I + γ AAᵀ)⁻¹ (y − A z).

        This is the solution by the matrix inversion lemma, and AAᵀ is a convolution (class docs).
        """
        residual = self._solve_coarse(y - self.A(z), step)
        return z + step * self.A_adjoint(residual)

    def _has_closed_form(self) -> bool:
        return self.boundary == "circular"

    def _solve_coarse(self, r: Tensor, step: Tensor) -> Tensor:
        """(I + γ AAᵀ)⁻¹ r, divided out in the Fourier domain of the coarse grid."""
        key = (r.dtype, r.device, self.kernel._version)  # see `Convolution._transform`
        if key not in self._spectra:
            with torch.inference_mode(False), torch.no_grad():
                point = torch.zeros(1, 1, *r.shape[-2:], dtype=r.dtype, device=r.device)
                point[..., 0, 0] = 1
                response = self._forward_map(self._transpose_map(point))
                self._spectra[key] = rfft2(response).real.clamp_min(0)
        return torch.fft.irfft2(rfft2(r) / (1 + step * self._spectra[key]), s=r.shape[-2:])

    def initial_guess(self, y: Tensor) -> Tensor:
        """y enlarged by linear interpolation between the middles of what its pixels are made of.

        For kernels whose negative entries are no small part of them: Aᵀy.
        """
        self._check(y, self.measurement_shape, "measurement")
        kernel = self.kernel.to(torch.float64)
        total = float(kernel.sum())
        if total < PICTURE * float(kernel.abs().sum()):
            return self.A_adjoint(y)
        for axis, dim in ((self._rows, -2), (self._columns, -1)):
            taps = torch.arange(axis.taps, dtype=torch.float64, device=kernel.device)
            middle = float((kernel.sum(-3 - dim) * taps).sum()) / total
            middle = min(max(middle, 0.0), axis.taps - 1.0)
            first = axis.taps - 1 - middle if self.boundary == "valid" else axis.center - middle
            place = torch.arange(axis.length, device=y.device, dtype=y.dtype)
            place = ((place - first) / self.factor).clamp(0, y.shape[dim] - 1)
            left = place.floor().long()
            right = (left + 1).clamp_max(y.shape[dim] - 1)
            share = (place - left).reshape(-1, *(1,) * (-1 - dim))
            y = (1 - share) * y.index_select(dim, left) + share * y.index_select(dim, right)
        return y / total

    # ---- the norm -----------------------------------------------------------------------------

    @property
    def has_norm_bound(self) -> bool:
        """Always: every border rule has a bound, with kernels of either sign."""
        return True

    def _prove_norm(self) -> NormBound:
        require_weight(self.kernel)
        rows, columns, f = self._rows, self._columns, self.factor
        kernel = self.kernel.to(torch.float64).cpu()
        kh, kw = kernel.shape
        # The autocorrelation at lags that are multiples of f, lag zero among them. Circular borders
        # fold it onto the grid, which a transform at the grid's own frequencies does by itself.
        spread = functional.pad(kernel, (kw - 1,) * 2 + (kh - 1,) * 2)[None, None]
        autocorrelation = functional.conv2d(spread, kernel[None, None])[0, 0]
        kept = autocorrelation[(kh - 1) % f :: f, (kw - 1) % f :: f]
        circular = self.boundary == "circular"
        sizes = [axis.length if circular else axis.smallest_grid for axis in (rows, columns)]
        grid = tuple(-(-size // f) for size in sizes)
        low, high, peak = norms.peak_response(kept, grid)
        # Each entry of c is a sum of kh·kw products; all their sizes add up to ‖k‖₁² at most.
        error = 4 * (kh * kw + 8) * norms.EPS * math.fsum(kernel.abs().flatten().tolist()) ** 2
        copies = 1 if circular else rows.largest_multiplicity * columns.largest_multiplicity
        piece = NormBound(
            round_up(math.sqrt(round_up(copies * (high + error)))),
            round_down(math.sqrt(max(0.0, low - error))) if circular else 0.0,
            f"response of the downsampled autocorrelation on {grid[0]} x {grid[1]} pixels",
            "Vaidyanathan 1993, Multirate Systems and Filter Banks, section 4.1",
        )
        if circular:
            return piece
        bounds = [piece]
        if copies > 1:  # ‖A‖ <= ‖|A|‖ entry by entry, |A| has the kernel |k|; channels are copies
            one_channel = (1, rows.length, columns.length)
            absolute = Downsampling(
                self.kernel.abs(), f, one_channel, self.boundary, center=self.center
            )
            above = norms.collatz_wielandt(absolute)
            lower = above.lower if self.nonnegative else 0.0
            bounds.append(NormBound(above.value, lower, above.method, above.source))
        best = norms.tightest(*bounds)
        wave = self.A_adjoint(self._wave(grid, peak))
        attained = min(best.value, norms.attained_gain(self, wave))
        return NormBound(best.value, max(best.lower, attained), best.method, best.source)

    def _wave(self, grid: Sequence[int], peak: tuple[int, int]) -> Tensor:
        """The cosine on the coarse grid that AAᵀ without borders amplifies most."""
        i, j = (
            torch.arange(n, dtype=torch.float64, device=self.kernel.device)
            for n in self.measurement_shape[1:]
        )
        turns = peak[0] * i[:, None] / grid[0] + peak[1] * j / grid[1]
        return torch.cos(2 * math.pi * turns).expand(1, *self.measurement_shape)

    def _forget(self) -> None:
        super()._forget()
        self._spectra.clear()

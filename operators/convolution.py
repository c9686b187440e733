"""Blur: the true convolution of an image with a kernel, under one of five border rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from operators import convolution_bounds as bounds
from operators import norms
from operators.base import LinearOperator
from operators.borders import (
    Bordered,
    Boundary,
    axes,
    continued,
    pad,
    pad_transpose,
    require_weight,
)
from operators.errors import OperatorError
from operators.fourier import (
    crop,
    is_smooth,
    multiply,
    next_smooth,
    place,
    rfft2,
)
from operators.norms import NormBound
from operators.spectral import seen_prox

Method = Literal["auto", "fft", "direct"]

# Up to this many taps the sum itself is faster than the FFT. Measured on one x86 core with MKL on
# 481 x 321 in colour: at 25 taps 2.4 ms against 3.3 ms in float32; in float64, for which torch has
# no fast convolution, 3.9 ms against 6.1 ms at 9 taps and 11.5 ms against 6.1 ms at 25.
DIRECT_MAX_TAPS = {torch.float32: 25, torch.float64: 9}


class Convolution(Bordered, LinearOperator):
    """y[i] = sum over u of kernel[u] · x[i + center − u], the same kernel in every channel.

    A true convolution: the image of a single bright pixel is the kernel, not its mirror image.

    Args:
        kernel: (kh, kw), float32 or float64, finite, not all zero, not larger than the image.
            Negative entries are allowed; the norm is then bounded in another way.
        image_shape: (C, H, W).
        boundary: what lies beyond the border. 'circular': the opposite side. 'replicate': the
            border pixel. 'reflect': the mirror image, border pixel not repeated (scipy's 'mirror').
            'constant': zero. 'valid': nothing, the output shrinks to (H−kh+1, W−kw+1).
        center: the kernel's origin (row, column). Default (kh // 2, kw // 2), for odd sizes only:
            an even size has no middle, and half a pixel of shift spoils a deblurring.
        method: 'fft', 'direct' or 'auto' (whichever was measured to be faster).
        noise_model: applied by `forward`.
        name: for reports.

    Raises:
        OperatorError: for a kernel or shape that breaks one of these rules.

    Images in float64 are computed in float64, on whatever device they lie.
    """

    kernel: Tensor

    def __init__(
        self,
        kernel: Tensor,
        image_shape: Sequence[int],
        boundary: Boundary = "circular",
        *,
        center: tuple[int, int] | None = None,
        method: Method = "auto",
        noise_model: Callable[[Tensor], Tensor] | None = None,
        name: str | None = None,
    ) -> None:
        if method not in ("auto", "fft", "direct"):
            raise OperatorError(f"method is {method!r}; choose auto, fft or direct")
        rows, columns = axes(kernel, image_shape, boundary, center)
        super().__init__(
            name or f"{boundary} convolution with a {rows.taps}x{columns.taps} kernel",
            image_shape,
            (int(image_shape[0]), rows.outputs, columns.outputs),
            noise_model=noise_model,
        )
        self.method: Method = method
        self._rows, self._columns = rows, columns
        self._transforms: dict[object, Tensor] = {}
        # A tensor made under inference_mode could not be used in a differentiated call later.
        with torch.inference_mode(False):
            self.register_buffer("kernel", kernel.detach().clone())

    def _own_content(self) -> tuple[object, ...]:
        return self._rows, self._columns

    def _sign(self) -> bool:
        return bool((self.kernel >= 0).all())

    # ---- the two maps -----------------------------------------------------------------------

    def _forward_map(self, x: Tensor) -> Tensor:
        rows, columns = self._rows, self._columns
        if not self._uses_fft(x.dtype):
            weight = self._weight(x).flip(-2, -1)
            return functional.conv2d(pad(x, rows, columns), weight, groups=x.shape[1])
        if self._wraps_exactly():
            transform = self._transform((rows.length, columns.length), x, centered=True)
            return multiply(x, transform, (rows.length, columns.length))
        if self.boundary == "constant":  # the grid's own zeros are the border
            corner = self.center
        else:
            x = pad(x, rows, columns)
            corner = (rows.taps - 1, columns.taps - 1)
        grid = self._grid()
        full = multiply(x, self._transform(grid, x), grid)
        return crop(full, corner, (rows.outputs, columns.outputs))

    def _transpose_map(self, y: Tensor) -> Tensor:
        rows, columns = self._rows, self._columns
        if not self._uses_fft(y.dtype):
            spread = functional.pad(y, (columns.taps - 1,) * 2 + (rows.taps - 1,) * 2)
            z = functional.conv2d(spread, self._weight(y), groups=y.shape[1])
            return pad_transpose(z, rows, columns)
        if self._wraps_exactly():
            transform = self._transform((rows.length, columns.length), y, centered=True)
            return multiply(y, transform.conj(), (rows.length, columns.length))
        grid = self._grid()
        transform = self._transform(grid, y).conj()
        if self.boundary == "constant":
            z = multiply(place(y, self.center, grid), transform, grid)
            return crop(z, (0, 0), (rows.length, columns.length))
        z = multiply(place(y, (rows.taps - 1, columns.taps - 1), grid), transform, grid)
        return pad_transpose(crop(z, (0, 0), (rows.padded, columns.padded)), rows, columns)

    def _uses_fft(self, dtype: torch.dtype) -> bool:
        if self.method == "auto":
            return self.kernel.numel() > DIRECT_MAX_TAPS[dtype]
        return self.method == "fft"

    def _wraps_exactly(self) -> bool:
        """Whether the image's own size is a good FFT length; otherwise it is padded to one."""
        return self.boundary == "circular" and all(map(is_smooth, self.image_shape[1:]))

    def _grid(self) -> tuple[int, int]:
        return next_smooth(self._rows.smallest_grid), next_smooth(self._columns.smallest_grid)

    def _weight(self, like: Tensor) -> Tensor:
        kernel = self.kernel.to(dtype=like.dtype, device=like.device)
        return kernel.expand(like.shape[1], 1, *kernel.shape)

    def _transform(self, grid: tuple[int, int], like: Tensor, *, centered: bool = False) -> Tensor:
        """rfft2 of the kernel on a grid, its first tap or its centre at the origin; cached.

        The key is cheap and does not see a kernel changed through `.data`; the next `fingerprint`
        does, and every run and every proof takes one.
        """
        key = (grid, like.dtype, like.device, centered, self.kernel._version)
        if key not in self._transforms:
            with torch.inference_mode(False), torch.no_grad():
                kernel = self.kernel.to(dtype=like.dtype, device=like.device)
                kernel = place(kernel, (0, 0), grid)
                if centered:
                    kernel = kernel.roll((-self.center[0], -self.center[1]), (0, 1))
                self._transforms[key] = torch.fft.rfft2(kernel)
        return self._transforms[key]

    # ---- closed forms under circular borders ------------------------------------------------

    def _spectrum(self, like: Tensor) -> Tensor:
        return self._transform((self._rows.length, self._columns.length), like, centered=True)

    def _closed_prox(self, z: Tensor, y: Tensor, step: Tensor) -> Tensor:
        """For circular borders x̂ = (ẑ + γ k̂* ŷ) / (1 + γ |k̂|²)."""
        k = self._spectrum(z)
        numerator = rfft2(z) + step * k.conj() * rfft2(y)
        return torch.fft.irfft2(numerator / (1 + step * k.abs() ** 2), s=z.shape[-2:])

    def _has_closed_form(self) -> bool:
        return self.boundary == "circular"

    def _iterated_prox(
        self, right: Tensor, start: Tensor, step: Tensor, tol: float | Tensor, max_iter: int
    ) -> Tensor:
        """Where borders are not seen, among the frequencies of the picture's own grid."""
        if self.boundary != "valid":
            return super()._iterated_prox(right, start, step, tol, max_iter)
        return self.weighted_solve(None, right, start, step, tol, max_iter)

    def weighted_solve(
        self,
        weights: Tensor | None,
        right: Tensor,
        start: Tensor,
        step: Tensor,
        tol: float | Tensor,
        max_iter: int,
    ) -> Tensor:
        """About (I + γAᵀWA)⁻¹ right, W = diag(weights), for circular and valid borders."""
        seen = self._rows.seen, self._columns.seen

        def transform(dtype: torch.dtype) -> Tensor:
            return self._spectrum(right.to(dtype))

        return seen_prox(right, start, step, transform, seen, weights, tol=tol, max_iter=max_iter)

    def _preconditioner(self, step: Tensor) -> Callable[[Tensor], Tensor] | None:
        """(I + γKᵀK)⁻¹ with K the same kernel under circular borders: only borders differ."""

        def solve(r: Tensor) -> Tensor:
            weight = 1 + step * self._spectrum(r).abs() ** 2
            return torch.fft.irfft2(rfft2(r) / weight, s=r.shape[-2:])

        return solve

    def initial_guess(self, y: Tensor) -> Tensor:
        """y itself; for `valid`, continued beyond the border; see `borders.continued`."""
        self._check(y, self.measurement_shape, "measurement")
        return continued(y, self._rows, self._columns)

    def A_dagger(self, y: Tensor, tol: float = 1e-6, max_iter: int = 200) -> Tensor:
        """The pseudo-inverse: for circular borders in closed form, else conjugate gradients.

        In the closed form frequencies with |k̂| <= tol · max |k̂| count as lost and are left zero.
        """
        if self.boundary != "circular":
            return super().A_dagger(y, tol, max_iter)
        self._check(y, self.measurement_shape, "measurement")
        k = self._spectrum(y)
        size = k.abs()
        kept = size > tol * size.max()
        inverse = torch.where(kept, k.conj() / torch.where(kept, size, 1) ** 2, 0)
        return torch.fft.irfft2(inverse * torch.fft.rfft2(y), s=y.shape[-2:])

    # ---- the norm ---------------------------------------------------------------------------

    @property
    def has_norm_bound(self) -> bool:
        """Always: every border rule has a bound, with kernels of either sign."""
        return True

    def _prove_norm(self) -> NormBound:
        require_weight(self.kernel)
        rows, columns = self._rows, self._columns
        if self.boundary == "circular":
            return norms.circular_norm(self.kernel, (rows.length, columns.length))
        grid = (rows.smallest_grid, columns.smallest_grid)
        multiplicity = rows.largest_multiplicity * columns.largest_multiplicity
        piece = norms.compression_norm(self.kernel, grid, multiplicity)
        if multiplicity == 1:
            found = [piece]
        elif self.nonnegative:
            found = [piece, norms.collatz_wielandt(self)]
        else:  # ‖A‖ <= ‖|A|‖ entry by entry, and |A| convolves with |kernel|
            absolute = Convolution(
                self.kernel.abs(), self.image_shape, self.boundary, center=self.center
            )
            above = norms.collatz_wielandt(absolute)
            method = above.method + ", of the matrix of absolute values"
            found = [piece, NormBound(above.value, 0.0, method, above.source)]
        best = norms.tightest(*found)
        wave = bounds.leading_wave(self.kernel, grid, rows, columns)
        gain = norms.attained_gain(self, wave.expand(1, *self.image_shape))
        attained = min(best.value, gain)
        return NormBound(best.value, max(best.lower, attained), best.method, best.source)

    def _prove_gram(self) -> float:
        if self.boundary != "circular":
            return 0.0
        require_weight(self.kernel)
        lowest = norms.lowest_response(self.kernel, (self._rows.length, self._columns.length))
        return norms.round_down(lowest**2)

    def certificate_start(self) -> Tensor:
        """One channel is enough: the others are copies."""
        shape = (1, 1, self._rows.length, self._columns.length)
        return torch.ones(shape, dtype=torch.float64, device=self.kernel.device)

    def enclosure(self, v: Tensor, *, transpose: bool = False) -> tuple[Tensor, Tensor]:
        """Entrywise bounds of A v or Aᵀ v for v >= 0."""
        return bounds.enclosure(self.kernel, self._rows, self._columns, v, transpose=transpose)

    def normal_enclosure(self, v: Tensor) -> tuple[Tensor, Tensor]:
        """Entrywise bounds of AᵀA v for v > 0."""
        return bounds.normal_enclosure(self.kernel, self._rows, self._columns, v)

    def _forget(self) -> None:
        super()._forget()
        self._transforms.clear()

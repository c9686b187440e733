"""Blur that changes across the picture: a grid of kernels, blended by windows that add up to one.

Camera rotation, a lens that is softer in its corners, a shake that was estimated piece by piece.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from operators import norms
from operators.base import LinearOperator
from operators.borders import Boundary, axes, continued, pad, pad_transpose, require_weight
from operators.convolution import DIRECT_MAX_TAPS
from operators.errors import OperatorError
from operators.fourier import crop, fft_convolution_error, multiply, next_smooth, place, rfft2
from operators.norms import EPS, NormBound
from operators.windows import cut, hats, on_pieces, pasted, require_partition, supports


class VaryingBlur(LinearOperator):
    """y = Σₙ wₙ ⊙ (kₙ ∗ x): each pixel of y is seen through a blend of the kernels around it.

    The convolutions are those of `Convolution`, with the same border rules and centre. The windows
    wₙ >= 0 live on y, add up to one, and are products of one along the rows and one along the
    columns. Kernels that sum to one therefore keep a picture of one colour as it is, wherever the
    border rule copies pixels or sees none.

    Each window is narrow, so that only the piece of the picture that it sees is convolved: the cost
    is about four times that of one kernel for the whole picture, however many kernels there are.

    The sectioned convolution of Nagy & O'Leary 1998 (SIAM J. Sci. Comput. 19, 1063) with windows
    that overlap; the form is called gathering by Chimitt et al. 2024 (IEEE Trans. Signal Process.
    72, 1507). It is exact for camera motion, where a pixel sums up what its line of sight passed.

    Args:
        kernels: (gh, gw, kh, kw), float32 or float64, finite, >= 0, none all zero, not larger than
            the image: a kernel for each cell of a grid over the measurement, in reading order.
        image_shape: (C, H, W); every channel has the same blur.
        boundary: 'circular', 'replicate', 'reflect', 'constant' or 'valid', see `Convolution`.
        center: the kernels' origin (row, column); default the middle, for odd sizes only.
        windows: (gh, H') and (gw, W') for a measurement of H' x W', >= 0, of sum one over the first
            axis; default `windows.hats`, linear interpolation between the middles of equal cells.
        noise_model: applied by `forward`.

    Raises:
        OperatorError: for kernels, windows or a shape that break one of these rules.

    The matrix has no negative entry, and Collatz–Wielandt bounds its norm. That is never above the
    test of Schur: from v = 1 on, max (AᵀA1)ᵢ <= largest row sum · largest column sum.
    """

    kernels: Tensor
    row_windows: Tensor
    column_windows: Tensor

    def __init__(
        self,
        kernels: Tensor,
        image_shape: Sequence[int],
        boundary: Boundary = "circular",
        *,
        center: tuple[int, int] | None = None,
        windows: tuple[Tensor, Tensor] | None = None,
        noise_model: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        if not isinstance(kernels, Tensor) or kernels.ndim != 4 or kernels.numel() == 0:
            found = tuple(kernels.shape) if isinstance(kernels, Tensor) else type(kernels).__name__
            raise OperatorError(f"the kernels are {found}; expected a tensor (gh, gw, kh, kw)")
        for kernel in kernels.flatten(0, 1):
            rows, columns = axes(kernel, image_shape, boundary, center)
        if float(kernels.min()) < 0:
            raise OperatorError(
                f"the kernels hold negative weights (smallest {float(kernels.min()):.3g}); "
                "expected weights >= 0"
            )
        gh, gw = kernels.shape[:2]
        if windows is None:
            windows = (hats(gh, rows.outputs), hats(gw, columns.outputs))
        for window, count, axis in zip(windows, (gh, gw), (rows, columns), strict=True):
            require_partition(window, count, axis.outputs)
        super().__init__(
            f"{boundary} blur of {gh}x{gw} kernels of {rows.taps}x{columns.taps}",
            image_shape,
            (int(image_shape[0]), rows.outputs, columns.outputs),
            noise_model=noise_model,
        )
        self._rows, self._columns = rows, columns
        self._down, self._across = supports(windows[0]), supports(windows[1])
        self._cached: dict[object, Tensor] = {}
        # A tensor made under inference_mode could not be used in a differentiated call later.
        with torch.inference_mode(False):
            self.register_buffer("kernels", kernels.detach().clone())
            self.register_buffer("row_windows", windows[0].detach().to(kernels.device).clone())
            self.register_buffer("column_windows", windows[1].detach().to(kernels.device).clone())

    @property
    def boundary(self) -> Boundary:
        """What lies beyond the border."""
        return self._rows.boundary

    @property
    def center(self) -> tuple[int, int]:
        """The kernels' origin (row, column)."""
        return self._rows.center, self._columns.center

    def _own_content(self) -> tuple[object, ...]:
        return self._rows, self._columns, self._down, self._across

    def _sign(self) -> bool:
        held = (self.kernels, self.row_windows, self.column_windows)
        return all(bool((part >= 0).all()) for part in held)

    # ---- the two maps -----------------------------------------------------------------------

    def _forward_map(self, x: Tensor) -> Tensor:
        pieces = self._cut(pad(x, self._rows, self._columns), self._inputs())
        blurred = self._convolved(pieces)
        return self._pasted(blurred * self._blend(x), self._outputs(), self.measurement_shape[1:])

    def _transpose_map(self, y: Tensor) -> Tensor:
        pieces = self._cut(y, self._outputs()) * self._blend(y)
        padded = (self._rows.padded, self._columns.padded)
        z = self._pasted(self._correlated(pieces), self._inputs(), padded)
        return pad_transpose(z, self._rows, self._columns)

    def _outputs(self) -> tuple[int, int]:
        """Height and width of the pieces of the measurement."""
        return self._down.length, self._across.length

    def _inputs(self) -> tuple[int, int]:
        """Height and width of what they see of the padded image; it starts at the same pixels."""
        height, width = self._outputs()
        return height + self._rows.taps - 1, width + self._columns.taps - 1

    def _cut(self, t: Tensor, size: tuple[int, int]) -> Tensor:
        return cut(t, self._down, self._across, size)

    def _pasted(self, pieces: Tensor, size: tuple[int, int], whole: Sequence[int]) -> Tensor:
        return pasted(pieces, self._down, self._across, size, whole)

    def _convolved(self, pieces: Tensor) -> Tensor:
        """Every piece with its kernel, without what lies beyond it: (B, C, N, h, w)."""
        if self._is_direct(pieces.dtype):
            flat = functional.conv2d(
                pieces.flatten(0, 1), self._weight(pieces).flip(-2, -1), groups=pieces.shape[2]
            )
            return flat.unflatten(0, pieces.shape[:2])
        corner = (self._rows.taps - 1, self._columns.taps - 1)
        grid = self._grid()
        return crop(multiply(pieces, self._transform(grid, pieces), grid), corner, self._outputs())

    def _correlated(self, pieces: Tensor) -> Tensor:
        """The transpose of `_convolved`."""
        row, column = self._rows.taps - 1, self._columns.taps - 1
        if self._is_direct(pieces.dtype):
            spread = functional.pad(pieces.flatten(0, 1), (column, column, row, row))
            flat = functional.conv2d(spread, self._weight(pieces), groups=pieces.shape[2])
            return flat.unflatten(0, pieces.shape[:2])
        grid = self._grid()
        spread = place(pieces, (row, column), grid)
        full = multiply(spread, self._transform(grid, pieces).conj(), grid)
        return crop(full, (0, 0), self._inputs())

    def _is_direct(self, dtype: torch.dtype) -> bool:
        return self._rows.taps * self._columns.taps <= DIRECT_MAX_TAPS[dtype]

    def _grid(self) -> tuple[int, int]:
        height, width = self._inputs()
        return next_smooth(height), next_smooth(width)

    def _weight(self, like: Tensor) -> Tensor:
        kernels = self.kernels.to(dtype=like.dtype, device=like.device)
        return kernels.flatten(0, 1)[:, None]

    def _transform(self, grid: tuple[int, int], like: Tensor) -> Tensor:
        """rfft2 of every kernel on a grid, (N, p, q); cached as that of `Convolution`."""

        def compute() -> Tensor:
            return rfft2(self._weight(like)[:, 0], grid)

        return self._cache(("transform", grid), like, compute)

    def _blend(self, like: Tensor) -> Tensor:
        """The windows on their pieces, (N, h, w)."""

        def compute() -> Tensor:
            rows, columns = (
                on_pieces(windows.to(dtype=like.dtype, device=like.device), pieces)
                for windows, pieces in (
                    (self.row_windows, self._down),
                    (self.column_windows, self._across),
                )
            )
            return (rows[:, None, :, None] * columns[None, :, None, :]).flatten(0, 1)

        return self._cache("blend", like, compute)

    def _cache(self, what: object, like: Tensor, compute: Callable[[], Tensor]) -> Tensor:
        held = (self.kernels, self.row_windows, self.column_windows)
        key = (what, like.dtype, like.device, *(part._version for part in held))
        if key not in self._cached:
            with torch.inference_mode(False), torch.no_grad():
                self._cached[key] = compute()
        return self._cached[key]

    # ---- one kernel that stands for all -------------------------------------------------------

    def mean_kernel(self) -> Tensor:
        """The mean of the kernels (kh, kw), each with the weight of its window."""
        rows = self.row_windows.to(self.kernels).mean(1)
        columns = self.column_windows.to(self.kernels).mean(1)
        return torch.einsum("i,j,ijkl->kl", rows, columns, self.kernels)

    def _preconditioner(self, step: Tensor) -> Callable[[Tensor], Tensor] | None:
        """(I + γKᵀK)⁻¹ with K the mean kernel under circular borders."""

        def solve(r: Tensor) -> Tensor:
            def compute() -> Tensor:
                kernel = place(self.mean_kernel().to(r), (0, 0), r.shape[-2:])
                row, column = self.center
                return rfft2(kernel.roll((-row, -column), (0, 1))).abs() ** 2

            weight = 1 + step * self._cache("mean", r, compute)
            return torch.fft.irfft2(rfft2(r) / weight, s=r.shape[-2:])

        return solve

    def initial_guess(self, y: Tensor) -> Tensor:
        """y itself; for `valid`, continued beyond the border; see `borders.continued`."""
        self._check(y, self.measurement_shape, "measurement")
        return continued(y, self._rows, self._columns)

    # ---- the norm -----------------------------------------------------------------------------

    def _prove_norm(self) -> NormBound:
        for kernel in self.kernels.flatten(0, 1):
            require_weight(kernel)
        return norms.collatz_wielandt(self)

    @property
    def has_norm_bound(self) -> bool:
        """Whether the kernels and windows are still free of negative entries."""
        return self.nonnegative and self.adjoint_matched

    def certificate_start(self) -> Tensor:
        """One channel is enough: the others are copies."""
        shape = (1, 1, self._rows.length, self._columns.length)
        return torch.ones(shape, dtype=torch.float64, device=self.kernels.device)

    def enclosure(self, v: Tensor, *, transpose: bool = False) -> tuple[Tensor, Tensor]:
        """Entrywise bounds of A v or Aᵀ v for v >= 0."""
        product, error = self._bounded(v.to(torch.float64), transpose)
        return (product - error).clamp_min(0), product + error

    def normal_enclosure(self, v: Tensor) -> tuple[Tensor, Tensor]:
        """Entrywise bounds of AᵀA v for v > 0.

        The error of A v is handed on multiplied by a column sum of A: at most the pieces that share
        a pixel, times the largest weight of a kernel, of the windows and of copied pixels.
        """
        y, e1 = self._bounded(v.to(torch.float64), False)
        product, e2 = self._bounded(y, True)
        copies, pieces, weight, total = self._sizes()
        error = (copies * pieces * weight * total * e1 + e2) * 1.01  # and this line's roundings
        return product - error, product + error

    def _sizes(self) -> tuple[int, int, float, float]:
        """Copies of a pixel, pieces that share one, weight of a kernel, sum of windows: bounds."""
        copies = self._rows.largest_multiplicity * self._columns.largest_multiplicity
        sums = (w.to(torch.float64).sum(0).max() for w in (self.row_windows, self.column_windows))
        weight = self.kernels.to(torch.float64).sum((-2, -1)).max()
        total = float(next(sums)) * float(next(sums))
        pieces = self._down.overlap * self._across.overlap
        return copies, pieces, 1.01 * float(weight), 1.01 * total

    def _bounded(self, v: Tensor, transpose: bool) -> tuple[Tensor, float]:
        """A v or Aᵀ v by FFT on a power-of-two grid, and a bound of the error of each entry.

        Beside the FFT's, of every piece: products with windows that are products themselves, and
        sums of as many terms as pieces share a pixel, then as many as padding copied it.
        """
        copies, pieces, weight, total = self._sizes()
        seen, grid = self._inputs(), self._powers()
        kernels = self.kernels.to(torch.float64)
        unit = fft_convolution_error(float(kernels.flatten(2).norm(dim=2).max()), grid)
        transform, windows = self._transform(grid, v), self._blend(v)
        corner = (self._rows.taps - 1, self._columns.taps - 1)
        roundings = (pieces + 4) * EPS
        if not transpose:
            cut = self._cut(pad(v, self._rows, self._columns), seen)
            blurred = crop(multiply(cut, transform, grid), corner, self._outputs())
            error = unit * _largest_norm(cut)
            error += roundings * (float(blurred.abs().max()) + error)
            y = self._pasted(blurred * windows, self._outputs(), self.measurement_shape[1:])
            return y, 1.01 * total * error
        cut = self._cut(v, self._outputs()) * windows
        full = multiply(place(cut, corner, grid), transform.conj(), grid)
        back = crop(full, (0, 0), seen)
        error = unit * _largest_norm(cut) + 4 * EPS * weight * float(cut.abs().max())
        error = pieces * (error + roundings * (float(back.abs().max()) + error))
        z = self._pasted(back, seen, (self._rows.padded, self._columns.padded))
        x = pad_transpose(z, self._rows, self._columns)
        folds = (self._rows.taps + self._columns.taps) * EPS
        error = copies * (error + folds * (float(z.abs().max()) + error))
        return x, 1.01 * error

    def _powers(self) -> tuple[int, int]:
        height, width = self._inputs()
        return 1 << (height - 1).bit_length(), 1 << (width - 1).bit_length()

    def _forget(self) -> None:
        super()._forget()
        self._cached.clear()


def _largest_norm(pieces: Tensor) -> float:
    return float(pieces.flatten(-2).norm(dim=-1).max())

"""Magnetic resonance off the grid: k-space along spokes or any other trajectory, summed exactly.

Each sample is a sum over all pixels, written as two small matrix products; there is no gridding and
so no error of interpolation. It costs as many multiplications as samples times pixels, which suits
pictures of a few hundred pixels a side; AᵀA is a Toeplitz matrix and takes two FFTs of twice the
size. Channels, the order of pixels and the scale are those of `operators.mri`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from operators.base import LinearOperator
from operators.errors import OperatorError
from operators.mri import checked_maps, to_channels, to_complex
from operators.norms import EPS, NormBound, power_iteration_estimate, round_up

BOUND = "largest eigenvalue of a circulant matrix that holds the Toeplitz matrix AᵀA"


def radial_trajectory(spokes: int, samples: int) -> Tensor:
    """Diameters at even angles, (spokes·samples, 2), in cycles per pixel from −½ to ½."""
    if spokes < 1 or samples < 1:
        raise OperatorError(f"found {spokes} spokes of {samples} samples; expected at least one")
    angle = torch.arange(spokes, dtype=torch.float64)[:, None] * (math.pi / spokes)
    radius = (torch.arange(samples, dtype=torch.float64) - samples // 2) / samples
    return torch.stack([radius * angle.sin(), radius * angle.cos()], -1).reshape(-1, 2)


class NonuniformMRI(LinearOperator):
    """y_ck = (HW)^−½ Σ_p s_c(p) x(p) e^{−2πi ⟨ω_k, p − p₀⟩}: k-space at any frequencies ω_k.

    Args:
        trajectory: ω, (K, 2): rows, columns, in cycles per pixel; p₀ is the pixel (H // 2, W // 2).
        size: (H, W).
        coil_maps: complex (N, H, W), or None.
        noise_model: applied by `forward`.

    Shapes: pictures (B, 2, H, W), real and imaginary part; measurements (B, 2, K), or
    (B, 2, N, K) with coil maps.

    Raises:
        OperatorError: for a trajectory that is empty, of another shape or not finite, or maps as
            in `MRI`.

    Norm: without maps AᵀA is Toeplitz, a part of a circulant matrix C on 2H × 2W pixels, whose
    eigenvalues are a DFT; λ_max of a part is at most λ_max(C) (Chan & Ng 1996, SIAM Rev. 38, for
    the embedding). Maps multiply the bound by the largest √Σ|s_c|².
    """

    trajectory: Tensor
    maps: Tensor | None

    def __init__(
        self,
        trajectory: Tensor,
        size: Sequence[int],
        coil_maps: Tensor | None = None,
        *,
        noise_model: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        if not isinstance(trajectory, Tensor) or not trajectory.is_floating_point():
            raise OperatorError("the trajectory is no real tensor; expected frequencies (K, 2)")
        if trajectory.ndim != 2 or trajectory.shape[1] != 2 or len(trajectory) == 0:
            raise OperatorError(
                f"the trajectory has shape {tuple(trajectory.shape)}; expected (K, 2), K samples"
            )
        if not bool(torch.isfinite(trajectory).all()):
            raise OperatorError("the trajectory holds frequencies that are not finite")
        count, plane = len(trajectory), tuple(int(n) for n in size)
        coils = "" if coil_maps is None else f", {len(coil_maps)} coils"
        super().__init__(
            f"MRI with {count} samples off the grid{coils}",
            (2, *plane),
            (2, count) if coil_maps is None else (2, len(coil_maps), count),
            noise_model=noise_model,
        )
        held = None if coil_maps is None else checked_maps(coil_maps, plane)
        with torch.inference_mode(False):
            self.register_buffer("trajectory", trajectory.detach().clone())
            self.register_buffer("maps", None if held is None else held.clone())

    # ---- the maps -------------------------------------------------------------------------

    def _forward_map(self, x: Tensor) -> Tensor:
        rows, columns = self._waves(x)
        z = to_complex(x)
        maps = self._complex_maps(z)
        z = z if maps is None else maps * z[:, None]
        return to_channels(((rows @ z) * columns).sum(-1))

    def _transpose_map(self, y: Tensor) -> Tensor:
        rows, columns = self._waves(y)
        w = to_complex(y)
        return to_channels(self._combined(rows.mH @ (w[..., None] * columns.conj())))

    def normal(self, x: Tensor) -> Tensor:
        """Aᵀ A x by two FFTs of twice the size."""
        self._check(x, self.image_shape, "image")
        z = to_complex(x)
        maps = self._complex_maps(z)
        z = z if maps is None else maps * z[:, None]
        height, width = self.image_shape[1:]
        spectrum = torch.fft.fft2(z, s=(2 * height, 2 * width)) * self._eigenvalues(x)
        return to_channels(self._combined(torch.fft.ifft2(spectrum)[..., :height, :width]))

    def _combined(self, images: Tensor) -> Tensor:
        maps = self._complex_maps(images)
        return images if maps is None else (maps.conj() * images).sum(1)

    # ---- what is kept -----------------------------------------------------------------------

    def _waves(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """(K, H) and (K, W), scaled together by (HW)^−½."""

        def make() -> tuple[Tensor, ...]:
            height, width = self.image_shape[1:]
            centred = (torch.arange(n, dtype=torch.float64) - n // 2 for n in (height, width))
            parts = []
            for axis, place in enumerate(centred):
                along = self.trajectory[:, axis].to(like.device, torch.float64)
                turns = along[:, None] * place.to(like.device)
                size = torch.full_like(turns, len(place) ** -0.5)
                kind = torch.promote_types(like.dtype, torch.complex64)
                parts.append(torch.polar(size, -2 * math.pi * turns).to(kind))
            return tuple(parts)

        rows, columns = self._made(("waves", like.dtype, like.device), make)
        return rows, columns

    def _complex_maps(self, like: Tensor) -> Tensor | None:
        if self.maps is None:
            return None
        held = self.maps
        (found,) = self._made(
            ("maps", like.dtype, like.device),
            lambda: (torch.complex(*held.double()).to(like.device, like.dtype),),
        )
        return found

    def _eigenvalues(self, like: Tensor) -> Tensor:
        (found,) = self._made(
            ("eigenvalues", like.dtype, like.device),
            lambda: (self._circulant().to(like),),
        )
        return found

    def _made(self, key: object, make: Callable[[], tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
        """As the transforms of `Convolution`, made anew with the next fingerprint."""
        if key not in self._kept:
            with torch.inference_mode(False), torch.no_grad():
                self._kept[key] = make()
        found: tuple[Tensor, ...] = self._kept[key]
        return found

    def _circulant(self) -> Tensor:
        """Eigenvalues (2H, 2W) of the circulant matrix, float64: the DFT of Σ_k e^{2πi⟨ω_k, d⟩}/HW
        for differences d of pixels, with 0 at the differences H and W, which do not occur."""
        height, width = self.image_shape[1:]
        sums = []
        for axis, n in enumerate((height, width)):
            d = torch.cat([torch.arange(n), torch.zeros(1), torch.arange(1 - n, 0)]).double()
            turns = self.trajectory[:, axis].double()[:, None] * d.to(self.trajectory.device)
            waves = torch.polar(torch.full_like(turns, 1 / n), 2 * math.pi * turns)
            waves[:, n] = 0
            sums.append(waves)
        return torch.fft.fft2(sums[0].mT @ sums[1]).real

    # ---- what is proven -----------------------------------------------------------------------

    def _prove_norm(self) -> NormBound:
        height, width = self.image_shape[1:]
        count, places = len(self.trajectory), 4 * height * width
        reach = float(self.trajectory.double().abs().max()) * (height + width)
        # Each of the sums of K unit terms is off by at most (K + the rounding of its angle) ε K/HW
        # (Higham 2002, §3.1), the DFT adds up 4HW of them; its own rounding is relative to the
        # Euclidean norm (§24.1), for any order of factors with room to spare.
        error = 4 * count * (count + 8 * math.pi * reach + 16) * EPS
        size = count / (height * width) * math.sqrt(places)
        error += 16 * math.log2(places) * EPS * math.sqrt(places) * size
        square = float(self._circulant().max()) + error
        if self.maps is not None:
            peak = float(self.maps.double().square().sum((0, 1)).max())
            square *= peak * (1 + 2 * (2 * self.maps.shape[1] + 2) * EPS)
        value = round_up(math.sqrt(square))
        lower = power_iteration_estimate(self, torch.Generator().manual_seed(0), iterations=20)
        return NormBound(value, min(value, lower), BOUND, "Chan & Ng 1996, SIAM Rev. 38")

    def _sign(self) -> bool:
        """A Fourier sum over more than one pixel has negative entries, or its parts have."""
        return False

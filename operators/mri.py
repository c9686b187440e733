"""Magnetic resonance on a Cartesian grid: one or several receiver coils, a sampling mask.

Pictures are complex, with the real and the imaginary part as two channels: (B, 2, H, W). The
transform is the orthonormal, centred DFT, zero frequency at (H // 2, W // 2). Both are deepinv's
conventions, so that masks, maps and data can be exchanged as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from operators.base import LinearOperator
from operators.errors import OperatorError
from operators.norms import EPS, NormBound, power_iteration_estimate, round_down, round_up

FULL = "root of the sum of squared coil maps, at the pixel where it is largest"


def to_complex(x: Tensor) -> Tensor:
    """(B, 2, ...) real to (B, ...) complex."""
    return torch.complex(x[:, 0], x[:, 1])


def to_channels(z: Tensor) -> Tensor:
    """(B, ...) complex to (B, 2, ...) real: real part, imaginary part."""
    return torch.stack([z.real, z.imag], 1)


def centred_fft(z: Tensor) -> Tensor:
    """The orthonormal DFT of the last two axes, zero frequency in the middle."""
    axes = (-2, -1)
    shifted = torch.fft.fft2(torch.fft.ifftshift(z, axes), norm="ortho")
    return torch.fft.fftshift(shifted, axes)


def centred_ifft(z: Tensor) -> Tensor:
    """The inverse and the adjoint of `centred_fft`, which is unitary."""
    axes = (-2, -1)
    shifted = torch.fft.ifft2(torch.fft.ifftshift(z, axes), norm="ortho")
    return torch.fft.fftshift(shifted, axes)


class MRI(LinearOperator):
    """y_c = M F (s_c e^{iφ} x): k-space of a complex picture, where it was sampled.

    F is the orthonormal, centred DFT, M keeps the sampled frequencies and puts 0 at the others.

    Args:
        mask: True or 1 at sampled frequencies, else False or 0; (H, W), zero frequency at
            (H // 2, W // 2).
        coil_maps: sensitivities s_c, complex (N, H, W), finite and not all zero; None for a single
            coil that sees every pixel alike.
        phase: φ in radians, real (H, W): pictures are e^{−iφ} times the complex one, such as its
            nearly real part. e^{iφ} is unitary: norm and closed form are those without it.
        noise_model: applied by `forward`, to sampled frequencies only.

    Shapes: pictures (B, 2, H, W), real and imaginary part. Measurements (B, 2, H, W) without coil
    maps, (B, 2, N, H, W) with them.

    Raises:
        OperatorError: for a mask that is not binary or holds no sample, or maps or a phase of
            another size.

    Norm: AᵀA ≤ diag(Σ|s_c|²), as 0 ≤ FᴴMF ≤ I, so ‖A‖ is at most the largest √Σ|s_c|²; it is 1 for
    normalised maps up to their rounding, and 1 exactly, and attained, for a single coil. As a map
    of real numbers A has the norm of the complex one. The proximal map is a closed form for a
    single coil, else by conjugate gradients with a proven error (Pruessmann et al. 1999 solve the
    same equations).
    """

    mask: Tensor
    maps: Tensor | None
    phase: Tensor | None

    def __init__(
        self,
        mask: Tensor,
        coil_maps: Tensor | None = None,
        phase: Tensor | None = None,
        *,
        noise_model: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        sampled = _checked_mask(mask)
        size = tuple(sampled.shape)
        coils = "" if coil_maps is None else f", {len(coil_maps)} coils"
        share = float(sampled.double().mean())
        super().__init__(
            f"MRI with {share:.1%} of k-space{coils}",
            (2, *size),
            (2, *size) if coil_maps is None else (2, len(coil_maps), *size),
            noise_model=noise_model,
        )
        held = None if coil_maps is None else checked_maps(coil_maps, size)
        turned = None if phase is None else _checked_phase(phase, size)
        # A tensor made under inference_mode could not be used in a differentiated call later.
        with torch.inference_mode(False):
            self.register_buffer("mask", sampled.clone())
            # Parts as two real planes: a module that is moved to another precision would drop the
            # imaginary part of a complex buffer.
            self.register_buffer("maps", None if held is None else held.clone())
            self.register_buffer("phase", None if turned is None else turned.clone())

    # ---- the maps -------------------------------------------------------------------------

    def _forward_map(self, x: Tensor) -> Tensor:
        return to_channels(self._spectrum(to_complex(x))) * self.mask.to(x.device)

    def _transpose_map(self, y: Tensor) -> Tensor:
        return to_channels(self._combined(to_complex(y * self.mask.to(y.device))))

    def _spectrum(self, z: Tensor) -> Tensor:
        """F (s_c e^{iφ} z) without the mask."""
        factor = self._factor(z)
        if factor is None:
            return centred_fft(z)
        return centred_fft(factor * (z if self.maps is None else z[:, None]))

    def _combined(self, w: Tensor) -> Tensor:
        """Σ conj(s_c e^{iφ}) Fᴴ w, the adjoint of `_spectrum`."""
        images, factor = centred_ifft(w), self._factor(w)
        if factor is None:
            return images
        combined = factor.conj() * images
        return combined if self.maps is None else combined.sum(1)

    def _factor(self, like: Tensor) -> Tensor | None:
        """s_c e^{iφ}, (N, H, W) or (H, W), in the precision and place of `like`; None for 1.

        As the transforms of `Convolution` it is made anew with the next fingerprint.
        """
        if self.maps is None and self.phase is None:
            return None
        key = ("factor", like.dtype, like.device)
        if key not in self._kept:
            with torch.inference_mode(False), torch.no_grad():
                self._kept[key] = self._exact_factor().to(like.device, like.dtype)
        found: Tensor = self._kept[key]
        return found

    def _exact_factor(self) -> Tensor:
        factor = torch.ones((), dtype=torch.complex128, device=self.mask.device)
        if self.phase is not None:
            angle = self.phase.double()
            factor = torch.polar(torch.ones_like(angle), angle)
        if self.maps is not None:
            factor = factor * torch.complex(*self.maps.double())
        return factor

    def forward(self, x: Tensor) -> Tensor:
        """A x with noise at the sampled frequencies; zero at the others."""
        noisy = super().forward(x)
        return noisy * self.mask.to(noisy.device)

    # ---- least squares ----------------------------------------------------------------------

    def A_dagger(self, y: Tensor, tol: float = 1e-6, max_iter: int = 200) -> Tensor:
        """Aᵀy for a single coil, where A is a partial isometry; else see the base."""
        if self.maps is None:
            return self.A_adjoint(y)
        return super().A_dagger(y, tol, max_iter)

    def _has_closed_form(self) -> bool:
        return self.maps is None

    def _closed_prox(self, z: Tensor, y: Tensor, step: Tensor) -> Tensor:
        """The sampled frequencies of z drawn towards y by γ/(1 + γ), the others kept."""
        misfit = self._forward_map(z) - y * self.mask.to(y.device)
        return z - self._transpose_map(step / (1 + step) * misfit)

    # ---- what is proven -----------------------------------------------------------------------

    def _sum_of_squares(self) -> Tensor:
        """Σ|s_c|² in float64, (H, W)."""
        assert self.maps is not None
        return self.maps.double().square().sum((0, 1))

    def _margin(self) -> float:
        """Relative error of `_sum_of_squares`, a sum of 2N squares (Higham 2002, §3.1), doubled."""
        assert self.maps is not None
        return 2 * (2 * self.maps.shape[1] + 2) * EPS

    def _prove_norm(self) -> NormBound:
        if self.maps is None:
            return NormBound(1.0, 1.0, "a mask between unitary maps", "exact")
        peak = float(self._sum_of_squares().max())
        value = round_up((peak * (1 + self._margin())) ** 0.5)
        if bool(self.mask.all()):  # attained by the picture of this one pixel
            lower = round_down((peak * (1 - self._margin())) ** 0.5)
        else:
            seeded = torch.Generator().manual_seed(0)
            lower = min(value, power_iteration_estimate(self, seeded, iterations=10))
        return NormBound(value, lower, FULL, "0 ≤ FᴴMF ≤ I, and the norm of a diagonal")

    def _prove_gram(self) -> float:
        if not bool(self.mask.all()):
            return 0.0
        if self.maps is None:
            return 1.0
        return round_down(float(self._sum_of_squares().min()) * (1 - self._margin()))

    def _sign(self) -> bool:
        """A DFT of more than one pixel has negative entries."""
        return self.mask.numel() == 1 and self.maps is None and self.phase is None


def _checked_mask(mask: Tensor) -> Tensor:
    if not isinstance(mask, Tensor):
        raise OperatorError(f"the mask is a {type(mask).__name__}; expected a torch tensor")
    if mask.ndim != 2 or mask.numel() == 0:
        raise OperatorError(f"the sampling mask has shape {tuple(mask.shape)}; expected (H, W)")
    sampled = mask.detach() == 1
    others = int((~sampled & (mask.detach() != 0)).sum())  # NaN is neither
    if others:
        raise OperatorError(
            f"the sampling mask is not binary: {others} of {mask.numel()} values are neither 0 nor "
            "1; compare it with a threshold, 1 (True) meaning sampled"
        )
    if not bool(sampled.any()):
        raise OperatorError("no frequency is sampled: the mask is 0 everywhere")
    return sampled


def checked_maps(maps: Tensor, size: Sequence[int]) -> Tensor:
    """(2, N, H, W), real and imaginary parts."""
    if not isinstance(maps, Tensor) or not maps.is_complex():
        found = maps.dtype if isinstance(maps, Tensor) else type(maps).__name__
        raise OperatorError(f"the coil maps are {found}; expected a complex tensor (N, H, W)")
    if maps.ndim != 3 or len(maps) == 0 or tuple(maps.shape[1:]) != tuple(size):
        raise OperatorError(
            f"the coil maps have shape {tuple(maps.shape)}; expected (N, {size[0]}, {size[1]}), "
            "the size of the mask"
        )
    parts = torch.stack([maps.detach().real, maps.detach().imag])
    if not bool(torch.isfinite(parts).all()) or not bool(parts.any()):
        raise OperatorError("the coil maps are zero everywhere, or not finite")
    return parts


def _checked_phase(phase: Tensor, size: Sequence[int]) -> Tensor:
    if not isinstance(phase, Tensor) or not phase.is_floating_point():
        raise OperatorError("the phase is no real tensor; expected angles in radians, (H, W)")
    if tuple(phase.shape) != tuple(size) or not bool(torch.isfinite(phase).all()):
        raise OperatorError(
            f"the phase has shape {tuple(phase.shape)}, or is not finite; expected {tuple(size)}, "
            "the size of the mask"
        )
    return phase.detach()

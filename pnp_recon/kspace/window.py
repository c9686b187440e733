"""The square of complex numbers that is mapped to the [0, 1]² of solvers and priors.

Priors know pictures in [0, 1]; a complex picture has parts of either sign. For x = low + w u, with
one width w for both parts, A x = y says A u = (y − A low)/w. So the problem in u has the *same*
operator and norm, hence the same range of steps and the same constants in the certificate. The
box [0, 1] for both channels of u is a square for x: compact and convex, so that fixed points exist.

Real and imaginary part are two channels, on each of which a grey denoiser or energy acts by
itself. A product of averaged maps is averaged with the larger constant, and a sum of energies is an
energy. A phase φ goes into the operator (`operators.MRI`): what is then iterated, seen in pictures
before it, is x ↦ e^{iφ} D(e^{−iφ} x), D conjugated by a unitary map, which keeps every constant;
R(e^{−iφ} x) is an energy with the same constants likewise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from operators.base import LinearOperator
from pnp_recon.errors import InputError

# Room below zero for the real part where the phase is known, as a share of the scale.
NEGATIVE = 0.125


@dataclass(frozen=True)
class ComplexWindow:
    """Complex numbers whose real part lies in [real, real + width], the imaginary part likewise.

    Raises:
        InputError: not finite, or no width.
    """

    real: float
    imaginary: float
    width: float

    def __post_init__(self) -> None:
        numbers = (self.real, self.imaginary, self.width)
        if not all(map(math.isfinite, numbers)) or self.width <= 0:
            raise InputError(
                f"the window begins at ({self.real}, {self.imaginary}) and is {self.width} wide; "
                "expected finite numbers and a width above 0"
            )

    @property
    def words(self) -> str:
        """The square in words."""
        ends = [
            f"{name} part {low:.4g} to {low + self.width:.4g}"
            for name, low in (("real", self.real), ("imaginary", self.imaginary))
        ]
        return ", ".join(ends)

    def to_unit(self, x: Tensor) -> Tensor:
        """u of pictures (B, 2, H, W)."""
        return (x - self._low(x)) / self.width

    def from_unit(self, u: Tensor) -> Tensor:
        """low + w u."""
        return self._low(u) + self.width * u

    def measurements(self, A: LinearOperator, y: Tensor) -> Tensor:
        """The y' of the problem in u: A u = y' says what A x = y does."""
        like = torch.zeros((1, *A.image_shape), dtype=y.dtype, device=y.device)
        return (y - A.A(like + self._low(y))) / self.width

    def noise_level(self, sigma: float) -> float:
        """Standard deviation of the noise in each part of `measurements`, for `sigma` in y's."""
        return sigma / self.width

    def _low(self, like: Tensor) -> Tensor:
        return like.new_tensor([self.real, self.imaginary]).view(1, 2, 1, 1)


def window_for(scale: float, nearly_real: bool) -> ComplexWindow:
    """The window of pictures whose modulus is at most `scale`.

    Args:
        scale: > 0.
        nearly_real: the phase was taken away: the real part has little below zero, and the square
            can be smaller; the imaginary part lies around zero.
    """
    if nearly_real:
        width = scale * (1 + NEGATIVE)
        return ComplexWindow(-NEGATIVE * scale, -width / 2, width)
    return ComplexWindow(-scale, -scale, 2 * scale)

"""½ Σ wᵢ((k * x)ᵢ − yᵢ)² as a function of the kernel k, on the simplex, where x stands still.

Quadratic in k. As Σk = 1, the mean m of the picture can be taken off: k * x − y = k * (x − m) −
(y − m). Without it the curvature is not ruled by the brightness, and no gradient changes but by a
constant, which is normal to the simplex. It knows no prior.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from operators.borders import Boundary, axes, pad
from operators.fourier import crop, next_smooth, place, rfft2
from operators.norms import round_up
from pnp_recon.proximal.simplex import project_simplex


@dataclass(frozen=True, eq=False)
class KernelTerm:
    """The misfit of a picture as a function of the kernel, in the precision of the picture.

    Attributes:
        spectrum: transform of the picture, continued beyond its border, less its mean.
        grid: (P, Q), on which nothing that is seen wraps around.
        data: y less that mean, (1, C, h, w); `weights` w ≥ 0 of that shape, or None for ones.
        taps: (kh, kw).
    """

    spectrum: Tensor
    grid: tuple[int, int]
    data: Tensor
    weights: Tensor | None
    taps: tuple[int, int]

    @classmethod
    def of(
        cls,
        x: Tensor,
        y: Tensor,
        weights: Tensor | None,
        boundary: Boundary,
        like: Tensor,
    ) -> KernelTerm:
        """The term of a picture x (1, C, H, W) under a border rule, for kernels of the shape of
        `like`."""
        rows, columns = axes(like, x.shape[1:], boundary, None)
        mean = x.mean()
        # A zero border is no constant: there the mean has to stay.
        mean = torch.zeros_like(mean) if boundary == "constant" else mean
        whole = pad(x - mean, rows, columns)
        height, width = (next_smooth(length) for length in whole.shape[-2:])
        return cls(
            rfft2(whole, (height, width)),
            (height, width),
            y.to(x) - mean,
            None if weights is None else weights.to(x),
            (rows.taps, columns.taps),
        )

    def residual(self, k: Tensor) -> Tensor:
        """k * x − y, (1, C, h, w)."""
        full = torch.fft.irfft2(self.spectrum * rfft2(place(k, (0, 0), self.grid)), s=self.grid)
        height, width = self.data.shape[-2:]
        return crop(full, self._corner, (height, width)) - self.data

    def value(self, k: Tensor) -> Tensor:
        r = self.residual(k)
        held = r if self.weights is None else self.weights * r
        return 0.5 * (r * held).sum()

    def gradient(self, k: Tensor) -> Tensor:
        """(kh, kw); up to a constant, that of the mean."""
        r = self.residual(k)
        held = r if self.weights is None else self.weights * r
        lags = rfft2(place(held, self._corner, self.grid)) * self.spectrum.conj()
        whole = torch.fft.irfft2(lags.sum(dim=(0, 1)), s=self.grid)
        return whole[: self.taps[0], : self.taps[1]]

    @property
    def lipschitz(self) -> float:
        """A proven Lipschitz constant of the gradient along the simplex: ‖k * x‖ ≤ max|x̂|·‖k‖."""
        power = float(self.spectrum.abs().double().square().sum(dim=(0, 1)).max())
        heaviest = 1.0 if self.weights is None else float(self.weights.max())
        return round_up(1.001 * heaviest * power)  # x̂ is off by rounding

    @property
    def _corner(self) -> tuple[int, int]:
        return self.taps[0] - 1, self.taps[1] - 1


def projected_step(term: KernelTerm, k: Tensor, step: float) -> Tensor:
    """P(k − step·∇) with the projection on the simplex."""
    return project_simplex(k - step * term.gradient(k))


def minimised(term: KernelTerm, k: Tensor, count: int) -> Tensor:
    """`count` accelerated projected gradients from k (Beck & Teboulle 2009), begun anew where the
    momentum points uphill (O'Donoghue & Candès 2015). The last one is a plain step."""
    step, ahead, momentum = 1 / term.lipschitz, k, 1.0
    for _ in range(count):
        new = projected_step(term, ahead, step)
        if float(((ahead - new) * (new - k)).sum()) > 0:
            ahead, momentum = k, 1.0
            continue
        following = (1 + math.sqrt(1 + 4 * momentum**2)) / 2
        ahead = new + (momentum - 1) / following * (new - k)
        k, momentum = new, following
    return projected_step(term, k, step)

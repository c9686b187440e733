"""Denoisers: a map, its noise level, and what is proven about it.

A `Denoiser` is called as denoiser(x, sigma), as in deepinv, and plugs into deepinv's priors as
it is. `guarantee` is of the map x ↦ denoiser(x, sigma) at every level of its range.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from pnp_recon import guarantees
from pnp_recon.contracts import PriorKind
from pnp_recon.errors import InputError
from pnp_recon.guarantees import Guarantee
from pnp_recon.priors.tiling import TILE, TILING_PIXELS, Tileable, tiled_network

Precision = Literal["float32", "bfloat16"]

BFLOAT16 = (
    "in bfloat16 every product is rounded to eight bits, by up to 2⁻⁸ of its size; the theorem is "
    "about exact arithmetic, and no bound of the Lipschitz constant of the rounded map is known"
)


class Denoiser(nn.Module):
    """A denoising map x, σ ↦ D_σ(x) with a guarantee.

    Args:
        function: called as function(x, sigma), x (B, C, H, W) in [0, 1], sigma a float.
        name: for reports.
        guarantee: proven for every level in `sigma_range`.
        channels: 1, 3, or None where any number will do. A grey denoiser acts on each channel
            of a colour picture, which keeps its constant.
        sigma_range: levels at which it may be used, [0, 1] scale.
        card: where it comes from (model card).
        tile: side of the tiles in which large pictures are denoised, "auto" for 1024 above two
            megapixels where the function tells its receptive field, None for never. Tiled or not,
            it is the same map up to rounding (`tiling`), and the guarantee is the same.
        precision: "bfloat16" for convolutions in bfloat16 (torch's autocast), faster where the
            processor knows them; pictures go in and out as they are, the weights are float32.
            Then there is no guarantee, whatever `guarantee` says: rounding is not covered.

    Raises:
        InputError: a tile for a function that does not tell its receptive field, or an unknown
            precision.
    """

    kind: ClassVar[PriorKind] = "denoiser"

    def __init__(
        self,
        function: Callable[[Tensor, float], Tensor],
        name: str,
        guarantee: Guarantee,
        channels: int | None = None,
        sigma_range: tuple[float, float] = (0.0, 1.0),
        card: Mapping[str, Any] | None = None,
        tile: int | Literal["auto"] | None = "auto",
        precision: Precision = "float32",
    ) -> None:
        super().__init__()
        if precision not in get_args(Precision):
            known = ", ".join(get_args(Precision))
            raise InputError(f"unknown precision {precision!r}; known: {known}")
        if isinstance(tile, int) and not isinstance(function, Tileable):
            raise InputError(
                f"denoiser {name} does not tell its receptive field (alignment, halo, paddings), "
                "so it cannot work in tiles; leave tile out"
            )
        self.function = function
        self.name, self.guarantee, self.channels = name, guarantee, channels
        self.sigma_range = sigma_range
        self.card = dict(card or {})
        self.tile, self.precision = tile, precision
        if precision == "bfloat16":
            self.guarantee = guarantees.none(BFLOAT16)

    def forward(self, x: Tensor, sigma: float | Tensor = 25 / 255) -> Tensor:
        """Denoises (B, C, H, W) at level sigma.

        Raises:
            InputError: if the level lies outside the range, or the channels do not fit.
        """
        level = self._level(sigma)
        if self.channels is None or x.shape[1] == self.channels:
            return self._denoised(x, level)
        if self.channels == 1:
            grey = x.reshape(-1, 1, *x.shape[-2:])
            return self._denoised(grey, level).reshape(x.shape)
        raise InputError(
            f"denoiser {self.name} is for {self.channels} channels, found a picture of "
            f"{x.shape[1]}; use a grey denoiser"
        )

    def _denoised(self, x: Tensor, level: float) -> Tensor:
        if self.precision == "float32":
            return self._in_tiles(x, level)
        with torch.autocast(x.device.type, torch.bfloat16):
            return self._in_tiles(x.float(), level).to(x.dtype)

    def _in_tiles(self, x: Tensor, level: float) -> Tensor:
        tile = self.tile
        if tile == "auto":
            tile = TILE if x.shape[-2] * x.shape[-1] > TILING_PIXELS else None
        if tile is None or not isinstance(self.function, Tileable) or max(x.shape[-2:]) <= tile:
            return self.function(x, level)
        return tiled_network(self.function, x, level, tile)

    def _level(self, sigma: float | Tensor) -> float:
        if isinstance(sigma, Tensor):
            if bool((sigma != sigma.flatten()[0]).any()):
                raise InputError("a denoiser runs at one noise level for the batch, found several")
            sigma = sigma.flatten()[0]
        level = float(sigma)
        low, high = self.sigma_range
        if not low * (1 - 1e-6) <= level <= high * (1 + 1e-6):
            raise InputError(
                f"denoiser {self.name} serves σ·255 from {low * 255:g} to {high * 255:g}, found "
                f"{level * 255:g}"
            )
        return level


def wrap(
    function: Callable[..., Tensor], name: str | None = None, guarantee: Guarantee | None = None
) -> Denoiser:
    """Any denoiser called as function(x, sigma), such as deepinv's.

    Without a declared guarantee, runs that use it report that there is none.
    """
    if isinstance(function, Denoiser):
        return function
    name = name or str(getattr(function, "name", type(function).__name__))
    if guarantee is None:
        guarantee = guarantees.none(f"denoiser {name} declares no Lipschitz constant")
    return Denoiser(function, name, guarantee)


@torch.no_grad()
def attained_ratio(
    function: Callable[[Tensor], Tensor], x: Tensor, steps: int = 50, scale: float = 1e-2
) -> float:
    """Largest ‖f(x+d) − f(x)‖/‖d‖ that gradient ascent on d and x finds: a *lower* bound.

    An attack on a certificate: what it attains must stay below the certified constant.
    `x` (1, C, H, W) is the start.
    """
    generator = torch.Generator().manual_seed(0)
    d = scale * torch.randn(x.shape, generator=generator, dtype=torch.float64).to(x)
    x, best = x.clone(), 0.0
    for _ in range(steps):
        with torch.enable_grad():
            point, offset = x.requires_grad_(), d.requires_grad_()
            ratio = (function(point + offset) - function(point)).norm() / offset.norm()
            move_x, move_d = torch.autograd.grad(ratio, (point, offset))
        best = max(best, float(ratio.detach()))
        x = x.detach() + 0.1 * x.detach().norm() * move_x / move_x.norm().clamp_min(1e-30)
        d = d.detach()
        d = d + 0.3 * d.norm() * move_d / move_d.norm().clamp_min(1e-30)
    return best

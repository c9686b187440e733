"""Denoisers: a map, its noise level, and what is proven about it.

A `Denoiser` is called as denoiser(x, sigma), as in deepinv, and plugs into deepinv's priors as
it is. `guarantee` is of the map x ↦ denoiser(x, sigma) at every level of its range, and of the
weights, the mode and the arithmetic that it has when it is asked for.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from pnp_recon import guarantees
from pnp_recon.contracts import PriorKind, PriorRecord
from pnp_recon.errors import InputError
from pnp_recon.guarantees import Guarantee
from pnp_recon.priors.arrays import OfArrays
from pnp_recon.priors.fingerprints import fingerprint
from pnp_recon.priors.proof import (
    CHANGED,
    HALF,
    TRAINING,
    changed,
    is_ours,
    narrow,
    proven_now,
    proves_itself,
    unsteady,
)
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
        guarantee: declared by the caller for every level in `sigma_range`, and for the function
            as it is now. None, or too little, for a function that proves its constant itself (the
            networks and classical denoisers of this package): then that is what holds.
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
        numbers: the parameters that the function was made with, for reports.

    Raises:
        InputError: a tile for a function that does not tell its receptive field, an unknown
            precision, or a declared constant below the one that is proven.
    """

    kind: ClassVar[PriorKind] = "denoiser"

    def __init__(
        self,
        function: Callable[[Tensor, float], Tensor],
        name: str,
        guarantee: Guarantee | None = None,
        channels: int | None = None,
        sigma_range: tuple[float, float] = (0.0, 1.0),
        card: Mapping[str, Any] | None = None,
        tile: int | Literal["auto"] | None = "auto",
        precision: Precision = "float32",
        numbers: Mapping[str, float] | None = None,
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
        self.name, self.channels = name, channels
        self.sigma_range = sigma_range
        self.card, self.numbers = dict(card or {}), dict(numbers or {})
        self.tile, self.precision = tile, precision
        # What is known, and of what: the fingerprint of the function.
        self._known: tuple[str, Guarantee] | None = None
        if guarantee is not None and not (proves_itself(function) and guarantee.holds):
            self._known = (fingerprint(function), guarantee)
        elif guarantee is not None:
            self._refuse_better_than(guarantee)

    @property
    def guarantee(self) -> Guarantee:
        """What holds of the map as it is now; proven again when the function has changed.

        A declared constant dies with a change. It takes a hash of the weights to ask: about a
        millisecond for each million of them.
        """
        if self.precision == "bfloat16":
            return guarantees.none(BFLOAT16)
        if (dtype := narrow(self)) is not None:
            return guarantees.none(f"{self.name}: {HALF.format(dtype=dtype)}")
        if type(self) is Denoiser and (what := changed(self)) is not None:
            return guarantees.none(f"{self.name} is not as it was made: it {what}")
        if (part := unsteady(self)) is not None:
            return guarantees.none(f"denoiser {self.name}: {TRAINING.format(part=part)}")
        mark = fingerprint(self.function)
        if self._known is None or self._known[0] != mark:
            self._known = (mark, self._found())
        return self._known[1]

    @property
    def proven(self) -> bool:
        """Is the guarantee proven by this package for what runs? Otherwise it is declared."""
        return is_ours(type(self)) and proves_itself(self.function)

    def _vouch(self, guarantee: Guarantee) -> None:
        """Sets what has been proven elsewhere of the function as it is now.

        For whoever loads weights whose proof the package keeps with their hash; see `models`.
        """
        self._known = (fingerprint(self.function), guarantee)

    def _found(self) -> Guarantee:
        if not proves_itself(self.function):
            declared = self._known is not None and self._known[1].holds
            reason = CHANGED if declared else "it declares no Lipschitz constant"
            return guarantees.none(f"denoiser {self.name}: {reason}")
        try:
            return proven_now(self.function)
        except ValueError as error:
            return guarantees.none(f"denoiser {self.name}: {error}")

    def _refuse_better_than(self, declared: Guarantee) -> None:
        proven = self.guarantee
        for name in ("averagedness", "lipschitz"):
            wanted, found = getattr(declared, name), getattr(proven, name)
            if wanted is not None and (found is None or wanted < found * (1 - 1e-6)):
                known = "nothing is proven" if found is None else f"{found:.9g} is proven"
                raise InputError(
                    f"{self.name} is declared to have {name} {wanted:.9g}, but of its weights "
                    f"{known}; leave the declaration out"
                )

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

    def record(self) -> PriorRecord:
        """The denoiser as reports describe it."""
        sha256 = self.card.get("sha256") or None
        return PriorRecord(self.kind, self.name, self.guarantee, self.numbers, sha256)

    def _denoised(self, x: Tensor, level: float) -> Tensor:
        if self.precision == "float32":
            # Certified arithmetic: a caller's autocast would round every product to eight bits.
            with torch.autocast(x.device.type, enabled=False):
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
    function: Callable[..., Any],
    name: str | None = None,
    guarantee: Guarantee | None = None,
    *,
    arrays: bool = False,
) -> Denoiser:
    """Any denoiser called as function(x, sigma), such as deepinv's.

    Without a declared guarantee (`guarantees.averaged(0.5, "why")`), runs that use it report that
    there is none.

    Args:
        function: takes pictures (B, C, H, W) and a noise level, both on the [0, 1] scale.
        name: for reports.
        guarantee: what the caller declares of it.
        arrays: it takes and gives NumPy arrays of one picture, (H, W) for one channel and (H, W, C)
            for more, as scikit-image does.

    Raises:
        InputError: it cannot be called so.
    """
    if isinstance(function, Denoiser):
        return function
    _check_call(function)
    own = getattr(function, "name", None) or getattr(function, "__name__", "<lambda>")
    name = name or (type(function).__name__ if own == "<lambda>" else str(own))
    if guarantee is None:
        guarantee = guarantees.none(f"denoiser {name} declares no Lipschitz constant")
    return Denoiser(OfArrays(function, name) if arrays else function, name, guarantee)


def _check_call(function: Any) -> None:
    """Refuses what does not take a picture and a noise level."""
    called = function.forward if isinstance(function, nn.Module) else function
    try:
        signature = inspect.signature(called)
        signature.bind(None, 0.1)
    except ValueError:
        return  # what is written in C may have no signature
    except TypeError as error:
        raise InputError(
            f"a denoiser is called as function(x, sigma), but {type(function).__name__} does not "
            f"take two arguments: {error}; wrap(lambda x, sigma: f(x)) makes one of an f that "
            "knows no noise level"
        ) from error
    if "physics" in list(signature.parameters)[:2]:
        raise InputError(
            f"{type(function).__name__} takes a physics second, no noise level; "
            "wrap(lambda x, sigma: f(x, sigma=sigma)) makes a denoiser of one that has both"
        )

"""What a classical denoiser is: a map of pictures with parameters, and the prior that it makes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, ClassVar

import torch
from torch import Tensor

from pnp_recon import guarantees
from pnp_recon.guarantees import Guarantee
from pnp_recon.priors.denoiser import Denoiser
from pnp_recon.proximal import Regulariser


class ClassicalMap(ABC):
    """A map x, σ ↦ D_σ(x) of pictures (B, C, H, W), each for itself.

    Subclasses are frozen dataclasses whose fields are the parameters, all with a default.

    Attributes:
        name: as in the catalogue.
        guarantee: proven of the map at every level and all parameters.
        inexactness: proven bound on how far a result may lie from that of the map that the
            guarantee is about, root mean square over the picture, in units of σ; rounding comes
            on top.
        differentiable: autograd passes through it, so that an attack may follow gradients.
    """

    name: ClassVar[str]
    guarantee: ClassVar[Guarantee]
    inexactness: ClassVar[float] = 0.0
    differentiable: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        """The denoised pictures, in the precision of x and where x is."""

    def regulariser(self, weight: float, channels: int) -> Regulariser | None:
        """The functional that it minimises, weighted; None where there is none.

        Args:
            weight: the functional's, against ½‖A x − y‖².
            channels: how many the picture has.
        """
        return None

    def prove(self) -> Guarantee:
        """What is left of `guarantee` inside an iteration: it follows from the map's form."""
        return iterated(self)

    def denoiser(self) -> Denoiser:
        """The prior for plug-and-play iterations."""
        numbers = asdict(self)  # type: ignore[call-overload]
        return Denoiser(self, self.name, numbers=numbers)


def iterated(method: Any) -> Guarantee:
    """What is left of a map's guarantee inside an iteration.

    Args:
        method: has `name`, `guarantee` and `inexactness` as in `ClassicalMap`.

    Returns:
        The guarantee; none for an inexact map: the theorems want errors whose sum is finite.
    """
    if method.inexactness > 0:
        return guarantees.none(
            f"{method.name} is computed up to an error of {method.inexactness:g}·σ per pixel, and "
            "such errors do not add up to a finite sum"
        )
    found: Guarantee = method.guarantee
    return found


def on_pictures(function: Callable[[Any], Any], x: Tensor) -> Tensor:
    """Applies a function of arrays to each picture of (B, C, H, W), on the CPU, in float64.

    The function takes and gives (H, W) for grey pictures and (H, W, C) for others.
    """
    pictures = x.detach().cpu().double().permute(0, 2, 3, 1)
    grey = x.shape[1] == 1
    out = [
        torch.as_tensor(function((picture[..., 0] if grey else picture).numpy().copy()))
        for picture in pictures
    ]
    stacked = torch.stack(out).reshape(pictures.shape).permute(0, 3, 1, 2)
    return stacked.to(device=x.device, dtype=x.dtype).contiguous()

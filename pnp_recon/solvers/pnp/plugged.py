"""A denoiser at a level, as iterations call it, and what theorems need to know of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pnp_recon import guarantees
from pnp_recon.errors import InputError, PnPReconError
from pnp_recon.guarantees import Guarantee
from pnp_recon.priors.denoiser import Denoiser
from pnp_recon.priors.placement import check_placement
from pnp_recon.problems.numbers import checked_number
from pnp_recon.solvers.core.theorem import Basis, Constant, Premise


@dataclass(frozen=True)
class Plugged:
    """A denoiser at a level, with its certified scaling c: D_c(x) = D(cx)/c.

    Raises:
        InputError: level or scaling is not a number, or the scaling not positive.
    """

    denoiser: Denoiser
    sigma: float
    scaling: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.denoiser, Denoiser):
            raise InputError(
                f"the denoiser is a {type(self.denoiser).__name__}; expected a Denoiser, as "
                "`load_denoiser` gives, or `wrap` around a function(x, sigma)"
            )
        checked_number("denoiser_level", self.sigma, least=0.0)
        checked_number("denoiser_scaling", self.scaling, above=0.0)

    def __call__(self, x: Tensor) -> Tensor:
        c = self.scaling
        if self.denoiser.proven:
            found = self.denoiser(x if c == 1 else c * x, self.sigma)
        else:  # it may write into what it is given, and give the same memory again
            found = self._called(c * x if c != 1 else x.clone()).clone()
        if found.shape != x.shape or found.dtype != x.dtype:
            raise InputError(
                f"denoiser {self.denoiser.name} makes {tuple(found.shape)} in {found.dtype} of "
                f"{tuple(x.shape)} in {x.dtype}; it must keep both"
            )
        return found if c == 1 else found / c

    def _called(self, x: Tensor) -> Tensor:
        """What somebody's function gives.

        Raises:
            InputError: it fails, or gives no tensor.
        """
        if (getattr(self.denoiser.function, "__module__", None) or "").startswith("pnp_recon."):
            return self.denoiser(x, self.sigma)
        what = f"denoiser {self.denoiser.name}"
        try:
            found: object = self.denoiser(x, self.sigma)
        except (PnPReconError, MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # whatever it runs into
            raise InputError(
                f"{what} fails on a tensor {tuple(x.shape)} at noise level {self.sigma:g}: "
                f"{type(error).__name__}: {' '.join(str(error).split())[:160]}; "
                "pnp_recon.wrap(function, arrays=True) is for functions of NumPy arrays"
            ) from error
        if not isinstance(found, Tensor):
            raise InputError(
                f"{what} gives a {type(found).__name__}; expected a tensor {tuple(x.shape)}; "
                "pnp_recon.wrap(function, arrays=True) is for functions of NumPy arrays"
            )
        return found

    def check_fits(self, picture: Tensor) -> None:
        """Refuses pictures in another precision or place than the denoiser's weights.

        Raises:
            InputError: naming both.
        """
        weights = next((p for p in self.denoiser.parameters() if p.is_floating_point()), None)
        if weights is None:
            return
        if self.denoiser.precision != "float32":
            if weights.dtype != torch.float32:
                raise InputError(
                    f"denoiser {self.denoiser.name} computes in {self.denoiser.precision}, its "
                    f"weights are in {weights.dtype}; load it with dtype=torch.float32"
                )
            return
        name = f"denoiser {self.denoiser.name}"
        check_placement(name, self.denoiser, picture, "load_denoiser")

    @property
    def guarantee(self) -> Guarantee:
        return guarantees.scale(self.denoiser.guarantee, self.scaling)

    def constant(self) -> Constant:
        held, name = self.denoiser.guarantee, self.denoiser.name
        if held.averagedness is None and held.lipschitz is not None:
            return Constant(f"Lipschitz constant of denoiser {name}", held.lipschitz, held.source)
        value = math.nan if held.averagedness is None else held.averagedness
        return Constant(f"averagedness of denoiser {name}", value, held.source)

    def premise(self) -> Premise:
        """That the constant holds: proven for the very weights, or as somebody declares."""
        held = self.denoiser
        if held.proven:
            return Premise(f"denoiser {held.name} has its constant, proven for its weights")
        guarantee = held.guarantee
        known = guarantee.averagedness or guarantee.lipschitz
        number = "" if known is None else f" ({known:.6g})"
        words = f"denoiser {held.name} has the constant that is declared for it{number}"
        return Premise(words, Basis.DECLARED)

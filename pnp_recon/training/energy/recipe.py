"""How learned energies are trained: denoising, then restoration at critical points. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pnp_recon.errors import InputError
from pnp_recon.training.denoiser.recipe import DenoiserRecipe

# Largest side of a kernel that is drawn, hence smallest side of a picture to be restored.
LARGEST_KERNEL = 31


@dataclass(frozen=True, kw_only=True)
class EnergyRecipe(DenoiserRecipe):
    """How an energy is trained.

    Attributes:
        inner, cg: iterations of a ridge energy's proximal map, and of conjugate gradients in its
            derivative, while it learns to denoise; with half as many it learns to make up for
            those that are missing.
        muon_rate: peak rate of the filters that Muon moves.
        critical: share of the steps, the last ones, at critical points.
        critical_batch, critical_patch: pictures of such a step, and their side.
        critical_rate: the rates there, relative to what the schedule says.
        solve: iterations to the critical point, the first ones in bfloat16 with `bf16`.
        adjoint: iterations of conjugate gradients with the Hessian.
        masks: share of problems with missing pixels; the others are blurs.
        strength: the weight of the energy is drawn around this multiple of the noise's variance.
        denoising: weight of the denoising loss in these steps.

    Raises:
        InputError: a value outside its range.
    """

    steps: Annotated[int, "Train for this many optimiser steps."] = 10000
    learning_rate: Annotated[float, "This is Adam's learning rate at its peak."] = 1e-3
    warmup: Annotated[int, "The learning rate rises for this many steps."] = 100
    ema: Annotated[float, "The weight average forgets at this rate, from 0 to 1."] = 0.998
    sigma_min: Annotated[float, "This is the lowest noise level, such as 0.004 or 1/255."] = (
        0.5 / 255
    )
    bf16: Annotated[
        bool, "The first iterations to a critical point compute networks in bfloat16."
    ] = True
    inner: Annotated[int, "Take this many iterations to a ridge energy's proximal point."] = 40
    cg: Annotated[int, "Take this many conjugate gradient steps in its derivative."] = 20
    muon_rate: Annotated[float, "This is Muon's learning rate at its peak."] = 0.01
    critical: Annotated[
        float, "Spend this share of the steps, the last ones, at critical points, from 0 to 1."
    ] = 0.0
    critical_batch: Annotated[int, "Restore this many pictures in each of these steps."] = 4
    critical_patch: Annotated[int, "These pictures are this many pixels wide."] = 96
    critical_rate: Annotated[float, "Rates at critical points are this share of the others."] = 0.1
    solve: Annotated[int, "Take this many iterations to the critical point."] = 40
    adjoint: Annotated[int, "Take this many conjugate gradient steps with the Hessian."] = 22
    masks: Annotated[float, "This share of the problems misses pixels; the rest is blur."] = 0.2
    strength: Annotated[float, "Draw the weight of the energy around this strength."] = 0.35
    denoising: Annotated[float, "Denoising weighs so much against restoration in these steps."] = (
        0.5
    )

    loss: ClassVar[str] = (
        "root of the squared error relative to the expected one, one level a picture, its root "
        "uniform; at critical points the logarithm of the squared error, differentiated with the "
        "Hessian of the energy, and denoising"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("inner", "cg", "critical_batch", "solve", "adjoint"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; expected at least 1")
        for name in ("critical", "masks"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} is {getattr(self, name):g}; expected 0 to 1")
        for name in ("muon_rate", "critical_rate", "strength"):
            if not 0 < getattr(self, name) < float("inf"):
                raise InputError(f"{name} is {getattr(self, name):g}; expected a positive number")
        if self.denoising < 0:
            raise InputError(f"denoising is {self.denoising:g}; expected 0 or more")
        if self.critical and self.critical_patch < LARGEST_KERNEL:
            raise InputError(
                f"critical-patch is {self.critical_patch}; expected at least {LARGEST_KERNEL}, "
                "the largest blur"
            )

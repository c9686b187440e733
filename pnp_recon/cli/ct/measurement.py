"""`pnp-ct`: line integrals and all that is known of them.

Imported after parsing: it loads torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor

from operators import RayTransform, ScanGeometry
from operators._storage import Storage
from pnp_recon.cli.ct.options import CtMethod, CtOptions
from pnp_recon.cli.run.session import Session
from pnp_recon.report import SourceFile


@dataclass(frozen=True, eq=False)
class Measurement:
    """Line integrals and what they are of. Numbers are float32 on the CPU.

    Attributes:
        y: (slices, 1, angles, detectors), or (1, angles, rows, columns) of a cone beam.
        A: the operator for one of the y.
        noise: standard deviation of the noise in y; `origin` says how it is known.
        weights: inverse variances of y, or None where all rays are worth the same.
        truth: attenuation (slices, 1, H, W) in 1/mm, where it is known.
        input_file: what was read.
        first: number of the first slice in the file.
        length: unit of lengths: "mm", or "pixel" (of the detector) where its size is not known.
        mask: zero where y is not to be believed, else one; None: all is.
        stripes: what detector pixels add to all views of y, to be fitted, or None.
        ridge: the noise's variance over that of the stripes, see `operators.StripeFilter`.
        calmer: there are stripes, so that no energy is the default.
        defects: numbers of what was mended, for the report.
        lines, warnings: what is to be said.
    """

    y: Tensor
    A: RayTransform
    noise: float
    origin: str
    weights: Tensor | None
    truth: Tensor | None
    input_file: SourceFile
    first: int = 0
    length: str = "mm"
    mask: Tensor | None = None
    stripes: Tensor | None = None
    ridge: float = math.inf
    calmer: bool = False
    defects: Mapping[str, float | int] = field(default_factory=dict)
    lines: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @cached_property
    def lengths(self) -> Tensor:
        """A 1: how much of the slice every ray crosses, (1, ...) as y, in the unit of lengths."""
        with torch.no_grad():
            return self.A.A(self.y.new_ones(1, *self.A.image_shape))

    @property
    def clean(self) -> Tensor:
        """y without its stripes, for whoever cannot fit them."""
        return self.y if self.stripes is None else self.y - self.stripes

    def weights_for(self, counted: bool) -> Tensor | None:
        """Inverse variances by the counts, or by the mask alone; None where all are alike."""
        if counted or self.mask is None:
            return self.weights if counted else None
        return self.mask / max(self.noise, 1e-12) ** 2


def on_device(found: Measurement, session: Session[CtOptions]) -> Measurement:
    """The same with device and precision of the session."""
    tensors = (found.y, found.weights, found.truth, found.mask, found.stripes)
    y, weights, truth, mask, stripes = (None if t is None else session.tensor(t) for t in tensors)
    assert y is not None
    return replace(found, y=y, weights=weights, truth=truth, mask=mask, stripes=stripes)


def storage_of(options: CtOptions, geometry: ScanGeometry) -> Storage:
    """A formula applies the operator a few times, for which no matrix is worth its building."""
    flat = geometry.kind in ("parallel", "fan_flat")
    return "on_the_fly" if options.method == CtMethod.fbp and flat else "auto"

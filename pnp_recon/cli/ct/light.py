"""`pnp-ct`: the noise of each ray by its photons, for landweber, which ends by an estimate of it.

Imported after parsing: it loads torch.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from operators import Inpainting
from operators.conjugate_gradient import per_image
from pnp_recon.cli.ct.measurement import Measurement
from pnp_recon.cli.ct.view import View
from pnp_recon.cli.run.case import Case
from pnp_recon.solvers.in_time import better_half, outweighing

# So few photons have a logarithm that is no Gaussian measurement; said of so many rays.
FEW, MANY_FEW = 10, 0.01
# Up to this share of the rays can be left out. More of them are an object that lets nothing
# through, of which it is known how dense it is at least: for metal in a disc, 8 % of the rays, the
# error of landweber was twice as large without them.
MANY_DIM = 0.01


def by_photons(case: Case, found: Measurement, view: View) -> Case:
    """The case with the noise of each ray, where its photons were counted.

    The squares stay without weights, with which an object that lets little through takes ten times
    as many steps, or more (docs/results/landweber.md).
    """
    if found.weights is None or not bool((found.weights > 0).any()):
        return case
    weights = view.window.weights(found.weights)
    lit = weights > 0
    variances = weights.clamp_min(weights[lit].min()).reciprocal()
    dim = ~lit | outweighing(variances, lit)
    if 0 < (share := float(dim.double().mean())) <= MANY_DIM:
        case = _left_out(case, dim)
    elif share:
        most = per_image(better_half(variances, lit), variances).to(variances)
        variances = torch.minimum(variances, most)
    few = float((found.weights < FEW).double().mean())
    dark = (
        f"{few:.0%} of the rays let fewer than {FEW} photons through, whose logarithm is biased: "
        "where the iteration ends is estimated less well, by 1 to 2 dB in trials; take a method "
        "with a prior"
    )
    return replace(
        case,
        noise_words=f"{case.noise_words}; that of each ray is as its photons say",
        arguments={**case.arguments, "noise_level": variances.sqrt()},
        warnings=(*case.warnings, dark) if few > MANY_FEW else case.warnings,
    )


def _left_out(case: Case, dim: Tensor) -> Case:
    """The case without rays of which next to nothing is known: steps have no weights."""
    seen = ~dim
    said = f"dim rays: {int(dim.sum())} of {dim.numel()} let hardly any light through; left out"
    A = Inpainting(seen.all(0), case.A.measurement_shape) @ case.A
    return replace(case, A=A, y=torch.where(seen.all(0), case.y, 0.0), lines=(*case.lines, said))

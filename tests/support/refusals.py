"""A small blur, its data and a short run of `reconstruct`, to be spoilt one argument at a time."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from laws.networks import picture
from laws.solvers import SIZE, TINY, blur, random_kernel
from pnp_recon import reconstruct
from pnp_recon.proximal import TotalVariation
from pnp_recon.solvers import Stopping

A = blur(random_kernel(0))
X = picture(2, *SIZE, seed=3)
Y = A.A(X)
FEW = Stopping(max_iter=3)
TV = TotalVariation(0.02, box=(0.0, 1.0))
NUMBERS = (math.nan, math.inf, -math.inf)


def run(**changes: Any) -> Any:
    given = {"y": Y, "A": A, "prior": TINY, "noise_level": 0.02, "stopping": FEW, **changes}
    return reconstruct(**given)


def spoilt(value: float) -> Tensor:
    y = Y.clone()
    y[1, 0, 2, 3] = value
    return y

"""`dpir:NAME`: the published schedule of DPIR with any denoiser inside, for comparison.

It reconstructs and has no guarantee; what it does is in `solvers.pnp.schedule`. Here is only that a
method of that name brings this solver in place of the suite's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from pnp_recon import guarantees
from pnp_recon.benchmark.methods.base import Method
from pnp_recon.errors import InputError
from pnp_recon.priors.denoiser import Denoiser

PREFIX = "dpir:"
SOLVER = "dpir"


class InSchedule(Method):
    """A method inside DPIR's schedule.

    Args:
        method: any other one; its denoiser runs.

    Raises:
        InputError: it is one of these itself.
    """

    solver = SOLVER
    guarantee = guarantees.none("a schedule of changing maps; no convergence theorem covers it")

    def __init__(self, method: Method) -> None:
        if method.solver is not None:
            raise InputError(
                f"method {PREFIX}{method.name}: {method.name} brings a solver of its own; expected "
                f"{PREFIX}NAME with the name of a denoiser"
            )
        self._method = method
        self.name, self.channels = f"{PREFIX}{method.name}", method.channels
        self.sigma_range, self.sha256 = method.sigma_range, method.sha256

    def denoise(self, x: Tensor, sigma: float, *args: Any, **parameters: Any) -> Tensor:
        """Refuses: the schedule begins far above any noise.

        Raises:
            InputError: always.
        """
        raise InputError(f"method {self.name} reconstructs; take {self._method.name} to denoise")

    def prior(
        self, parameters_at: Callable[[float], Mapping[str, float]] | None = None
    ) -> Denoiser:
        """The denoiser of the method within."""
        return self._method.prior(parameters_at)

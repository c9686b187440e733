"""Distance from cells: when its proximal map is a closed form."""

from __future__ import annotations

import torch

from operators import LinearOperator
from operators.jpeg import Component, JPEGCoefficients
from pnp_recon.fidelity.cells import CellDistance


def test_the_closed_form_rests_on_what_is_proven_and_not_on_an_attribute() -> None:
    own = JPEGCoefficients([Component((2, 2))])
    y = torch.zeros(1, 256, dtype=torch.float64)
    assert CellDistance(own, y, y + 1, 1.0).exact_prox

    class Doubling(LinearOperator):
        """Says that it is orthonormal, and doubles."""

        orthonormal = True

        def _forward_map(self, x: torch.Tensor) -> torch.Tensor:
            return 2 * x.flatten(1)

        def _transpose_map(self, v: torch.Tensor) -> torch.Tensor:
            return 2 * v.reshape(-1, 1, 16, 16)

    other = Doubling("doubling", (1, 16, 16), (256,), nonnegative=True)
    assert not CellDistance(other, y, y + 1, 1.0).exact_prox

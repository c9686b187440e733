"""diag(w)^½ A: a measurement whose entries count by weights, as the noise of each allows.

An entry of no weight was not seen, as a clipped pixel is not. What is solved with it keeps the fast
solver that the operator has by itself.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from operators.base import LinearOperator
from operators.channelwise import Channelwise
from operators.combined import Combined, carried, rounded
from operators.convolution import Convolution
from operators.norms import round_up


class RowScaled(Combined):
    """diag(root)·A; `root` may differ between the pictures of a batch, its norm is for one.

    Args:
        operator: A.
        root: >= 0, (B, *measurement_shape), or with 1 for B.
    """

    root: Tensor

    def __init__(self, operator: LinearOperator, root: Tensor) -> None:
        super().__init__(
            f"weighted {operator.name}",
            [operator],
            operator.image_shape,
            operator.measurement_shape,
            noise_model=None,
        )
        self.register_buffer("root", root)

    def _forward_map(self, x: Tensor) -> Tensor:
        return self.root.to(x.dtype) * self.parts[0].A(x)

    def _transpose_map(self, y: Tensor) -> Tensor:
        return self.parts[0].A_adjoint(self.root.to(y.dtype) * y)

    # ---- the proximal map -------------------------------------------------------------------

    def _iterated_prox(
        self, right: Tensor, start: Tensor, step: Tensor, tol: float | Tensor, max_iter: int
    ) -> Tensor:
        """Among the frequencies where A is a convolution of which pixels are not seen."""
        found = _spectral(self.parts[0], self.root, right, start, step, tol, max_iter)
        return super()._iterated_prox(right, start, step, tol, max_iter) if found is None else found

    def _preconditioner(self, step: Tensor) -> Callable[[Tensor], Tensor] | None:
        """The operator's own at the mean weight: few other weights are few directions more."""
        mean = self.root.to(step).square().flatten(1).mean(1)
        return self.parts[0]._preconditioner(step * mean.view(-1, 1, 1, 1))

    # ---- the norm ---------------------------------------------------------------------------

    def enclosure(self, v: Tensor, *, transpose: bool = False) -> tuple[Tensor, Tensor]:
        """The enclosure of the operator, with the factors before or after it."""
        if transpose:
            product = self.root * v
            return carried(self.parts[0], rounded(product, product, 1), transpose=True)
        below, above = self.parts[0].enclosure(v)
        return rounded(self.root * below, self.root * above, 1)

    def _bound_from_parts(self) -> tuple[float, str]:
        peak = round_up(float(self.root.max()))
        return round_up(peak * self.parts[0].norm_bound), "largest root of a weight times the bound"


def _spectral(
    A: LinearOperator,
    root: Tensor,
    right: Tensor,
    start: Tensor,
    step: Tensor,
    tol: float | Tensor,
    max_iter: int,
) -> Tensor | None:
    """The solve among frequencies; None for other operators and other borders."""
    if isinstance(A, Channelwise):
        each = tol / len(A.parts) ** 0.5
        split = (t.split(1, dim=1) for t in (root, right, start))
        found = [
            _spectral(part, roots, b, x, step, each, max_iter)
            for part, roots, b, x in zip(A.parts, *split, strict=True)
        ]
        solved = [one for one in found if one is not None]
        return torch.cat(solved, dim=1) if len(solved) == len(found) else None
    if type(A) is not Convolution or A.boundary not in ("circular", "valid"):
        return None
    return A.weighted_solve(root.square(), right, start, step, tol, max_iter)

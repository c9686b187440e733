"""Which problems and step sizes the theorem of PDHG is about."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from pnp_recon.fidelity import Fidelity
from pnp_recon.proximal import Box, Regulariser
from pnp_recon.solvers.convex.blocks import Block, Steps


def uncovered(
    primal: Regulariser | Fidelity | None,
    blocks: Sequence[Block],
    tau: Steps,
    sigmas: Sequence[Steps],
) -> str | None:
    """The fact that the theorem lacks, or None; the attributes are those of `PDHG`."""
    closed = primal.exact_prox if isinstance(primal, Fidelity) else primal is None or primal.exact
    if not closed:
        assert primal is not None
        return f"the proximal map of '{primal.name}' is no closed form; make it a block"
    if isinstance(primal, Regulariser) and not primal.guarantee.holds:
        return primal.guarantee.source
    if isinstance(tau, Tensor) and not (primal is None or isinstance(primal, Box)):
        return "diagonal primal steps need a box, or nothing, as primal term"
    operators = [block.operator for block in blocks]
    if isinstance(primal, Fidelity):
        operators.append(primal.A)
    for operator in operators:
        if not operator.adjoint_matched:
            return f"A_adjoint of operator '{operator.name}' is not the transpose of A"
    for block, sigma in zip(blocks, sigmas, strict=True):
        name = block.operator.name
        if isinstance(sigma, Tensor) and not block.operator.nonnegative:
            return f"diagonal steps need the entries of operator '{name}' to be >= 0"
        if not isinstance(sigma, Tensor) and not block.operator.has_norm_bound:
            return f"no proven bound of the norm of operator '{name}' is known"
    return None

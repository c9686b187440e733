"""Whether a primal–dual problem has a solution: derived from the domains of its terms.

Where a box bounds pictures and every term is finite everywhere, the objective is continuous on a
compact set: a minimiser exists, and by the sum and chain rules of subdifferentials so do the dual
variables of a saddle point (Rockafellar 1970, Thm 23.8 and 23.9). A term with a domain, such as
Kullback–Leibler without background, asks for a picture of the box whose data lie inside it; entries
whose term is polyhedral, and the box, need no interior (the same theorems). Under an operator with
entries ≥ 0 the brightest picture of the box has such data if any picture has, and the operator's
`enclosure` proves which. If there is no such picture, the objective is +∞ everywhere: that is
refused.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from operators.errors import OperatorError
from operators.sampling import Identity
from pnp_recon.errors import InputError
from pnp_recon.fidelity import Fidelity
from pnp_recon.proximal import Box, Regulariser
from pnp_recon.solvers.convex.blocks import Block
from pnp_recon.solvers.core.premises import basis_of, transposed
from pnp_recon.solvers.core.theorem import Basis, Premise

UNKNOWN = " where there is one"
CONFINED = ", which exists, pictures being confined to a box"
SADDLE_POINT = f"{CONFINED} (Rockafellar 1970, Thm 23.8 and 23.9)"
# A computed datum counts as inside a domain beyond this share of the largest one: far above the
# rounding of float64.
MARGIN = 1e-6
SHOWN = 3


@dataclass(frozen=True)
class Existence:
    """Whether there is a solution.

    Attributes:
        words: to go on in the sentence of a theorem.
        premises: what the claim rests on; empty where nothing is claimed.
    """

    words: str = UNKNOWN
    premises: tuple[Premise, ...] = ()


def finite_premise(*terms: object) -> Premise:
    """That the terms are finite everywhere."""
    return Premise("every term but the box is finite everywhere", basis_of(*terms))


def of_saddle_point(
    primal: Regulariser | Fidelity | None, blocks: Sequence[Block], start: Tensor
) -> Existence:
    """Whether g(x) + Σ Fᵢ(Kᵢ x) has a saddle point.

    Args:
        primal: g.
        blocks: the Fᵢ and Kᵢ.
        start: (B, C, H, W), one of the pictures that are tried.

    Raises:
        InputError: it is +∞ for every picture, for boxes that do not meet or data that no picture
            can explain.
    """
    boxes = [primal] if isinstance(primal, Box) else []
    terms: list[object] = [] if primal is None or boxes else [primal]
    for block in blocks:
        outer = block.term
        if isinstance(outer, Box) and isinstance(block.operator, Identity):
            boxes.append(outer)
        else:
            terms.append(outer)
    box = _intersection(boxes)
    narrow = [term for term in terms if not getattr(term, "finite", False)]
    fidelities = [term for term in narrow if isinstance(term, Fidelity)]
    known = [_feasible(fidelity, box) for fidelity in fidelities]
    if not box.bounded or len(fidelities) < len(narrow):
        return Existence()
    declared = [basis_of(term) for term in terms if basis_of(term) is Basis.DECLARED]
    if not fidelities:
        return Existence(SADDLE_POINT, (finite_premise(*terms),))
    words = "some picture of the box lies inside the domain of every term"
    if None in known:
        if not _some_picture_fits(fidelities, box, start):
            return Existence()
        known = [Basis.CHECKED]
    basis = next(
        (one for one in (*declared, *known) if one is Basis.DECLARED),
        Basis.CHECKED if Basis.CHECKED in known else Basis.PROVEN,
    )
    return Existence(SADDLE_POINT, (Premise(words, basis),))


def _intersection(boxes: Sequence[Box]) -> Box:
    """All the boxes at once; [−∞, ∞] for none.

    Raises:
        InputError: they do not meet.
    """
    low = max((box.low for box in boxes), default=-math.inf)
    high = min((box.high for box in boxes), default=math.inf)
    if low > high:
        given = " and ".join(f"[{box.low:g}, {box.high:g}]" for box in boxes)
        raise InputError(f"no picture lies in the boxes {given}; give boxes that meet")
    return Box(low, high)


def _feasible(fidelity: Fidelity, box: Box) -> Basis | None:
    """How it is known that the brightest picture of the box fits; None: it is not.

    Raises:
        InputError: no picture fits, since even the brightest does not.
    """
    A = fidelity.A
    if not A.nonnegative:
        return None
    with torch.no_grad():
        try:
            below, above = A.enclosure(A.certificate_start().to(fidelity.y.device))
        except (OperatorError, NotImplementedError):
            return None
        below, above = below.clamp_min(0), above.clamp_min(0)
        peak = box.high
        # 0·∞ is 0 here: what sees nothing gets nothing, however bright.
        below, above = (torch.where(t > 0, peak * t, 0.0) for t in (below, above))
        if peak < 0:
            below, above = above, below
        outside = fidelity.outside(above)
        if bool(outside.any()):
            raise InputError(_explained(fidelity, outside, box))
        inside = bool(fidelity.inside(below).all())
    # Who declares the transpose has declared the signs, too.
    declared = transposed(A).basis is Basis.DECLARED or basis_of(fidelity) is Basis.DECLARED
    return (Basis.DECLARED if declared else Basis.PROVEN) if inside else None


def _explained(fidelity: Fidelity, outside: Tensor, box: Box) -> str:
    count, first = int(outside.sum()), outside.nonzero()[:SHOWN].tolist()
    y = fidelity.y.expand(outside.shape)
    found = ", ".join(f"{float(y[tuple(at)]):g} at {tuple(at)}" for at in first)
    more = ", …" if count > SHOWN else ""
    where = "" if math.isinf(box.high) else f" in [{box.low:g}, {box.high:g}]"
    return (
        f"no picture{where} explains {count} of the {y.numel()} measurements (indices with the "
        f"batch: {found}{more}): operator '{fidelity.A.name}' sees nothing there that could give "
        f"counts, so that '{fidelity.name}' is infinite for every picture; set them to 0, mask "
        "them out of the operator, or give a background > 0"
    )


def _some_picture_fits(fidelities: Sequence[Fidelity], box: Box, start: Tensor) -> bool:
    """One of a few pictures of the box fits, computed in float64 with a margin."""
    guesses = [fidelity.A.initial_guess(fidelity.y) for fidelity in fidelities]
    levels = [torch.full_like(start, level) for level in (0.5 * (box.low + box.high), box.high)]
    for picture in (*levels, start, *guesses):
        if all(_fits(f, picture.double().clamp(box.low, box.high)) for f in fidelities):
            return True
    return False


def _fits(fidelity: Fidelity, picture: Tensor) -> bool:
    with torch.no_grad():
        data = fidelity.A.A(picture)
        return bool(fidelity.inside(data - MARGIN * data.abs().max()).all())

"""The rules that combine what is proven: inverses, compositions, relaxations, means, liftings."""

from __future__ import annotations

import math
from dataclasses import replace

from pnp_recon.guarantees.value import (
    INVERTIBLE,
    SYMPLECTIC,
    VOLUME,
    Guarantee,
    lipschitz,
    none,
    rounded_up,
)

COMBETTES_YAMADA = "Combettes & Yamada 2015, Prop. 2.4 and 2.5"
BAUSCHKE_COMBETTES = "Bauschke & Combettes 2017"


def inverse(part: Guarantee) -> Guarantee:
    """T⁻¹: constants change places, 1/m above and 1/L below; what T keeps T⁻¹ keeps."""
    if INVERTIBLE not in part.keeps:
        return none(f"not known to be invertible: {part.source}")
    below = (1 - 1e-15) / part.lipschitz if part.lipschitz else 0.0
    held = none("no lower constant is known, so that the inverse has no Lipschitz constant")
    if part.lower > 0:
        held = lipschitz(max(rounded_up(1 / part.lower), below), f"inverse of: {part.source}")
    return replace(held, lower=below, keeps=part.keeps)


def compose(*parts: Guarantee) -> Guarantee:
    """T_1 ∘ … ∘ T_m: 1/(1 + 1/Σ αᵢ/(1−αᵢ))-averaged; Lipschitz and lower constants multiply.

    What all factors keep is kept. Source: Combettes & Yamada 2015, Prop. 2.5 (two maps: Prop. 2.4).
    """
    if not parts:
        raise ValueError("nothing to compose")
    if len(parts) == 1:
        return parts[0]
    lower = math.prod(part.lower for part in parts) * (1 - 1e-15 * len(parts))
    keeps = frozenset.intersection(*(part.keeps for part in parts))
    return replace(_compose(parts), lower=lower, keeps=keeps)


def _compose(parts: tuple[Guarantee, ...]) -> Guarantee:
    constant = 1.0
    for part in parts:
        if part.lipschitz is None:
            return none(part.source)
        constant *= part.lipschitz
    alphas = [part.averagedness for part in parts if part.averagedness is not None]
    source = f"composition of {len(parts)} maps ({COMBETTES_YAMADA})"
    if len(alphas) < len(parts):
        return lipschitz(constant, source)
    if any(alpha >= 1 for alpha in alphas):
        return Guarantee(constant, 1.0 if constant >= 1 else (1 + constant) / 2, source)
    total = sum(alpha / (1 - alpha) for alpha in alphas)
    return Guarantee(constant, min(total / (1 + total), (1 + constant) / 2), source)


def relax(part: Guarantee, weight: float) -> Guarantee:
    """(1−λ)I + λT: λα-averaged for 0 < λα ≤ 1; Lipschitz constant |1−λ| + λ Lip(T) otherwise.

    Source: Bauschke & Combettes 2017, Prop. 4.40. With T 1-Lipschitz and λ = ½ the result is
    firmly nonexpansive.
    """
    if weight <= 0:
        raise ValueError(f"a relaxation weight is positive, found {weight}")
    if part.lipschitz is None:
        return none(part.source)
    source = f"relaxation by λ = {weight:.6g} of: {part.source}"
    constant = abs(1 - weight) + weight * part.lipschitz
    if constant < 1:
        constant = min(1.0, rounded_up(constant, 1.0))
    if part.averagedness is not None and weight * part.averagedness <= 1:
        return Guarantee(min(constant, 1.0), weight * part.averagedness, source)
    return lipschitz(constant, source)


def scale(part: Guarantee, factor: float) -> Guarantee:
    """D_c(x) = D(c x)/c, c > 0, keeps every constant: the difference quotients are the same."""
    if factor <= 0:
        raise ValueError(f"a scaling factor is positive, found {factor}")
    held = part if factor == 1 else _same(part, f"scaling by c = {factor:.6g}")
    # Invariants scale along, or do not.
    return replace(held, lower=part.lower, keeps=part.keeps & {INVERTIBLE, VOLUME, SYMPLECTIC})


def isometric_lifting(part: Guarantee) -> Guarantee:
    """QᵀTQ with QᵀQ = I keeps α: Qᵀ((1−α)I + αR)Q = (1−α)I + α QᵀRQ, QᵀRQ 1-Lipschitz."""
    return _same(part, "isometric lifting QᵀTQ, QᵀQ = I")


def group_average(part: Guarantee) -> Guarantee:
    """Σ g⁻¹T(g ·)/|G| over a finite group of isometries keeps α: see `convex_combination`."""
    return _same(part, "average over a group of isometries")


def padding_average(part: Guarantee) -> Guarantee:
    """Mean of PᵢᵀTPᵢ over zero paddings, isometries, keeps α: see `convex_combination`."""
    return _same(part, "mean over the zero paddings of odd sides")


def convex_combination(parts: list[Guarantee], weights: list[float]) -> Guarantee:
    """Σ wᵢTᵢ, wᵢ > 0, Σ wᵢ = 1: (Σ wᵢαᵢ)-averaged.

    Source: Bauschke & Combettes 2017, Prop. 4.42.
    """
    if len(parts) != len(weights) or not parts or min(weights) <= 0:
        raise ValueError("one positive weight for each map")
    if abs(sum(weights) - 1) > 1e-9:
        raise ValueError(f"the weights of a convex combination sum to 1, found {sum(weights)}")
    for part in parts:
        if part.lipschitz is None:
            return none(part.source)
    source = f"convex combination of {len(parts)} maps ({BAUSCHKE_COMBETTES}, Prop. 4.42)"
    constant = _mean([part.lipschitz or 0.0 for part in parts], weights)
    alphas = [part.averagedness for part in parts if part.averagedness is not None]
    if len(alphas) < len(parts):
        return lipschitz(constant, source)
    return Guarantee(constant, _mean(alphas, weights), source)


def _mean(values: list[float], weights: list[float]) -> float:
    """The weighted mean, rounded up: ten weights of 0.1 sum to less than 1 in floating point."""
    total = math.fsum(map(math.prod, zip(values, weights, strict=True)))
    return min(rounded_up(total / math.fsum(weights)), max(values))


def _same(part: Guarantee, words: str) -> Guarantee:
    source = f"{words} of: {part.source}" if part.holds else part.source
    return replace(part, source=source, lower=0.0, keeps=frozenset())

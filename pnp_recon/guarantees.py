"""What is proven about a map, as small frozen values, and the rules that combine them.

T is Lipschitz with constant L if ‖T x − T y‖ ≤ L‖x − y‖, and α-averaged, 0 < α < 1, if
T = (1 − α)I + αR with R 1-Lipschitz; α = ½ is called firmly nonexpansive and α = 1 says no more
than 1-Lipschitz. Constants are upper bounds; a rule never lowers one without a theorem. What has
no theorem is `none(reason)`, and every rule passes the reason on.
What a map keeps (`keeps`) stands beside them; rules drop what they are not known to preserve.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

COMBETTES_YAMADA = "Combettes & Yamada 2015, Prop. 2.4 and 2.5"
BAUSCHKE_COMBETTES = "Bauschke & Combettes 2017"

# What a map may keep: it is a bijection; |det T'| = 1; T'ᵀΩT' = Ω; or a function of the state.
INVERTIBLE, VOLUME, SYMPLECTIC, INVARIANT = "invertible", "volume", "symplectic", "invariant: "


@dataclass(frozen=True)
class Guarantee:
    """A proven property of a map.

    Attributes:
        lipschitz: proven Lipschitz constant, or None where nothing is proven.
        averagedness: α in (0, 1] (1: only 1-Lipschitz), or None where the map is not known to
            be nonexpansive.
        source: the theorem and the citation, or the reason why there is none.
        lower: proven m ≥ 0 with ‖T x − T y‖ ≥ m‖x − y‖. A continuous map of ℝⁿ into itself with
            m > 0 is a bijection (Brouwer's invariance of domain), its inverse 1/m-Lipschitz.
        keeps: `INVERTIBLE`, `VOLUME`, `SYMPLECTIC`, and `INVARIANT` + the name of each function
            I with I(T x) = I(x). They stand whether or not a Lipschitz constant is known.
    """

    lipschitz: float | None
    averagedness: float | None
    source: str
    lower: float = 0.0
    keeps: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        keeps = self.keeps | ({INVERTIBLE} if self.lower > 0 else set())
        object.__setattr__(self, "keeps", keeps | ({VOLUME} if SYMPLECTIC in keeps else set()))
        names = keeps - {INVERTIBLE, VOLUME, SYMPLECTIC}
        if not all(name.startswith(INVARIANT) for name in names):
            raise ValueError(f"an invariant is {INVARIANT!r} and its name, found {sorted(names)}")
        if not 0 <= self.lower <= (math.inf if self.lipschitz is None else self.lipschitz):
            raise ValueError(f"a lower constant lies in [0, Lipschitz], found {self.lower}")
        if self.lipschitz is not None and not 0 <= self.lipschitz < float("inf"):
            raise ValueError(f"a Lipschitz constant is finite and ≥ 0, found {self.lipschitz}")
        if self.averagedness is not None and not 0 < self.averagedness <= 1:
            raise ValueError(f"averagedness lies in (0, 1], found {self.averagedness}")
        if self.averagedness is not None and (self.lipschitz is None or self.lipschitz > 1):
            raise ValueError(f"an averaged map is 1-Lipschitz, found constant {self.lipschitz}")

    @property
    def holds(self) -> bool:
        """Is anything proven at all?"""
        return self.lipschitz is not None

    @property
    def is_nonexpansive(self) -> bool:
        return self.averagedness is not None

    @property
    def is_averaged(self) -> bool:
        return self.averagedness is not None and self.averagedness < 1

    @property
    def is_firm(self) -> bool:
        """Firmly nonexpansive: α ≤ ½."""
        return self.averagedness is not None and self.averagedness <= 0.5

    @property
    def is_contraction(self) -> bool:
        return self.lipschitz is not None and self.lipschitz < 1

    def to_dict(self) -> dict[str, Any]:
        """What is proven, as plain values."""
        names = ("holds", "lipschitz", "averagedness", "source")
        return {**{name: getattr(self, name) for name in names}, "words": str(self)}

    def __str__(self) -> str:
        more = [f", lower constant {self.lower:.6g}"] if self.lower > 0 else []
        more += [f", keeps {', '.join(sorted(self.keeps))}"] if self.keeps else []
        if not self.holds:
            return f"no guarantee: {self.source}{''.join(more)}"
        if self.averagedness is None:
            words = "Lipschitz"
        elif self.is_firm:
            words = f"firmly nonexpansive (α = {self.averagedness:.6g})"
        elif self.is_averaged:
            words = f"α-averaged with α = {self.averagedness:.6g}"
        else:
            words = "1-Lipschitz"
        if self.lipschitz is not None and (self.averagedness is None or self.lipschitz < 1):
            words += f", constant {self.lipschitz:.6g}"
        return f"{words}{''.join(more)} ({self.source})"


def averaged(alpha: float, source: str) -> Guarantee:
    """α-averaged, 0 < α ≤ 1."""
    return Guarantee(1.0, alpha, source)


def firm(source: str) -> Guarantee:
    """Firmly nonexpansive, as every proximal map of a convex function is."""
    return averaged(0.5, source)


def lipschitz(constant: float, source: str) -> Guarantee:
    """Lipschitz; a contraction with constant q is also (1+q)/2-averaged.

    Source: Bauschke & Combettes 2017, Prop. 4.38.
    """
    return Guarantee(constant, (1 + constant) / 2 if constant <= 1 else None, source)


def none(reason: str) -> Guarantee:
    """Nothing is proven, and why."""
    return Guarantee(None, None, reason)


def structured(part: Guarantee, *keeps: str, lower: float = 0.0) -> Guarantee:
    """The same map, of which more is proven: what it keeps, and a lower constant."""
    return replace(part, lower=max(part.lower, lower), keeps=part.keeps | set(keeps))


def inverse(part: Guarantee) -> Guarantee:
    """T⁻¹: constants change places, 1/m above and 1/L below; what T keeps T⁻¹ keeps."""
    if INVERTIBLE not in part.keeps:
        return none(f"not known to be invertible: {part.source}")
    below = (1 - 1e-15) / part.lipschitz if part.lipschitz else 0.0
    held = none("no lower constant is known, so that the inverse has no Lipschitz constant")
    if part.lower > 0:
        held = lipschitz(max(_up(1 / part.lower), below), f"inverse of: {part.source}")
    return replace(held, lower=below, keeps=part.keeps)


def gradient_step(step: float, smoothness: float, strong_convexity: float = 0.0) -> Guarantee:
    """I − τ∇f, f convex with L-Lipschitz gradient, 0 < τ < 2/L: (τL/2)-averaged.

    With f m-strongly convex the constant is max(|1 − τm|, |1 − τL|), which is below 1 for m > 0.

    Source: Baillon & Haddad 1977 with Bauschke & Combettes 2017, Prop. 4.39; the constant:
    `shifted_gradient_step`.
    """
    if step <= 0:
        raise ValueError(f"a step size is positive, found {step}")
    if not 0 <= smoothness < float("inf"):
        raise ValueError(f"a gradient's Lipschitz constant is finite and ≥ 0, found {smoothness}")
    alpha = step * smoothness / 2
    if alpha >= 1:
        limit = 2 / smoothness if smoothness else float("inf")
        return none(f"step {step:.6g} lies outside (0, 2/L) = (0, {limit:.6g})")
    source = f"gradient step, τL/2 with τ = {step:.6g}, L ≤ {smoothness:.6g} (Baillon–Haddad)"
    held = averaged(max(alpha, 1e-12), source)
    if not strong_convexity > 0:
        return held
    constant = shifted_gradient_step(1.0, step, smoothness, strong_convexity)
    words = f"; strongly convex with m ≥ {strong_convexity:.6g}: max(|1−τm|, |1−τL|)"
    return contracting(held, constant, words)


def shifted_gradient_step(
    share: float, step: float, smoothness: float, strong_convexity: float = 0.0
) -> float:
    """Lipschitz constant max(|a − τm|, |a − τL|) of aI − τ∇f, rounded up.

    ∇f − mI is the gradient of a convex, (L − m)-smooth function, hence (L − m)/2·(I + Q) with a
    1-Lipschitz Q (Baillon & Haddad 1977), so that aI − τ∇f = (a − τ(L + m)/2)I − τ(L − m)/2·Q.
    """
    # Bounds of one function: rounding may have put them past each other.
    least = min(strong_convexity, smoothness)
    ends = (share - step * least, share - step * smoothness)
    return _up(max(map(abs, ends)), abs(share) + step * smoothness)


def field_step(
    step: float,
    weight: float,
    denoiser: Guarantee,
    smoothness: float,
    strong_convexity: float = 0.0,
) -> float:
    """Lipschitz constant of I − τG, G = ∇f + w(I − N), f m-strongly convex and L-smooth.

    For N = (1−α)I + αR, I − τG = ((1 − ταw)I − τ∇f) + ταwR with a 1-Lipschitz R; and with N
    ℓ-Lipschitz, I − τG = ((1 − τw)I − τ∇f) + τwN. The first terms are `shifted_gradient_step`;
    the smaller sum counts. The first one is max(1 − τm, τ(L + 2αw) − 1) where it is below 1.

    Raises:
        ValueError: nothing is proven of the denoiser.
    """
    found = []
    for part, constant in ((denoiser.averagedness, 1.0), (1.0, denoiser.lipschitz)):
        if part is not None and constant is not None:
            pull = step * part * weight
            rest = shifted_gradient_step(1 - pull, step, smoothness, strong_convexity)
            found.append(_up(rest + pull * constant, 1.0 + pull))
    if not found:
        raise ValueError(denoiser.source)
    return min(found)


def proximal(step: float, strong_convexity: float, source: str) -> Guarantee:
    """prox_{γf}, f convex: firmly nonexpansive, and 1/(1 + γm)-Lipschitz if m-strongly convex.

    Source: Bauschke & Combettes 2017, Prop. 23.13.
    """
    rate = step * strong_convexity
    if not rate > 0:
        return firm(source)
    words = f"; strongly convex with m ≥ {strong_convexity:.6g}: 1/(1+γm)"
    return contracting(firm(source), _up(1 / (1 + rate)), words)


def reflection(
    step: float, strong_convexity: float, smoothness: float, source: str = "2 prox − I"
) -> Guarantee:
    """2 prox_{γf} − I: 1-Lipschitz; max((1−γm)/(1+γm), (γL−1)/(γL+1)) where m > 0 and L < ∞.

    Source: Giselsson & Boyd 2017, Thm 1.
    """
    low, high = step * strong_convexity, step * smoothness
    if not (low > 0 and high < float("inf")):
        return averaged(1.0, source)
    low = min(low, high)
    constant = _up(max((1 - low) / (1 + low), (high - 1) / (high + 1)), 1.0)
    words = f"; m ≥ {strong_convexity:.6g}, L ≤ {smoothness:.6g} (Giselsson & Boyd 2017, Thm 1)"
    return contracting(averaged(1.0, source), constant, words)


def contracting(held: Guarantee, constant: float, words: str = "") -> Guarantee:
    """A nonexpansive map that is Lipschitz with a constant as well, which may be below 1.

    A constant q ≤ 1 makes it (1+q)/2-averaged (Bauschke & Combettes 2017, Prop. 4.38).
    """
    if held.averagedness is None or held.lipschitz is None or not constant < held.lipschitz:
        return held
    alpha = min(held.averagedness, (1 + constant) / 2)
    return replace(held, lipschitz=constant, averagedness=alpha, source=held.source + words)


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
        constant = min(1.0, _up(constant, 1.0))
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
    constant, alpha = 0.0, 0.0
    for part, weight in zip(parts, weights, strict=True):
        if part.lipschitz is None:
            return none(part.source)
        constant += weight * part.lipschitz
        alpha += weight * (part.averagedness if part.averagedness is not None else float("inf"))
    source = f"convex combination of {len(parts)} maps ({BAUSCHKE_COMBETTES}, Prop. 4.42)"
    if alpha > 1:
        return lipschitz(constant, source)
    return Guarantee(min(constant, 1.0), alpha, source)


def _same(part: Guarantee, words: str) -> Guarantee:
    source = f"{words} of: {part.source}" if part.holds else part.source
    return replace(part, source=source, lower=0.0, keeps=frozenset())


def _up(value: float, size: float | None = None) -> float:
    """`value` plus what rounding can have taken from a formula whose terms are up to `size`."""
    return value + 8 * math.ulp(value if size is None else max(size, value))

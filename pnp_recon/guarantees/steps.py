"""What is proven of the steps of iterations: gradient steps, proximal maps, reflections."""

from __future__ import annotations

from dataclasses import replace

from pnp_recon.guarantees.value import Guarantee, averaged, firm, none, rounded_up


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
    return rounded_up(max(map(abs, ends)), abs(share) + step * smoothness)


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
            found.append(rounded_up(rest + pull * constant, 1.0 + pull))
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
    return contracting(firm(source), rounded_up(1 / (1 + rate)), words)


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
    constant = rounded_up(max((1 - low) / (1 + low), (high - 1) / (high + 1)), 1.0)
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

"""What is true of a vector field f, as numbers that a proof can rest on; all are upper bounds.

A field declares them for the weights that it holds; an integrator turns them, with a step size,
into what is true of the step. A fact that is not proven is None.
"""

from __future__ import annotations

from dataclasses import dataclass

from pnp_recon.guarantees import INVARIANT

# Functions of the state that fields of this package keep.
NORM, SUM, ENERGY, RODS = (
    INVARIANT + name for name in ("Euclidean norm", "sum", "energy", "lengths of the rods")
)


@dataclass(frozen=True)
class Facts:
    """Proven properties of x ↦ f(x), for all x and y, Δ standing for differences.

    Attributes:
        lipschitz: ℓ with ‖Δf‖ ≤ ℓ‖Δx‖.
        one_sided: ν with ⟨Δf, Δx⟩ ≤ ν‖Δx‖²; the flow is then e^{νt}-Lipschitz (Gronwall).
        smoothness: L with ⟨Δf, Δx⟩ ≤ −(1/L)‖Δf‖², as f = −∇V with a convex, L-smooth V has it
            (Baillon & Haddad 1977).
        convexity: m ≥ 0 such that f + m·id has that property too, with L − m: V is m-strongly
            convex. 0 where nothing more is known.
        halves: x = (q, p) in two parts with q̇ = v(p), ṗ = g(q), and Lipschitz constants of v and
            g; None where the parts are not separated like this.
        hamiltonian: f = (∂H/∂p, −∂H/∂q): the flow is symplectic.
        linear, quadratic: linear and quadratic functions of x that the flow keeps, as `NORM`.
        casimirs: those quadratic ones that f = S(x)∇H keeps for every H.
        energy: the flow keeps the function that the field offers as `energy`.
        degree: that function is a polynomial of at most this degree; None: it is none, or unknown.
        source: the theorem and the citation, or the reason why nothing is proven.
    """

    lipschitz: float | None = None
    one_sided: float | None = None
    smoothness: float | None = None
    convexity: float = 0.0
    source: str = ""
    halves: tuple[float, float] | None = None
    hamiltonian: bool = False
    linear: frozenset[str] = frozenset()
    quadratic: frozenset[str] = frozenset()
    casimirs: frozenset[str] = frozenset()
    energy: bool = False
    degree: int | None = None

    def __post_init__(self) -> None:
        if self.smoothness is not None and not 0 <= self.convexity <= self.smoothness:
            raise ValueError(
                f"a field is no more convex than smooth; found m = {self.convexity}, "
                f"L = {self.smoothness}"
            )


def gradient(smoothness: float, convexity: float = 0.0, source: str = "") -> Facts:
    """f = −∇V, V convex with m·I ⪯ ∇²V ⪯ L·I: L-Lipschitz, ν = −m."""
    return Facts(smoothness, -convexity, smoothness, convexity, source)

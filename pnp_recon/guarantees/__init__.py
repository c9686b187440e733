"""What is proven about a map, as small frozen values, and the rules that combine them.

T is Lipschitz with constant L if ‖T x − T y‖ ≤ L‖x − y‖, and α-averaged, 0 < α < 1, if
T = (1 − α)I + αR with R 1-Lipschitz; α = ½ is called firmly nonexpansive and α = 1 says no more
than 1-Lipschitz. Constants are upper bounds; a rule never lowers one without a theorem. What has
no theorem is `none(reason)`, and every rule passes the reason on.
What a map keeps (`keeps`) stands beside them; rules drop what they are not known to preserve.
"""

from pnp_recon.guarantees.combining import (
    BAUSCHKE_COMBETTES,
    COMBETTES_YAMADA,
    compose,
    convex_combination,
    group_average,
    inverse,
    isometric_lifting,
    padding_average,
    relax,
    scale,
)
from pnp_recon.guarantees.steps import (
    contracting,
    field_step,
    gradient_step,
    proximal,
    reflection,
    shifted_gradient_step,
)
from pnp_recon.guarantees.value import (
    INVARIANT,
    INVERTIBLE,
    SYMPLECTIC,
    VOLUME,
    Guarantee,
    averaged,
    firm,
    lipschitz,
    none,
    structured,
)

__all__ = [
    "BAUSCHKE_COMBETTES",
    "COMBETTES_YAMADA",
    "INVARIANT",
    "INVERTIBLE",
    "SYMPLECTIC",
    "VOLUME",
    "Guarantee",
    "averaged",
    "compose",
    "contracting",
    "convex_combination",
    "field_step",
    "firm",
    "gradient_step",
    "group_average",
    "inverse",
    "isometric_lifting",
    "lipschitz",
    "none",
    "padding_average",
    "proximal",
    "reflection",
    "relax",
    "scale",
    "shifted_gradient_step",
    "structured",
]

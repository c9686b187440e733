"""Group convolutions for C_N and D_N: fields, tied filters, layers that commute with the group."""

from pnp_recon.networks.equivariant.convolution import GroupConv, TiedFilters, TiedVector, tie
from pnp_recon.networks.equivariant.fields import Fields, harmonics, regulars, scalars, turn
from pnp_recon.networks.equivariant.groups import (
    Element,
    Group,
    Representation,
    direct_sum,
    irreducible,
    regular,
    trivial,
)

__all__ = [
    "Element",
    "Fields",
    "Group",
    "GroupConv",
    "Representation",
    "TiedFilters",
    "TiedVector",
    "direct_sum",
    "harmonics",
    "irreducible",
    "regular",
    "regulars",
    "scalars",
    "tie",
    "trivial",
    "turn",
]

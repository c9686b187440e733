"""Group convolutions for C_N and D_N: fields, tied filters, layers that commute with the group."""

from pnp_recon.networks.equivariant.checks import (
    EquivarianceReport,
    EquivarianceRow,
    Equivariant,
    check_equivariance,
)
from pnp_recon.networks.equivariant.convolution import GroupConv, TiedFilters, TiedVector, tie
from pnp_recon.networks.equivariant.fields import (
    Fields,
    harmonics,
    regulars,
    regulars_of_width,
    scalars,
    turn,
)
from pnp_recon.networks.equivariant.groups import (
    Element,
    Group,
    Representation,
    direct_sum,
    irreducible,
    regular,
    trivial,
)
from pnp_recon.networks.equivariant.nonlinearities import (
    FieldDropout,
    FieldNorm,
    NormActivation,
    Pointwise,
)
from pnp_recon.networks.equivariant.plain import export

__all__ = [
    "Element",
    "EquivarianceReport",
    "EquivarianceRow",
    "Equivariant",
    "FieldDropout",
    "FieldNorm",
    "Fields",
    "Group",
    "GroupConv",
    "NormActivation",
    "Pointwise",
    "Representation",
    "TiedFilters",
    "TiedVector",
    "check_equivariance",
    "direct_sum",
    "export",
    "harmonics",
    "irreducible",
    "regular",
    "regulars",
    "regulars_of_width",
    "scalars",
    "tie",
    "trivial",
    "turn",
]

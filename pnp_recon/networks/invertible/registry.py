"""Invertible blocks by name; each inherits the laws of tests/networks/invertible/test_laws.py."""

from __future__ import annotations

from collections.abc import Callable

from pnp_recon.networks.invertible.base import Invertible
from pnp_recon.networks.invertible.coupling import (
    AdditiveCoupling,
    AffineCoupling,
    SplineCoupling,
)
from pnp_recon.networks.invertible.hamiltonian import shears, symplectic
from pnp_recon.networks.invertible.linear import ChannelMixing, OrthogonalDownsampling
from pnp_recon.networks.invertible.residual import ResidualBlock

# From channels, the kind of input and, where there is a network inside, `hidden` and more options.
BLOCKS: dict[str, Callable[..., Invertible]] = {
    "additive": AdditiveCoupling,
    "affine": AffineCoupling,
    "spline": SplineCoupling,
    "mixing": lambda channels, kind="vectors", hidden=0: ChannelMixing(channels),
    "residual": ResidualBlock,
    "symplectic": symplectic,
    "shears": shears,
    "orthogonal": lambda channels, kind="features", hidden=0: OrthogonalDownsampling(channels),
}
FEATURES_ONLY = frozenset({"orthogonal"})

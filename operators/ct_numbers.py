"""Attenuation in 1/mm and Hounsfield units. Numbers, arrays and tensors alike."""

from __future__ import annotations

from typing import Any, TypeVar

from operators._numbers import finite_number

# Linear attenuation of water at 60 keV, about the mean energy of a clinical spectrum: 0.2059 cm²/g
# (Hubbell & Seltzer 1995, NIST Standard Reference Database 126) at 1 g/cm³.
MU_WATER = 0.0206

Values = TypeVar("Values")


def hounsfield(mu: Values, mu_water: float = MU_WATER) -> Values:
    """Attenuation in 1/mm to Hounsfield units: water is 0, vacuum −1000.

    Args:
        mu: a number, an array or a tensor.
        mu_water: attenuation of water in 1/mm at the scan's energy, > 0.
    """
    water = finite_number("mu_water", mu_water, 0.0, True)
    values: Any = mu
    return (values - water) * (1000 / water)


def attenuation(hu: Values, mu_water: float = MU_WATER) -> Values:
    """Hounsfield units to attenuation in 1/mm: the inverse of `hounsfield`."""
    water = finite_number("mu_water", mu_water, 0.0, True)
    values: Any = hu
    return (values + 1000) * (water / 1000)

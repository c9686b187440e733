"""Photon counts: what a detector counts behind an object, and the line integrals they stand for.

A ray with line integral p lets N exp(−p) of N photons through, and the detector counts a Poisson
number of them (Beer–Lambert). −log(count/N) is p again, with noise of variance about 1/count, so
the counts are the weights of a weighted least-squares fidelity (Sauer & Bouman 1993, "A local
update strategy for iterative reconstruction from projections", eq. 6; Bouman & Sauer 1996).
Line integrals are pure numbers: attenuation in 1/mm summed over millimetres.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pnp_recon.errors import InputError

# A count of zero has no logarithm. Half a photon stands for it: the middle of what rounds to zero.
SMALLEST_COUNT = 0.5

# Above this, neighbouring whole numbers are no longer told apart in float64.
_LARGEST_RATE = 2.0**53


def photon_counts(line_integrals: Tensor, incident: float, generator: torch.Generator) -> Tensor:
    """Poisson counts with mean `incident` · exp(−line_integrals).

    The numbers are drawn in float64 on the generator's own device, so that one seed gives the
    same counts wherever the sinogram lives.

    Args:
        line_integrals: pure numbers, any shape; negative ones (noise) are allowed.
        incident: photons that enter each ray, > 0.
        generator: source of the random numbers.

    Returns:
        whole numbers >= 0 in the type and on the device of `line_integrals`; float32 rounds those
        above 2²⁴.

    Raises:
        InputError: values that are not finite (the message says how many), an `incident` that is
            not a finite number > 0, or a mean above 2⁵³.
    """
    _check_incident(incident)
    _refuse(~torch.isfinite(line_integrals), "the line integrals hold", "not finite")
    rate = incident * torch.exp(-line_integrals.to(generator.device, torch.float64))
    if rate.numel() and float(rate.max()) > _LARGEST_RATE:
        raise InputError(
            f"the largest mean count is {float(rate.max()):.3g}; expected at most 2^53: the line "
            "integrals are too far below zero, or there are too many incident photons"
        )
    return torch.poisson(rate, generator=generator).to(line_integrals)


def log_transform(
    counts: Tensor, incident: float | Tensor, floor: float = SMALLEST_COUNT
) -> Tensor:
    """Line integrals −log(max(counts, floor)/incident).

    Counts below `floor`, zero above all, are taken as `floor`; with the weights of
    `statistical_weights` a ray without a photon then has no say anyway. The logarithm is biased
    by about 1/(2 count) upwards: 0.05 at ten photons, nothing to speak of above a hundred.

    Args:
        counts: photons counted, >= 0, any shape.
        incident: photons that enter, > 0; a number, or a tensor that broadcasts to `counts` where
            the beam is not the same everywhere.
        floor: smallest count that is believed, > 0.

    Raises:
        InputError: counts that are negative or not finite (the message says how many), or an
            `incident` or a `floor` that is not finite and > 0.
    """
    _check_incident(incident)
    if not (math.isfinite(floor) and floor > 0):
        raise InputError(f"floor is {floor}; expected a finite count > 0")
    check_counts(counts)
    blank = torch.as_tensor(incident, dtype=counts.dtype, device=counts.device)
    return blank.log() - counts.clamp_min(floor).log()


def statistical_weights(counts: Tensor) -> Tensor:
    """Weights W of ½‖A x − y‖²_W for y = log_transform(counts): the counts themselves.

    The variance of −log(count) is 1/mean to first order, and the count is an unbiased estimate
    of its mean. A ray without a photon has weight zero.

    Raises:
        InputError: counts that are negative or not finite; the message says how many.
    """
    check_counts(counts)
    return counts.clone()


def check_counts(counts: Tensor, what: str = "the counts") -> None:
    """Refuse counts that are negative or not finite.

    Raises:
        InputError: says how many there are of either, and of how many.
    """
    _refuse(~torch.isfinite(counts), f"{what} hold", "not finite (NaN or infinity)")
    _refuse(counts < 0, f"{what} hold", "negative")


@dataclass(frozen=True)
class PoissonNoise:
    """Noise model of an operator: line integrals in, line integrals of Poisson counts out.

    Attributes:
        incident: photons that enter each ray, > 0.
        generator: source of the random numbers.
    """

    incident: float
    generator: torch.Generator

    def __post_init__(self) -> None:
        _check_incident(self.incident)

    def __call__(self, y: Tensor) -> Tensor:
        """−log of the counts of `photon_counts(y)`, same shape; see `log_transform` for zeros."""
        return log_transform(photon_counts(y, self.incident, self.generator), self.incident)


def _check_incident(incident: float | Tensor) -> None:
    values = torch.as_tensor(incident, dtype=torch.float64)
    bad = int((~(torch.isfinite(values) & (values > 0))).sum())
    if bad:
        found = f"{bad} of {values.numel()} values" if values.ndim else f"{float(values)}"
        raise InputError(
            f"incident photons: {found} found that {'are' if values.ndim else 'is'} not a finite "
            "number > 0; expected the photons that enter each ray, for example 1e5"
        )


def _refuse(bad: Tensor, holder: str, trait: str) -> None:
    number = int(bad.sum())
    if number:
        raise InputError(
            f"{holder} {number} values of {bad.numel()} that are {trait}; repair or mask them first"
        )

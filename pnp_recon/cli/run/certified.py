"""`reconstruct`, which with `require_certificate` gives a certified solution or none.

Imported after parsing: it loads torch.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from operators.base import LinearOperator
from pnp_recon import reconstruction
from pnp_recon.errors import CertificateError, StepSizeError
from pnp_recon.priors.denoiser import Denoiser
from pnp_recon.priors.unrolled import LearnedReconstruction
from pnp_recon.solvers import Solution


def reconstruct(
    y: Tensor,
    A: LinearOperator,
    prior: reconstruction.Prior = "auto",
    *,
    require_certificate: bool = False,
    **settings: Any,
) -> Solution:
    """As `reconstruction.reconstruct`.

    Raises:
        CertificateError: one is required, and the prior rules it out before the run, the step
            size does, or the run contradicts it.
    """
    if not require_certificate:
        return reconstruction.reconstruct(y, A, prior, **settings)
    if isinstance(prior, LearnedReconstruction):
        raise CertificateError(
            f"a certificate was required, but {prior.name} has none: {prior.guarantee}; take a "
            "denoiser, or leave out --require-certificate"
        )
    if isinstance(prior, Denoiser):
        needs_slack = settings.get("solver") != "pnp-drs"
        held = prior.guarantee
        if not (held.is_averaged if needs_slack else held.is_nonexpansive):
            need = "averaged (α < 1)" if needs_slack else "1-Lipschitz"
            raise CertificateError(
                f"a certificate was required, but denoiser {prior.name} is not proven to be "
                f"{need}: {held}; choose another denoiser, or leave out --require-certificate"
            )
    try:
        solution = reconstruction.reconstruct(y, A, prior, **settings)
    except StepSizeError as error:
        raise CertificateError(f"a certificate was required: {error}") from error
    if not solution.certificate.holds:
        raise CertificateError(f"a certificate was required: {solution.certificate.verdict}")
    return solution

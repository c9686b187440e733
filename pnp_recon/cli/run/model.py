"""--model: a reconstruction network in place of solver and prior."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pnp_recon.errors import CertificateError

if TYPE_CHECKING:
    from pnp_recon.cli.run.case import Case
    from pnp_recon.cli.run.options import Options
    from pnp_recon.cli.run.session import Session
    from pnp_recon.priors.unrolled import LearnedReconstruction


def chosen_model(case: Case, session: Session[Options]) -> LearnedReconstruction | None:
    """The network of --model, checked against the case; None where there is none.

    Raises:
        CertificateError: a certificate is required, and a network has none.
        InputError: the network is for another measurement.
    """
    model = session.learned()
    if model is None:
        return None
    if session.options.require_certificate:
        raise CertificateError(
            f"a certificate was required, but {model.name} has none: {model.guarantee}; take a "
            "denoiser, or leave out --require-certificate"
        )
    model.check(case.A, **case.facts)
    return model


def model_warnings(case: Case, session: Session[Options]) -> tuple[str, ...]:
    """What the case has that the network of --model was not trained for."""
    model = session.learned()
    return () if model is None else model.check(case.A, **case.facts)

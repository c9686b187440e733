"""A denoiser in the place of every model, for the commands that reconstruct."""

from __future__ import annotations

import pytest

from pnp_recon import guarantees
from pnp_recon.cli.run.session import Session
from pnp_recon.priors.denoiser import Denoiser
from support.cli import Load, smooth


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    """Puts a denoiser in the place of every model that --denoiser could name."""

    def put(denoiser: Denoiser) -> None:
        monkeypatch.setattr(Session, "denoiser", lambda *_: denoiser)

    return put


@pytest.fixture
def tiny_denoiser(load: Load) -> None:
    """A quick denoiser with a proof."""
    load(Denoiser(smooth, "mean", guarantees.firm("a mean"), card={"sha256": "1" * 64}))

"""For the commands that reconstruct: a denoiser in the place of every model, and a report."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pnp_recon import guarantees
from pnp_recon.cli import deblur
from pnp_recon.cli.run.session import Session
from pnp_recon.priors.denoiser import Denoiser
from pnp_recon.priors.energies.base import LearnedEnergy
from support.blurred import save
from support.cli import Load, smooth
from support.verified import Good, exported


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    """Puts a denoiser in the place of every model that --denoiser could name."""

    def put(denoiser: Denoiser | LearnedEnergy) -> None:
        monkeypatch.setattr(Session, "prior", lambda *_: denoiser)

    return put


@pytest.fixture
def tiny_denoiser(load: Load) -> None:
    """A quick denoiser with a proof."""
    load(Denoiser(smooth, "mean", guarantees.firm("a mean"), card={"sha256": "1" * 64}))


@pytest.fixture(scope="session")
def whole_report(tmp_path_factory: pytest.TempPathFactory) -> Good:
    """A deblurring by an iteration whose map is averaged, with a certified denoiser."""
    folder = tmp_path_factory.mktemp("deblur")
    model = exported(folder, 0)
    source = save(folder / "a.png", 1)
    args = ["--sigma", "0.02", "--length", "5", "--angle", "20", "--boundary", "circular"]
    args += ["--acceleration", "none", "--tol", "1e-3", "--denoiser", str(model)]
    made = ["-o", str(folder / "out.png"), "--report", str(folder / "report"), "-q"]
    assert deblur.main([str(source), *args, *made]) == 0
    return Good(folder, source, folder / "out.png", model)


@pytest.fixture
def good(whole_report: Good, tmp_path: Path) -> Good:
    """A copy of it, whose files may be changed."""
    folder = tmp_path / "copy"
    shutil.copytree(whole_report.folder, folder)
    path = folder / "report" / "report.json"
    path.write_text(path.read_text(encoding="utf-8").replace(str(whole_report.folder), str(folder)))
    return Good(folder, folder / "a.png", folder / "out.png", folder / "tiny.json")


@pytest.fixture(autouse=True)
def no_doubts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures here are not blurred and runs end early, which would be said of each result.

    Modules about what is said define a fixture of this name that does nothing.
    """
    monkeypatch.setattr("pnp_recon.cli.deblur.facts.doubts", lambda *_: ())

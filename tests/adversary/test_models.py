"""No route through the files of a model, or a shipped one, leads to a false certificate."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from laws.adversary.judge import WITH_DENOISER, Rig, Route, Runner, ending, false_claim
from laws.adversary.models import FILES, FileRoute, exported
from laws.adversary.parts import FACTOR, block
from laws.adversary.weights import later
from pnp_recon.errors import WeightsError
from pnp_recon.models.families import FAMILIES
from pnp_recon.models.load import load_denoiser
from pnp_recon.models.store import find_card, read_card, shipped_models
from pnp_recon.priors.catalogue import CLASSICAL
from pnp_recon.solvers import Stopping

RUNNER = Runner("pnp-hqs")
SHIPPED = shipped_models("denoiser")
CERTIFIED = [name for name in SHIPPED if FAMILIES[read_card(find_card(name)).family].certified]


def rig_of(denoiser: object, level: float | None = None) -> Rig:
    rig = RUNNER.rig()
    rig.A, rig.y, rig.prior = rig.A.float(), rig.y.float(), denoiser
    rig.settings["denoiser_level"] = level
    rig.settings["stopping"] = Stopping(1e-9, 4, check_every=1)
    return rig


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(tmp_path_factory.mktemp("model"))


def copied(model: Path, folder: Path) -> Path:
    for path in model.parent.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder / model.name


def test_an_honest_model_is_certified(model: Path, tmp_path: Path) -> None:
    solution = ending(rig_of(load_denoiser(str(copied(model, tmp_path))))).solution
    assert solution is not None
    assert solution.certificate.holds
    assert not solution.certificate.conditions


@pytest.mark.parametrize("route", FILES, ids=str)
def test_an_edited_model_is_refused(route: FileRoute, model: Path, tmp_path: Path) -> None:
    card = copied(model, tmp_path)
    route.edit(card)
    with pytest.raises(WeightsError):
        load_denoiser(str(card))


def scaled(rig: Rig) -> None:
    block(rig).weight.data.mul_(2 * FACTOR)


def norm(rig: Rig) -> None:
    block(rig).norm.div_(2 * FACTOR)


SHIPPED_ROUTES = [
    Route("scaled", scaled),
    Route("norm divided", norm),
    Route("half", lambda rig: rig.prior.bfloat16()),
    Route("scaled while it runs", lambda rig: later(rig, lambda: scaled(rig))),
    Route("norm while it runs", lambda rig: later(rig, lambda: norm(rig))),
]


@pytest.mark.parametrize("name", CERTIFIED)
def test_shipped_models_are_certified(name: str) -> None:
    solution = ending(rig_of(load_denoiser(name))).solution
    if solution is None:  # for pictures in colour
        assert load_denoiser(name).channels == 3
        return
    assert solution.certificate.holds
    assert not solution.certificate.conditions


@pytest.mark.parametrize("name", CERTIFIED)
@pytest.mark.parametrize("route", SHIPPED_ROUTES, ids=str)
def test_no_false_certificate_of_a_shipped_model(route: Route, name: str) -> None:
    assert false_claim(ending(rig_of(load_denoiser(name)), route.spoil)) == ""


@pytest.mark.parametrize("name", [*SHIPPED, *CLASSICAL])
def test_what_is_not_proven_is_not_certified(name: str) -> None:
    """Every shipped denoiser and every classical one: proven ones are, others are not."""
    if name in CLASSICAL and CLASSICAL[name].missing():
        pytest.skip(CLASSICAL[name].missing())
    denoiser = load_denoiser(name)
    found = ending(rig_of(denoiser))
    proven = denoiser.proven and denoiser.guarantee.is_averaged
    if found.solution is not None:
        assert found.solution.certificate.holds == proven


@pytest.mark.parametrize("name", CLASSICAL)
@pytest.mark.parametrize("runner", WITH_DENOISER, ids=str)
def test_no_false_certificate_of_a_classical_denoiser(name: str, runner: Runner) -> None:
    """Another map under the same name: a subclass of it, as somebody improves on it."""
    if CLASSICAL[name].missing():
        pytest.skip(CLASSICAL[name].missing())
    denoiser = load_denoiser(name)
    kind = type(denoiser.function)

    class Stronger(kind):  # type: ignore[misc, valid-type]
        def __call__(self, x: torch.Tensor, sigma: float) -> torch.Tensor:
            return FACTOR * x

    denoiser.function = Stronger()
    rig = runner.rig()
    rig.prior = denoiser
    assert false_claim(ending(rig), "constant") == ""

"""Families of networks: every entry resolves, its models load as the prior that it says, and a
card is read once."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from operators import Convolution, kernels
from pnp_recon import Denoiser, LearnedReconstruction, load_denoiser, load_unrolled, reconstruct
from pnp_recon.contracts import Prior
from pnp_recon.errors import InputError, WeightsError
from pnp_recon.models.export import export
from pnp_recon.models.families import FAMILIES, entry_of
from pnp_recon.models.family import Family
from pnp_recon.models.load import family_of, load, load_energy, load_prior, load_trained
from pnp_recon.models.store import find_card, is_shipped, read_card, shipped_models
from pnp_recon.models.verify import verify
from pnp_recon.networks.configs import (
    CriticConfig,
    GradientStepConfig,
    PatchFlowConfig,
    RidgeConfig,
)
from pnp_recon.networks.dncnn import DnCNN, DnCNNConfig
from pnp_recon.networks.energies.critic import CriticNet
from pnp_recon.networks.energies.gradient_step import GradientStepNet
from pnp_recon.networks.energies.patch_flow import PatchFlowNet
from pnp_recon.networks.energies.ridge import RidgeNet
from pnp_recon.networks.euler import EulerConfig, EulerNet
from pnp_recon.solvers import Stopping
from support.unrolled import TRAINED_ON
from support.unrolled import network as unrolled_network

ROOT = Path(__file__).resolve().parents[2]
LEVELS = (1 / 255, 50 / 255)


def tiny(family: str) -> tuple[nn.Module, object]:
    """A small network of a family, and what it is meant for."""
    if family == "EulerNet":
        return EulerNet(EulerConfig(width=4, hidden=4, blocks=1)), LEVELS
    if family == "DnCNN":
        return DnCNN(DnCNNConfig(depth=3, width=4)), LEVELS
    if family == "GradientStepNet":
        return GradientStepNet(GradientStepConfig(widths=(4, 6), down=(1, 1), up=(1,))), LEVELS
    if family == "RidgeNet":
        return RidgeNet(RidgeConfig(widths=(2, 2, 4), size=3)), LEVELS
    if family == "PatchFlowNet":
        return PatchFlowNet(PatchFlowConfig(size=3, layers=2, hidden=4)), LEVELS
    if family == "CriticNet":
        return CriticNet(CriticConfig(features=4, size=3, blocks=1)), LEVELS
    return unrolled_network(), TRAINED_ON


def exported(family: str, folder: Path) -> Path:
    network, meant_for = tiny(family)
    return export(network, folder, "tiny", meant_for, {})  # type: ignore[arg-type]


# ---- the registry -------------------------------------------------------------------------------


def test_the_registry_loads_nothing() -> None:
    code = "import sys, pnp_recon.models.families; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "False\n", done.stderr


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_goes_all_the_way(name: str, tmp_path: Path) -> None:
    entry, family = FAMILIES[name], FAMILIES[name].load()
    assert isinstance(family, Family)
    path = exported(name, tmp_path)
    card = read_card(path)
    assert (card.family, card.kind, card.path) == (name, entry.kind, path)
    assert family_of(card) is family
    assert entry_of(family.build(card.config)) is entry
    prior = load(str(path))
    assert isinstance(prior, Prior)
    assert prior.kind == entry.kind
    assert prior.record().sha256 == card.sha256
    assert family.guarantee(card).holds == entry.certified == prior.guarantee.holds
    assert str(family.guarantee(card)) == str(prior.guarantee)
    assert name in family.describe(card)
    assert verify(str(path), attack_steps=1).problems == []


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_without_a_loader_of_its_kind_is_refused(name: str, tmp_path: Path) -> None:
    path = str(exported(name, tmp_path))
    loaders: dict[str, Callable[[str], object]] = {
        "denoiser": load_denoiser,
        "energy": load_energy,
        "network": load_unrolled,
    }
    kind = FAMILIES[name].kind
    assert loaders.pop(kind)(path)
    if kind == "energy":  # which denoises, too
        assert loaders.pop("denoiser")(path)
    for wrong in loaders.values():
        with pytest.raises(WeightsError, match=r"is an? .*, not an? .*: give it to"):
            wrong(path)


def test_a_network_of_no_family_is_not_exported(tmp_path: Path) -> None:
    assert entry_of(nn.Linear(1, 1)) is None
    with pytest.raises(ValueError, match="Linear is of no family of networks; known: EulerNet"):
        export(nn.Linear(1, 1), tmp_path, "line", LEVELS, {})


@pytest.mark.parametrize("name", shipped_models())
def test_shipped_cards_are_sound(name: str) -> None:
    card = read_card(find_card(name))
    assert card.name == name
    assert card.family in FAMILIES
    assert (card.sigma_range is None) == (card.kind == "network") == (card.trained_on is not None)


# ---- what training asks of a family -------------------------------------------------------------


@pytest.mark.parametrize("group", ["C1", "C4", "D4"])
def test_muon_takes_the_filters_of_every_block(group: str) -> None:
    family: Family = FAMILIES["EulerNet"].load()
    config = EulerConfig(width=8, hidden=8, blocks=2, lifting="unshuffle", group=group)
    network = EulerNet(config)
    found = family.matrices(network)
    assert len(found) == 2
    held = {id(parameter) for parameter in network.parameters()}
    for (numbers, ties), block in zip(found, network.flow_blocks(), strict=True):
        assert id(numbers) in held
        assert (ties is None) == (group == "C1")
        assert torch.equal(block.weight, numbers if ties is None else ties(numbers))


@pytest.mark.parametrize("name", [name for name in FAMILIES if name != "EulerNet"])
def test_other_networks_have_nothing_for_muon(name: str) -> None:
    family: Family = FAMILIES[name].load()
    assert family.matrices(tiny(name)[0]) == []


def test_settled_estimates_follow_the_weights() -> None:
    family: Family = FAMILIES["EulerNet"].load()
    network = EulerNet(EulerConfig(width=4, hidden=4, blocks=1))
    (block,) = network.flow_blocks()
    with torch.no_grad():
        block.weight *= 3
    before = float(block.norm)
    family.settle(network, steps=50)
    assert float(block.norm) == pytest.approx(3 * before, rel=0.1)
    family.calibrate(network)
    margin = float(block.margin)
    assert margin >= 1
    with torch.no_grad():
        block.margin.fill_(7)
    family.calibrate(network)
    assert float(block.margin) == pytest.approx(margin, rel=1e-2)


def test_weights_to_train_on_are_tied_and_draw_no_random_numbers(tmp_path: Path) -> None:
    config = EulerConfig(width=8, hidden=8, blocks=1, lifting="unshuffle", group="C4")
    network = EulerNet(config)
    path = str(export(network, tmp_path, "tiny", LEVELS, {}))
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    found, card = load_trained(path, "denoiser")
    assert torch.equal(torch.rand(2), expected)
    assert isinstance(found, EulerNet)
    assert found.tied
    assert card.config["group"] == "C4"
    for key, value in network.state_dict().items():
        assert torch.equal(found.state_dict()[key], value)


# ---- a card is read once ------------------------------------------------------------------------


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the cards that are read."""
    found: list[str] = []
    whole = Path.read_text

    def noting(self: Path, *args: object, **options: object) -> str:
        if self.suffix == ".json":
            found.append(self.name)
        return whole(self, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "read_text", noting)
    return found


def blurred() -> tuple[Tensor, Convolution]:
    A = Convolution(kernels.gaussian(1.0), (1, 16, 16), "circular")
    return A.A(torch.rand(1, 1, 16, 16)), A


def test_a_card_is_read_once(tmp_path: Path, reads: list[str]) -> None:
    path = str(exported("EulerNet", tmp_path))
    load_denoiser(path)
    assert reads == ["tiny.json"]
    reads.clear()
    load_denoiser("euler_grey")
    assert reads == ["euler_grey.json"]
    reads.clear()
    y, A = blurred()
    reconstruct(y, A, path, noise_level=0.02, stopping=Stopping(max_iter=2))
    assert reads == ["tiny.json"]
    reads.clear()
    verify(path, attack_steps=0)
    assert reads == ["tiny.json"]


def test_reading_a_card_again_is_noticed(
    tmp_path: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pnp_recon.models import load as module

    path = str(exported("EulerNet", tmp_path))
    once = module.read_card
    monkeypatch.setattr(module, "read_card", lambda *args: once(*args) and once(*args))
    load_denoiser(path)
    assert reads == ["tiny.json", "tiny.json"]


def test_a_network_is_named_and_read_once(tmp_path: Path, reads: list[str]) -> None:
    path = exported("UnrolledNetwork", tmp_path)
    prior = load_prior(str(path), 1)
    assert isinstance(prior, LearnedReconstruction)
    assert reads == ["tiny.json"]


# ---- names --------------------------------------------------------------------------------------


def test_auto_is_the_model_for_the_channels() -> None:
    for channels, name in ((1, "euler_grey"), (3, "euler_colour"), (5, "euler_grey")):
        assert load_prior("auto", channels).name == name


def test_a_model_goes_before_a_classical_denoiser(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pnp_recon.models import store

    prior = load("nlm")
    assert isinstance(prior, Denoiser)
    assert (prior.name, prior.record().parameters["patch"]) == ("nlm", 5)
    assert not is_shipped("nlm")
    network, meant_for = tiny("EulerNet")
    export(network, tmp_path, "nlm", meant_for, {})  # type: ignore[arg-type]
    monkeypatch.setattr(store, "shipped", lambda _: tmp_path)
    assert is_shipped("nlm")
    assert load("nlm").guarantee.holds
    # A path is never a classical denoiser's name.
    with pytest.raises(WeightsError, match="no model"):
        load(str(tmp_path / "median"))


def test_classical_denoisers_reconstruct_by_name() -> None:
    y, A = blurred()
    run = {"noise_level": 0.02, "stopping": Stopping(max_iter=3), "solver": "pnp-hqs"}
    found = reconstruct(y, A, "median", allow_uncertified=True, **run)  # type: ignore[arg-type]
    assert "no guarantee" in found.certificate.verdict
    given = reconstruct(y, A, load("median"), allow_uncertified=True, **run)  # type: ignore[arg-type]
    assert torch.equal(found.image, given.image)
    # The word "tv" is the functional for `reconstruct`, and the denoiser for `load`.
    assert reconstruct(y, A, "tv", noise_level=0.02, stopping=Stopping(max_iter=3)).certificate
    assert isinstance(load_denoiser("tv"), Denoiser)


def test_settings_of_networks_do_not_go_with_filters() -> None:
    with pytest.raises(InputError, match="median is no network; leave out precision bfloat16"):
        load_denoiser("median", precision="bfloat16")
    with pytest.raises(InputError, match="does not tell its receptive field"):
        load_denoiser("median", tile=64)
    with pytest.raises(WeightsError, match=r"no model 'medan'.* shipped models"):
        load("medan")


def test_an_edited_card_is_what_was_read(tmp_path: Path) -> None:
    path = exported("DnCNN", tmp_path)
    fields = json.loads(path.read_text())
    fields["certificate"]["averagedness"] = 0.5
    path.write_text(json.dumps(fields))
    assert not load(str(path)).guarantee.holds  # a card cannot prove what its family does not
    (problem,) = verify(str(path), attack_steps=0).problems
    assert "nothing is proven of a DnCNN" in problem

"""Training of classifiers: exact resume, what a card states, data sets, and the command."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from pnp_recon import load_denoiser
from pnp_recon.cli.train import app
from pnp_recon.datasets.labelled import DIGITS, Labelled, load_labelled
from pnp_recon.errors import InputError, WeightsError
from pnp_recon.models.classifier import load_classifier
from pnp_recon.models.verify import verify
from pnp_recon.networks.classifier import build_classifier
from pnp_recon.networks.configs import ClassifierConfig
from pnp_recon.pictures.files import write_picture
from pnp_recon.training.classifier.losses import margin_loss, tempered_loss
from pnp_recon.training.classifier.recipe import ClassifierRecipe
from pnp_recon.training.classifier.trainer import ClassifierTrainer
from pnp_recon.training.seeding import seeded

RECIPE = ClassifierRecipe(steps=12, batch=16, warmup=3, shift=1, flip=True)
CONFIGS = [
    ClassifierConfig(side=4, classes=2, blocks=2),
    ClassifierConfig("conv", side=4, classes=2, blocks=1, width=2),
]


def bars(count: int = 60) -> Labelled:
    """Rows or columns that are bright."""
    torch.manual_seed(0)
    pictures = torch.randint(60, (count, 1, 4, 4))
    labels = torch.arange(count) % 2
    pictures[labels == 0, :, 1] += 150
    pictures[labels == 1, :, :, 1] += 150
    return Labelled(pictures.to(torch.uint8), labels)


def trainer(folder: Path, config: ClassifierConfig, recipe: ClassifierRecipe = RECIPE):
    with seeded(0):
        network = build_classifier(config)
    return ClassifierTrainer(network, recipe, bars(), bars(), folder)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: c.architecture)
def test_an_interrupted_run_gives_the_same_weights_bit_by_bit(
    tmp_path: Path, config: ClassifierConfig
) -> None:
    whole = trainer(tmp_path / "whole", config)
    assert whole.run(lambda _: None, every=100)
    first = trainer(tmp_path / "parts", config)
    assert not first.run(lambda _: None, every=5, stop=lambda: first.step == 7)
    second = trainer(tmp_path / "parts", config)
    assert second.run(lambda _: None, every=5)
    ours, theirs = whole.average.state_dict(), second.average.state_dict()
    assert [key for key in ours if not torch.equal(ours[key], theirs[key])] == []


def test_it_learns_to_be_right_within_a_radius(tmp_path: Path) -> None:
    recipe = replace(RECIPE, steps=150, learning_rate=0.02, shift=0, flip=False)
    done = trainer(tmp_path, CONFIGS[0], recipe)
    before = done.validate()
    done.run(lambda _: None, every=1000)
    after = done.validate()
    assert set(after) == {"certified_0", "certified_0.1412", "certified_0.25", "certified_0.5"}
    shares = list(after.values())
    assert shares == sorted(shares, reverse=True)
    assert after["certified_0.25"] > max(0.9, before["certified_0.25"])


def test_losses() -> None:
    logits = torch.tensor([[1.0, 0.7, -1.0], [0.0, 2.0, 0.0]])
    labels = torch.tensor([0, 1])
    assert float(margin_loss(logits, labels, 0.5)) == pytest.approx(0.1)
    plain = torch.nn.functional.cross_entropy(logits, labels)
    assert float(tempered_loss(logits, labels, 0.0, 1.0)) == pytest.approx(float(plain))
    assert float(tempered_loss(logits, labels, 1.0, 1.0)) > float(plain)


@pytest.mark.parametrize(
    ("wrong", "message"), [({"criterion": "luck"}, "unknown criterion"), ({"margin": -1.0}, "≥ 0")]
)
def test_a_wrong_recipe_is_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ClassifierRecipe(**wrong)  # type: ignore[arg-type]


# ---- data ---------------------------------------------------------------------------------------


def folders(root: Path, side: int = 6) -> Path:
    for number, name in enumerate(("dark", "light")):
        (root / name).mkdir(parents=True)
        for k in range(6):
            level = 0.2 + 0.5 * number + 0.01 * k
            write_picture(root / name / f"{k}.png", torch.full((1, 3, side, side), level))
    return root


def test_folders_of_classes(tmp_path: Path) -> None:
    data = load_labelled(folders(tmp_path))
    assert (data.classes, data.names) == (2, ("dark", "light"))
    assert (len(data.training), len(data.validation)) == (11, 1)
    assert data.training.pictures.shape[1:] == (3, 6, 6)
    assert len(load_labelled(tmp_path, 4).validation) == 4
    with pytest.raises(InputError, match="expected 0 to 11"):
        load_labelled(tmp_path, 12)


def cifar(folder: Path, binary: bool) -> Path:
    folder.mkdir()
    generator = np.random.default_rng(0)
    for name in ("data_batch_1", "data_batch_2", "test_batch"):
        pixels = generator.integers(256, size=(4, 3072), dtype=np.uint8)
        labels = [0, 3, 9, 1]
        if binary:
            rows = np.concatenate([np.array(labels, np.uint8)[:, None], pixels], 1)
            (folder / f"{name}.bin").write_bytes(rows.tobytes())
        else:
            (folder / name).write_bytes(
                pickle.dumps({b"data": pixels, b"labels": labels}, protocol=2)
            )
    return folder


def test_both_versions_of_cifar_are_the_same(tmp_path: Path) -> None:
    python = load_labelled(cifar(tmp_path / "python", False))
    binary = load_labelled(cifar(tmp_path / "bin", True))
    assert python.description == binary.description
    assert torch.equal(python.training.pictures, binary.training.pictures)
    assert (len(python.training), len(python.validation), python.classes) == (8, 4, 10)


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("called",))


def test_a_pickle_that_calls_something_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = cifar(tmp_path / "cifar", False)
    (folder / "data_batch_1").write_bytes(pickle.dumps({b"data": Evil(), b"labels": []}))
    with pytest.raises(InputError, match=r"asks for builtins\.print"):
        load_labelled(folder)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("what", ["nothing", "one", "sizes", "empty"])
def test_folders_without_classes_are_refused(tmp_path: Path, what: str) -> None:
    folder = tmp_path / "data"
    if what != "nothing":
        folders(folder)
    if what == "one":
        for path in (folder / "light").iterdir():
            path.unlink()
        (folder / "light").rmdir()
    elif what == "sizes":
        write_picture(folder / "light" / "9.png", torch.zeros(1, 3, 5, 5))
    elif what == "empty":
        (folder / "zero").mkdir()
    with pytest.raises(InputError):
        load_labelled(folder)


def test_the_digits_are_split_once_for_all() -> None:
    data = load_labelled(Path(DIGITS))
    assert (len(data.training), len(data.validation), data.classes) == (1300, 497, 10)
    assert float(data.training.scaled().max()) == 1
    chosen = load_labelled(Path(DIGITS), 300)
    assert (len(chosen.training), len(chosen.validation)) == (1000, 300)


# ---- the command and its model ------------------------------------------------------------------


def test_the_command_trains_exports_and_its_card_is_checked(tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = ["classifier", "--data", DIGITS, "-o", str(run), "--steps", "6", "--blocks", "2"]
    done = CliRunner().invoke(app, [*command, "--threads", "1", "--no-tensorboard"])
    assert done.exit_code == 0, done.output
    assert "certified within 0.25: " in done.output
    card = run / "classifier_dense.json"
    fields = json.loads(card.read_text(encoding="utf-8"))
    assert fields["certificate"]["lipschitz"] <= 1 + 1e-9
    assert set(fields["validation"]["certified_accuracy"]) >= {"0", "0.1", "0.1412", "0.25", "0.5"}
    assert verify(str(card), 5).problems == []
    network = load_classifier(card)
    digits = load_labelled(Path(DIGITS)).validation
    held = network.decide(digits.scaled(torch.float64))
    share = float(((held.classes == digits.labels) & (held.radii > 0.1)).double().mean())
    assert fields["validation"]["certified_accuracy"]["0.1"] == pytest.approx(share)

    with pytest.raises(WeightsError, match="is a classifier, no model for pictures"):
        load_denoiser(card)

    fields["certificate"]["lipschitz"] /= 2  # twin: a constant declared half
    card.write_text(json.dumps(fields), encoding="utf-8")
    with pytest.raises(WeightsError, match="claims the constant"):
        load_classifier(card)
    assert any("features" in problem for problem in verify(str(card), 0).problems)

"""python -m scripts.studies.robust: trains, certifies, attacks, writes table, page and figures."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import torch
import typer

from pnp_recon.datasets.labelled import DIGITS, Labelled, load_labelled
from pnp_recon.networks.classifier import Classifier
from pnp_recon.problems.noise import table_noise
from scripts.protocol import IMAGES, RESULTS, read_rows, write_rows
from scripts.studies.robust import figures, pipeline
from scripts.studies.robust.measure import RADII, Row, decisions_of, measure
from scripts.studies.robust.models import MODELS, RECIPE, train
from scripts.studies.robust.pages import page

# Networks that are trained from one seed only: conv takes ten times as long.
ONCE = ("conv",)


def main(
    seeds: Annotated[int, typer.Option(help="Networks are trained from this many seeds.")] = 5,
    quick: Annotated[bool, typer.Option(help="One seed and a few steps, to try it out.")] = False,
    results: Annotated[Path, typer.Option(help="Table and page are written here.")] = RESULTS,
    images: Annotated[Path, typer.Option(help="The figures are written here.")] = IMAGES,
) -> None:
    """Certified and attacked accuracy on the digits; what is in the table is not made again."""
    torch.set_num_threads(1)
    data = load_labelled(Path(DIGITS))
    test, recipe = data.validation, RECIPE
    effort = {model: {"steps": 30, "restarts": 2 if model in ONCE else 10} for model in MODELS}
    if quick:
        seeds, recipe = 1, replace(RECIPE, steps=20)
        effort = {model: {"steps": 5, "restarts": 2} for model in MODELS}
        test = test.part(torch.arange(40))
    table = _Table(results / "robust.csv")
    x, labels = test.scaled(torch.float64), test.labels
    shown: dict[str, torch.nn.Module] = {}
    for seed in range(seeds):
        for model in MODELS:
            if (seed and model in ONCE) or (seed and table.has(model, seed)):
                continue
            network = train(model, seed, data.training, recipe)
            if not seed:
                shown[model] = network
            if not table.has(model, seed):
                held = decisions_of(network, x)
                table.add(measure(model, seed, network, held, x, labels, **effort[model]))
    first = shown["dense"]
    assert isinstance(first, Classifier)
    constant = _pipeline(table, first, data.training, test, quick)
    (results / "robust.md").write_text(page(table.rows, constant), encoding="utf-8")
    figures.curves(table.rows, images / "robust_curves.png")
    names = ("ResNet", "dense")
    pictures = images / "robust_examples.png"
    figures.examples({name: shown[name] for name in names}, x, labels, pictures)


def _pipeline(
    table: _Table, classifier: Classifier, training: Labelled, test: Labelled, quick: bool
) -> float:
    """The whole pipeline on noisy measurements; returns its constant K."""
    recipe = pipeline.DENOISER_RECIPE
    recipe = replace(recipe, steps=5) if quick else recipe
    whole = pipeline.Pipeline(
        pipeline.blur(), pipeline.train_denoiser(training, recipe), classifier
    )
    y = whole.A.A(test.scaled(torch.float64))
    y = y + pipeline.LEVEL * table_noise(255 * pipeline.LEVEL, 0)(y)
    if not table.has("pipeline", 0):
        effort = {"steps": 5, "restarts": 1} if quick else {"steps": 15, "restarts": 3}
        held = whole.decide(y)
        table.add(measure("pipeline", 0, whole, held, y, test.labels, RADII, **effort))
    return whole.constant()


class _Table:
    """The rows of a file, which is written at every addition."""

    def __init__(self, path: Path) -> None:
        self.path = path
        kinds: dict[str, Callable[[str], object]] = {
            "model": str, "seed": int, "broken": int,
        }  # fmt: skip
        self.rows = [
            Row(**{key: kinds.get(key, float)(value) for key, value in row.items()})  # type: ignore[arg-type]
            for row in read_rows(path)
        ]

    def has(self, model: str, seed: int) -> bool:
        return any(row.model == model and row.seed == seed for row in self.rows)

    def add(self, rows: list[Row]) -> None:
        self.rows += rows
        texts = [
            {k: f"{v:.4g}" if isinstance(v, float) else str(v) for k, v in asdict(row).items()}
            for row in self.rows
        ]
        write_rows(self.path, texts)
        proven = statistics.mean(row.certified for row in rows)
        typer.echo(f"{rows[0].model}, seed {rows[0].seed}: mean proven accuracy {proven:.3f}")


if __name__ == "__main__":
    typer.run(main)

"""Studies of structured optimisers.

    python -m scripts.studies.optimisers plane                       # seconds
    python -m scripts.studies.optimisers ica                         # seconds
    python -m scripts.studies.optimisers denoiser --data BSDS500     # an hour
    python -m scripts.studies.optimisers tuning --data BSDS500       # minutes

With `--quick` each does a few steps, to try it out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import typer

from pnp_recon.datasets.folders import load_training_data
from scripts.protocol import IMAGES, RESULTS, Rows
from scripts.studies.optimisers import denoiser as denoisers
from scripts.studies.optimisers import ica as components
from scripts.studies.optimisers import plane as planes
from scripts.studies.optimisers import tuning as searched
from scripts.studies.optimisers.training import METHODS
from scripts.studies.research.rows import HELD_OUT

app = typer.Typer(help=__doc__, no_args_is_help=True)
Quick = Annotated[bool, typer.Option("--quick", help="A few steps of each, to try it out.")]
Results = Annotated[Path, typer.Option(help="Rows and table are written here.")]
Images = Annotated[Path, typer.Option(help="Figures are written here.")]
Data = Annotated[Path, typer.Option(help="BSDS500.")]


def _written(text: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    typer.echo(text)


@app.command()
def plane(quick: Quick = False, results: Results = RESULTS, images: Images = IMAGES) -> None:
    """Count steps on the camel-back function, and draw them."""
    text = planes.study(130 if quick else planes.MOST, images / "optimisers.png")
    _written(text, results / "optimisers.md")


@app.command()
def ica(quick: Quick = False, results: Results = RESULTS, images: Images = IMAGES) -> None:
    """Separate three mixed signals by steps on orthonormal matrices."""
    text = components.study(30 if quick else components.STEPS, images / "optimisers_ica.png")
    _written(text, results / "optimisers_ica.md")


@app.command()
def denoiser(
    data: Data,
    quick: Quick = False,
    results: Results = RESULTS,
    runs: Annotated[Path, typer.Option(help="Checkpoints are held here.")] = Path(
        "runs/optimisers"
    ),
    only: Annotated[list[str] | None, typer.Option(help="These methods alone.")] = None,
) -> None:
    """Train a small certified denoiser by each method."""
    torch.set_num_threads(1)
    rows = Rows(results / "optimisers_denoiser.jsonl")
    methods = denoisers.quick_methods() if quick else METHODS
    chosen = tuple(method for method in methods if only is None or method.name in only)
    steps, seeds = (6, (0,)) if quick else (denoisers.STEPS, denoisers.SEEDS)
    pictures = load_training_data(data, 1, 64, HELD_OUT)
    denoisers.study(rows, pictures, runs, chosen, steps, seeds)
    _written(denoisers.page(rows, chosen, steps), results / "optimisers_denoiser.md")


@app.command()
def tuning(
    data: Data, quick: Quick = False, results: Results = RESULTS, images: Images = IMAGES
) -> None:
    """Tune a reconstruction by descent, by candidates and by a simplex."""
    torch.set_num_threads(1)
    rows = Rows(results / "optimisers_tuning.jsonl")
    seen, held = searched.plan_of(data, searched.NOISES, searched.PICTURES)
    if quick:
        seen, held = searched.shortened(seen), searched.shortened(held)
    searched.study(rows, seen, held)
    searched.figure(rows, images / "optimisers_tuning.png")
    _written(searched.page(rows, seen, held), results / "optimisers_tuning.md")


if __name__ == "__main__":
    app()

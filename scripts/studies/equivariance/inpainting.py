"""A counter-example: inpainting with a fixed mask does not commute with turns, its prox does.

Celledoni et al. 2021, "Equivariant neural networks for inverse problems", Prop. 1: the proximal map
of an invariant regulariser is equivariant. The reconstruction Φ(y) = argmin ½‖Ax − y‖² + g(x) need
not be: turning the picture and not the mask asks for other pixels.
"""

from __future__ import annotations

import argparse

from scripts.studies.equivariance.inpainting_methods import (
    PAIRS,
    SIZE,
    STEPS,
    Errors,
    errors,
    masks,
    methods,
    picture,
)

HEAD = f"""The camera man at {SIZE}×{SIZE}, no noise, float64; relative errors
‖Ψ(g·x) − g·Ψ(x)‖ / ‖g·Ψ(x)‖, the largest over turns by 90°, 180° and 270°. Ψ is the proximal map
alone (of a network: what its first learned map adds); the reconstruction with the mask turned
along; the reconstruction with one mask for both.
Networks: 4 iterations, width 32, {STEPS} steps on {PAIRS} crops of the other sample pictures.

| mask | reconstruction | proximal map alone | mask turned along | mask fixed |
|---|---|---|---|---|
"""


def table(rows: list[tuple[str, str, Errors]]) -> str:
    lines = [
        f"| {mask} | {name} | {e.prox:.1e} | {e.turned:.1e} | **{e.fixed:.1e}** |\n"
        for mask, name, e in rows
    ]
    return HEAD + "".join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It takes none of its own."""


def main(options: argparse.Namespace) -> None:
    from scripts.studies.equivariance.inpainting_figure import draw

    x, rows = picture(), []
    for name, mask in masks().items():
        found = methods(name, options.runs / "inpainting")
        rows += [(name, method.name, errors(method, mask, x)) for method in found]
        if name == "block":
            shown = [found[0], found[2]]
            draw(shown, mask, x, options.images / "inpainting_equivariance.png")
    text = table(rows)
    (options.results / "equivariance_inpainting.md").write_text(text, encoding="utf-8")
    print(text)

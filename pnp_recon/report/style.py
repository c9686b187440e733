"""Colours of a report's figures, and how their axes look. Loads no matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, PALE = "#22303c", "#8a96a3"
BLUE, ORANGE, RED = "#1f5fa8", "#d9822b", "#b3261e"


def quiet(axes: Axes) -> None:
    """A light grid and two spines."""
    axes.grid(True, which="major", color="#d5dbe1", lw=0.7)
    axes.tick_params(colors=INK)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(PALE)

"""The words of a report, for readers who know none of them."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

_NOISE = (
    "Noise level σ",
    "How strongly random grain moves a pixel, as a share of the range from black (0) to white "
    "(1). σ·255 = 2.55 is fine grain, 25 is coarse.",
)
_KERNEL = (
    "Blur kernel",
    "The small picture that a single point of light becomes. A straight line is motion, a disc "
    "is defocus.",
)
_PRIORS = {
    "denoiser": (
        "Denoiser",
        "A trained network that removes grain from a picture. It holds the knowledge of what "
        "pictures look like.",
    ),
    "energy": (
        "Energy",
        "A trained network that gives every picture a number, small for what pictures look like.",
    ),
    "regulariser": (
        "Regulariser",
        "A number that is small for what pictures look like. Total variation is the sum of all "
        "steps from pixel to pixel: small for flat areas with few edges.",
    ),
    "reconstruction network": (
        "Reconstruction network",
        "A trained network that knows how the measurement came about. It was trained on pictures "
        "and their measurements, and its number of steps is part of it.",
    ),
}
_MAP = (
    ("Residual", "How much the picture still changes in one step. Near zero: it has settled."),
    ("Averaged map", "A step that never moves two pictures further apart, with something to "
     "spare: α < 1 says how much (the smaller, the more). Repeating such a step settles."),
)  # fmt: skip
_DESCENT = (
    ("Residual", "How steep the energy still is, in units of the picture. Near zero: it has "
     "settled."),
    ("Critical point", "A picture at which the energy is level, such as the lowest in its "
     "neighbourhood."),
)  # fmt: skip
_QUALITY = (
    "PSNR, SSIM",
    "How close a picture is to a known true one. PSNR in decibels, more is better; SSIM up to 1.",
)


def glossary_html(report: Mapping[str, Any]) -> str:
    """The words that a report uses, each explained in a sentence or two."""
    words = [] if report["physics"] else [_NOISE]
    words += [_KERNEL] if report["kernel"] else []
    of_run = _DESCENT if report["certificate"]["kind"] == "critical point" else _MAP
    words += [_PRIORS[report["denoiser"]["kind"]], *of_run, _QUALITY]
    items = "".join(f"<dt>{escape(a)}</dt><dd>{escape(b)}</dd>" for a, b in words)
    return f"<dl>{items}</dl>"

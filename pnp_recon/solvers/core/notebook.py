"""How a `Solution` looks in a notebook: picture, verdict, and the curve of its residuals."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from html import escape

from torch import Tensor

from pnp_recon.pictures.preview import picture_png
from pnp_recon.solvers.core.certificate import Certificate

# A cell of a notebook is no album: so many pictures, of so many pixels a side.
_PICTURES, _SIDE = 4, 320
_WIDTH, _HEIGHT = 320, 120


def html(images: Tensor, certificate: Certificate, residuals: Sequence[float], ending: str) -> str:
    """A fragment of HTML that loads nothing from elsewhere.

    Args:
        images: (B, C, H, W); the first four are shown. One or three channels are shown as they
            are, clipped to [0, 1], of others the first.
        certificate: what is known of the run.
        residuals: relative, one for each iteration; those that are not positive leave gaps.
        ending: how the run ended, in words.
    """
    pictures = "".join(
        f'<img alt="picture {number + 1} of {len(images)}" src="{_png(image)}" '
        f'style="max-width:{_SIDE}px;image-rendering:auto;margin-right:8px">'
        for number, image in enumerate(images[:_PICTURES])
    )
    more = len(images) - _PICTURES
    rest = f"<p>and {more} more</p>" if more > 0 else ""
    first, *details = certificate.lines()
    listed = "".join(f"<li>{escape(line.strip())}</li>" for line in details)
    return (
        f"<div>{pictures}{rest}<p><b>{escape(certificate.label)}</b>: {escape(ending)}</p>"
        f"{_curve(residuals)}<details><summary>{escape(first)}</summary><ul>{listed}</ul>"
        "</details></div>"
    )


def _png(image: Tensor) -> str:
    shown = image if image.shape[0] == 3 else image[:1]
    return "data:image/png;base64," + base64.b64encode(picture_png(shown[None], 2 * _SIDE)).decode()


def _curve(residuals: Sequence[float]) -> str:
    logs = [(k, math.log10(r)) for k, r in enumerate(residuals) if 0 < r < math.inf]
    if len(logs) < 2:
        return ""
    low, high = min(v for _, v in logs), max(v for _, v in logs)
    span, last = max(high - low, 1e-9), max(len(residuals) - 1, 1)
    points = " ".join(f"{k / last * _WIDTH:.1f},{(high - v) / span * _HEIGHT:.1f}" for k, v in logs)
    words = f"relative residual: {10 ** logs[0][1]:.1e} to {10 ** logs[-1][1]:.1e}"
    words += f" in {len(residuals)} iterations"
    return (
        f'<svg width="{_WIDTH}" height="{_HEIGHT + 20}" role="img" aria-label="{words}">'
        f'<polyline points="{points}" fill="none" stroke="#2563eb" stroke-width="1.5"/>'
        f'<text x="0" y="{_HEIGHT + 16}" font-size="12" fill="currentColor">{words}</text></svg>'
    )

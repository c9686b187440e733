"""`pnp-ct`: what the back-projections of a scan will take, said before they are made.

They are no iterations, of which `run.effort` knows, and come before them: a slice of 2048² pixels
from 1800 views takes minutes. Imported after parsing: it loads torch.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace

import torch

from operators.filtered_back_projection import filtered_back_projection
from pnp_recon.cli.ct.measurement import Measurement
from pnp_recon.cli.run.effort import RANGE, Span

# Less is not worth a line, in seconds; and of so few pixels times views nothing is timed.
SHORT, WORK = 10.0, 3e7
# One of so many views is back-projected for it, and the whole takes so many back-projections: the
# picture, a smooth and a sharp one for its window, and what a report shows beside it (640² pixels:
# 3, and 5 to 6 with that).
SHARE, TIMES = 64, 4.0


def of_back_projections(found: Measurement) -> Span | None:
    """The time of them, by a few views; None: they are soon made."""
    geometry, y = found.A.geometry, found.y
    views = len(geometry.angles)
    pixels = math.prod(found.A.image_shape) * y.shape[0]
    if pixels * views < WORK:
        return None
    step = max(1, min(SHARE, views // 4))
    axis = y.ndim - len(geometry.measured_shape)
    few = y.index_select(axis, torch.arange(0, views, step, device=y.device))
    part = replace(geometry, angles=geometry.angles[::step])
    size = found.A.image_shape if geometry.kind == "cone" else found.A.image_shape[1:]
    begin = time.perf_counter()
    with torch.no_grad():
        filtered_back_projection(part, few, size)
    if y.is_cuda:
        torch.cuda.synchronize()
    seconds = TIMES * (time.perf_counter() - begin) * views / len(part.angles)
    low, high = (share * seconds for share in RANGE)
    return None if high < SHORT else Span(low, high)

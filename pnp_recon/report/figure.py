"""The figure of a report: pictures, a close-up, the kernel and the residual curve.

Matplotlib's object interface on the Agg canvas: no window, no global state, usable from threads.
"""

from __future__ import annotations

import io
import math
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pnp_recon.pictures.preview import shown_array
from pnp_recon.report.run import Quality, Run
from pnp_recon.report.strength import draw_strength
from pnp_recon.report.style import BLUE, INK, ORANGE, PALE, RED, quiet

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def figure_png(run: Run, dpi: int = 130) -> bytes:
    """The figure as the bytes of a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    state = "degraded" if run.physics is None else run.physics.shown
    pictures = [(state, run.degraded, run.before), ("restored", run.restored, run.after)]
    if run.reference is not None:
        pictures.append(("reference", run.reference, None))
    height, width = run.restored.shape[-2:]
    aspect = min(max(height / width, 0.4), 1.6)
    columns = len(pictures)
    cell = 12.0 / columns
    figure = Figure(figsize=(12, 2 * cell * aspect + 4.8), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    rows: Any = figure.subfigures(3, 1, height_ratios=[cell * aspect + 0.7, cell * aspect, 4.0])
    top, middle = rows[0].subplots(1, columns), rows[1].subplots(1, columns)
    window = close_up(run.restored)
    for place, close, (title, picture, quality) in zip(top, middle, pictures, strict=True):
        _show(place, picture)
        place.set_title(_title(title, quality), color=INK, fontsize=11)
        place.add_patch(_frame(window))
        _show(close, picture[..., window[0] : window[1], window[2] : window[3]])
    beside = run.kernel is not None or (run.physics is not None and run.physics.picture is not None)
    strength = run.solution.strength
    chosen = strength is not None and strength.trials
    widths = [1.0 if beside else 0.02, 2.0 if chosen else 3.0, *([1.0] if chosen else [])]
    if _is_formula(run):
        _physics(rows[2].subplots(1, 1), run)  # there is no iteration to draw
    else:
        bottom = rows[2].subplots(1, len(widths), width_ratios=widths)
        _physics(bottom[0], run)
        _residuals(bottom[1], run)
    if not _is_formula(run) and strength is not None and strength.trials:
        draw_strength(bottom[2], strength)
    colour = INK if run.solution.certificate.holds or _is_formula(run) else RED
    figure.suptitle(_headline(run), color=colour, fontsize=14, fontweight="bold")
    if run.doubts:  # below what is proven of the iteration, as that says nothing of the picture
        rows[0].suptitle(_doubt(run), color=RED, fontsize=10, parse_math=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def kernel_png(weights: Tensor, side: int = 180) -> bytes:
    """A kernel as a PNG, its largest weight white, each weight a square of whole pixels."""
    from PIL import Image

    values = _kernel(weights)
    values = values / max(float(values.max()), 1e-300)
    factor = max(1, side // max(values.shape[:2]))
    block = np.ones((factor, factor, 1)[: values.ndim], np.uint8)
    enlarged = np.kron(np.rint(255 * values).astype(np.uint8), block)
    buffer = io.BytesIO()
    Image.fromarray(enlarged).save(buffer, format="PNG")
    return buffer.getvalue()


def kernel_size(weights: Tensor) -> str:
    """ "9×7 pixels", or how many kernels there are of that size."""
    height, width = weights.shape[-2:]
    size = f"{width}×{height} pixels"
    return size if weights.ndim < 4 else f"{weights.shape[1]}×{weights.shape[0]} of {size}"


def _kernel(weights: Tensor) -> NDArray[np.float64]:
    """(h, w), or (h, w, 3) in [0, 1] for a kernel of every channel; a field side by side."""
    values = weights.detach().double().cpu()
    if values.ndim == 4:
        values = values.transpose(1, 2).flatten(2).flatten(0, 1)
    if values.ndim == 3:
        values = (values / values.max().clamp_min(1e-300)).permute(1, 2, 0)
    array: NDArray[np.float64] = values.numpy()
    return array


def close_up(picture: Tensor, share: float = 0.3) -> tuple[int, int, int, int]:
    """The window (top, bottom, left, right) with the most detail: largest summed gradient."""
    grey = picture.detach().double().cpu().mean(1)[0]
    height, width = grey.shape
    rows, columns = max(1, round(share * height)), max(1, round(share * width))
    energy = grey.new_zeros(height + 1, width + 1)
    energy[1:height, 1:] += grey.diff(dim=0).abs()
    energy[1:, 1:width] += grey.diff(dim=1).abs()
    total = energy.cumsum(0).cumsum(1)
    sums = (
        total[rows:, columns:]
        - total[:-rows, columns:]
        - total[rows:, :-columns]
        + total[:-rows, :-columns]
    )
    top, left = divmod(int(sums.argmax()), sums.shape[1])
    return top, top + rows, left, left + columns


def _show(axes: Axes, picture: Tensor) -> None:
    axes.imshow(shown_array(picture), cmap="gray", vmin=0, vmax=1, interpolation="none")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def _frame(window: tuple[int, int, int, int]) -> Any:
    from matplotlib.patches import Rectangle

    top, bottom, left, right = window
    return Rectangle(
        (left - 0.5, top - 0.5), right - left, bottom - top, fill=False, color=ORANGE, lw=1.5
    )


def _title(name: str, quality: Quality | None) -> str:
    if quality is None:
        return name
    return f"{name}   {quality.psnr:.2f} dB,  SSIM {quality.ssim:.3f}"


def _headline(run: Run) -> str:
    certificate = run.solution.certificate
    if certificate.contradicted:
        return "CERTIFICATE FAILED: the run contradicts the proof"
    if _is_formula(run):
        return "computed by a formula, without iteration"
    if not certificate.proven:
        return "NO GUARANTEE: nothing is proven about this run"
    if certificate.unchecked:
        return "NOT CERTIFIED: the run checked nothing"
    if certificate.conditions:
        return f"certified, if what was declared is true: the iteration converges{_so_far(run)}"
    return f"certified: the iteration is proven to converge{_so_far(run)}"


def _doubt(run: Run) -> str:
    """The first doubt of the picture, in lines of the figure's width."""
    more = len(run.doubts) - 1
    others = f" (and {more} more in the report)" if more else ""
    return "\n".join(wrap(f"doubt: {run.doubts[0]}{others}", 150))


def _is_formula(run: Run) -> bool:
    """Whether nothing was iterated, so that there is neither convergence nor a residual."""
    return run.solution.status.name == "DIRECT"


def _so_far(run: Run) -> str:
    return "" if run.solution.status.succeeded else "; it was stopped before it had"


def _physics(axes: Axes, run: Run) -> None:
    """The kernel, or what else shows the physics, or nothing."""
    axes.set_xticks([])
    axes.set_yticks([])
    physics = run.physics
    if run.kernel is not None:
        axes.imshow(_kernel(run.kernel.weights), cmap="magma", vmin=0)
        words = f"kernel: {run.kernel.name}, {kernel_size(run.kernel.weights)}"
        axes.set_title(words.replace("pixels", "px"), color=INK, fontsize=11)
    elif physics is not None and physics.picture is not None:
        axes.imshow(shown_array(physics.picture[None, None]), cmap="gray", vmin=0, vmax=1)
        axes.set_title(physics.caption, color=INK, fontsize=11)
    else:
        axes.set_axis_off()


def _residuals(axes: Axes, run: Run) -> None:
    """The worst picture's ‖z_{k+1}−z_k‖ and the bound, logarithmic on both axes."""
    history = run.solution.history
    iterations = list(range(1, history.iterations + 1))
    residuals = [_positive(max(row)) for row in history.residuals]
    if residuals:
        label = "‖∇E‖/λ" if history.gradients else "measured"
        axes.loglog(
            iterations, residuals, color=BLUE, lw=2, label=label, marker=_marker(iterations)
        )
    if history.gradients:
        _descent(axes, run)
    elif history.bounds:
        bounds = [_positive(max(row)) for row in history.bounds]
        shown = iterations[: len(bounds)]
        axes.loglog(
            shown,
            bounds,
            color=ORANGE,
            ls="--",
            lw=1.8,
            label="proven bound",
            marker=_marker(shown),
        )
    else:
        proven = run.solution.certificate.proven
        words = "proven to converge" if proven else "no bound: nothing is proven"
        if bars := run.solution.error_bars:
            widest = max(bar.rms_255 for bar in bars)
            words += f", to within {widest:.2g}/255 (rms)"
        axes.text(
            0.98, 0.93, words, color=INK if proven else RED, ha="right", va="top",
            transform=axes.transAxes, fontsize=11,
        )  # fmt: skip
    count = "1 iteration" if history.iterations == 1 else f"{history.iterations} iterations"
    axes.set_title(f"residual over {count}", color=INK, fontsize=11)
    axes.set_xlabel("iteration", color=INK)
    if not history.gradients:
        axes.set_ylabel("fixed-point residual", color=INK)
    quiet(axes)
    _plain_ticks(axes, history.iterations)
    if residuals:
        # Below the axes: of the lines of two iterations no corner is sure to be free.
        axes.legend(frameon=False, ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.14))


def _marker(steps: list[int]) -> str | None:
    """A dot for each step of a short run: a line through one point would not be seen."""
    return "o" if len(steps) < 10 else None


def _plain_ticks(axes: Axes, iterations: int) -> None:
    """1, 2, 5, 10 … in place of powers, where an axis is too short for three of these."""
    from matplotlib.ticker import NullFormatter, ScalarFormatter

    axes.xaxis.set_minor_formatter(NullFormatter())
    if iterations < 100:
        ticks = [tick for tick in (1, 2, 5, 10, 20, 50) if tick <= iterations]
        axes.set_xticks(ticks)
        axes.xaxis.set_major_formatter(ScalarFormatter())


def _descent(axes: Axes, run: Run) -> None:
    """How far the energy fell, its gradient, and the bound of the gradient that H2 sets."""
    history = run.solution.history
    steps = list(range(1, history.iterations + 1))
    slope = run.solution.certificate.theorem.numbers().get("slope", math.nan)
    lines = (
        ("fall of E", history.falls, 1.0, PALE, "-"),
        ("‖∇E‖", history.gradients, 1.0, INK, "-"),
        ("bound of ‖∇E‖", history.moves, slope, ORANGE, "--"),
    )
    for label, rows, factor, colour, style in lines:
        values = [_positive(factor * max(row)) for row in rows]
        axes.loglog(
            steps, values, color=colour, ls=style, lw=1.8, label=label, marker=_marker(steps)
        )


def _positive(value: float) -> float:
    """What a logarithmic axis can show; zero and non-finite values leave a gap."""
    return value if value > 0 and math.isfinite(value) else math.nan

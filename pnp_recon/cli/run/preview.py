"""A part of a picture instead of the whole (--crop), or before it (--preview).

Imported after parsing: it loads torch.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pnp_recon.cli.run.case import Case
from pnp_recon.cli.run.live import LiveLine
from pnp_recon.cli.run.options import RunOptions
from pnp_recon.cli.run.plan import Job
from pnp_recon.cli.run.region import PREVIEW, Region, centre
from pnp_recon.cli.run.solve import Prior, solve
from pnp_recon.errors import InputError
from pnp_recon.files import check_target
from pnp_recon.pictures.sheets import before_after, write_sheet
from pnp_recon.solvers import Solution, Status


def cropped(case: Case, region: Region, source: Path) -> Case:
    """The case of a region of the file.

    Raises:
        InputError: it does not lie in the picture, or nothing can be restored there.
    """
    if case.excerpt is None:
        raise InputError(f"{source}: --crop does not go with this measurement; leave it out")
    top, left = case.origin
    shown = (case.degraded.shape[-2], case.degraded.shape[-1])
    size = (shown[0] + 2 * top, shown[1] + 2 * left)
    if not region.fits(size):
        raise InputError(
            f"--crop {region} does not lie in {source}, which is {size[1]}×{size[0]} pixels; give "
            "x,y,w,h with x + w and y + h at most that"
        )
    inside = region.within(Region(left, top, shown[1], shown[0]))
    if not inside.fits(shown):
        seen = Region(left, top, shown[1], shown[0])
        raise InputError(
            f"--crop {region} reaches into the border that a simulated camera does not see; the "
            f"rest is {seen}"
        )
    return case.excerpt(inside)


def preview_paths(target: Path) -> tuple[Path, Path]:
    """Where the preview of a result and its sheet go."""
    stem = f"{target.stem}_preview"
    return target.with_name(f"{stem}{target.suffix}"), target.with_name(f"{stem}_sheet.png")


def check_preview(job: Job, overwrite: bool) -> None:
    """Refuses before the run what could not be written.

    Raises:
        OutputError: with the reason.
    """
    for path in preview_paths(job.target):
        check_target(path, overwrite=overwrite, inputs=[job.source, *job.other_inputs])


def preview(
    job: Job,
    case: Case,
    prior: Prior,
    options: RunOptions,
    live: LiveLine,
    say: Callable[[str], None],
) -> tuple[Case, Solution] | None:
    """The middle of the picture, solved and written; None: the picture is not larger.

    Raises:
        InputError: no part of it can be restored alone.
        KeyboardInterrupt: Ctrl-C.
    """
    size = (case.degraded.shape[-2], case.degraded.shape[-1])
    if max(size) <= PREVIEW or case.excerpt is None:
        small = max(size) <= PREVIEW
        too_small = f"the picture is not larger than {PREVIEW}×{PREVIEW}"
        say(f"preview: none, {too_small if small else 'no part of it can be restored alone'}")
        return None
    region = centre(size, PREVIEW)
    live.stage(f"preview of {region}")
    part = case.excerpt(region)
    solution = solve(part, prior, options, lambda _: None, live.tried)
    if solution.status is Status.INTERRUPTED:
        raise KeyboardInterrupt
    picture, sheet = preview_paths(job.target)
    part.write(picture, solution.image)
    write_sheet(sheet, before_after(part.degraded, part.show(solution.image)))
    say(f"wrote: {picture} (preview of {region}) and {sheet} (before and after)")
    return part, solution

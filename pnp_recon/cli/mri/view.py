"""`pnp-mri`: how a complex picture is shown and written.

Imported after parsing: it loads torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from operators.mri import to_complex
from pnp_recon.cli.mri.options import MriOptions
from pnp_recon.cli.run.plan import Job
from pnp_recon.errors import OutputError
from pnp_recon.files import atomic_write, check_target
from pnp_recon.kspace import ComplexWindow
from pnp_recon.pictures.files import write_picture


@dataclass(frozen=True, eq=False)
class View:
    """The window, and how a picture in it is shown.

    Attributes:
        window: where the picture without its phase lies.
        full: the modulus that is white.
        phase: what was taken away, (H, W) in radians, or None.
    """

    window: ComplexWindow
    full: float
    phase: Tensor | None

    def show(self, u: Tensor) -> Tensor:
        """The modulus (1, 1, H, W) over `full`; a phase does not change it."""
        return to_complex(self.window.from_unit(u)).abs()[:, None] / self.full

    def picture(self, u: Tensor) -> Tensor:
        """The complex picture (H, W) in the unit of the data, with its phase."""
        x = to_complex(self.window.from_unit(u.double()))[0]
        if self.phase is None:
            return x
        angle = self.phase.to(x.device, torch.float64)
        return x * torch.polar(torch.ones_like(angle), angle)


def picture_target(job: Job, options: MriOptions) -> Path | None:
    """The .png beside a .npy, if there is to be one; checked before the run.

    Raises:
        OutputError: it cannot be written.
    """
    if job.target.suffix.lower() == ".png" or options.no_picture:
        return None
    picture = job.target.with_suffix(".png")
    inputs = [job.source, *job.other_inputs]
    check_target(picture, overwrite=options.overwrite, inputs=inputs)
    return picture


def writer(
    view: View, picture: Path | None, options: MriOptions
) -> Callable[[Path, Tensor], list[str]]:
    """`Case.write`: the complex picture, and its modulus."""

    def write(path: Path, u: Tensor) -> list[str]:
        shown = view.show(u).clamp(0, 1)
        if path.suffix.lower() == ".png":
            return write_picture(path, shown, None, options.overwrite)
        values = view.picture(u).to("cpu", torch.complex64).numpy()
        if not np.isfinite(values).all():
            raise OutputError(f"cannot write {path}: the picture holds values that are not finite")
        atomic_write(path, lambda handle: np.save(handle, values, allow_pickle=False))
        return [] if picture is None else write_picture(picture, shown, None, options.overwrite)

    return write

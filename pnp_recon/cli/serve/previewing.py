"""The quick preview: the middle of the picture, solved roughly before the whole.

A preview is a look, no result: few iterations of the certified denoiser at the strength of the
rule, and no certificate. Where the middle alone can say blur and noise it does not even wait for
them to be found in the whole picture. Runs in the worker, in the job's folder. Loads torch.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from operators.errors import OperatorError
from pnp_recon.cli.run.case import Case
from pnp_recon.cli.run.command import Command
from pnp_recon.cli.run.plan import Job
from pnp_recon.cli.run.session import Session
from pnp_recon.cli.run.solve import choose_prior, solve
from pnp_recon.cli.serve.looking import MIDDLE, middle, save
from pnp_recon.cli.serve.telling import Tell
from pnp_recon.errors import PnPReconError
from pnp_recon.models import load
from pnp_recon.pictures.masks import read_mask

PREVIEW, PREVIEWED = Path("out/preview.png"), Path("out/previewed.png")
# Seconds of iterations.
SECONDS = 0.5


def of_middle(command: Command[Any], options: Any, priors: dict[str, Any], tell: Tell) -> None:
    """Previews by the middle as a picture of its own; says nothing where that does not do."""
    PREVIEW.unlink(missing_ok=True)
    with _only_a_look():  # the whole picture may do
        middle_alone = replace(options, inputs=[str(MIDDLE)])
        if getattr(options, "mask", None) is not None:
            middle_alone = replace(middle_alone, mask=_cut(options.mask))
        session = Session(middle_alone, priors=priors)
        _show(command.prepare(Job(MIDDLE, PREVIEW), session), session, tell)


def of_case(case: Case, session: Session[Any], tell: Tell) -> None:
    """Previews by a part of the case, if there is no preview yet."""
    if PREVIEW.exists() or case.excerpt is None:
        return
    with _only_a_look():
        size = (case.degraded.shape[-2], case.degraded.shape[-1])
        _show(case.excerpt(middle(size)), session, tell)


@contextmanager
def _only_a_look() -> Iterator[None]:
    """No error of a preview costs the run; a defect is shown in the server's terminal."""
    try:
        yield
    except (PnPReconError, OperatorError):
        pass
    except Exception:
        traceback.print_exc()


def _show(case: Case, session: Session[Any], tell: Tell) -> None:
    name = load.AUTO[case.A.image_shape[0]]
    options = replace(session.options, strength="1", denoiser=name, time_limit=SECONDS)
    prior = choose_prior(case, replace(session, options=options))
    solution = solve(case, prior, options, lambda _: None, lambda _: None)
    size = save(case.degraded, PREVIEWED)
    save(case.show(solution.image), PREVIEW)
    tell("preview", size=size)


def _cut(mask: Path) -> Path:
    """The middle of a mask."""
    known = read_mask(mask)
    known = known if known.ndim == 3 else known[None]
    path = MIDDLE.with_name("mask.png")
    save(known[middle((known.shape[-2], known.shape[-1])).slices][None].float(), path)
    return path

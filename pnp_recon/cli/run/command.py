"""What a reconstruction command is made of; the rest is the same for all of them.

Imports no torch: `prepare` imports what it needs when it is called.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic

from pnp_recon.cli.run.options import Options
from pnp_recon.files import SUFFIXES

if TYPE_CHECKING:
    from pnp_recon.cli.run.plan import Job
    from pnp_recon.cli.run.problem import Problem, Session


@dataclass(frozen=True)
class Command(Generic[Options]):
    """One command.

    Attributes:
        program: its name.
        mark: put behind the stem of an input to name its result ("_deblurred").
        prepare: reads a job's files and turns them into a problem y = A x + noise.
        input_suffixes: what counts as an input in folders and globs.
        output_suffixes: what can be written.
        output_suffix: of a result without --output; None: that of the input.
    """

    program: str
    mark: str
    prepare: Callable[[Job, Session[Options]], Problem]
    input_suffixes: tuple[str, ...] = SUFFIXES
    output_suffixes: tuple[str, ...] = SUFFIXES
    output_suffix: str | None = None

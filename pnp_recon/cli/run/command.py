"""What a reconstruction command is made of; the rest is the same for all of them.

Imports no torch: `prepare` imports what it needs when it is called.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic

from pnp_recon.cli.run.options import Options
from pnp_recon.cli.run.plan import Job, Names

if TYPE_CHECKING:
    from pnp_recon.cli.run.case import Case
    from pnp_recon.cli.run.session import Session


@dataclass(frozen=True)
class Command(Generic[Options]):
    """One command.

    Attributes:
        program: its name.
        options: its options, a dataclass.
        names: what its inputs and results are called.
        prepare: reads a job's files and turns them into the case y = A x + noise.
    """

    program: str
    options: type[Options]
    names: Names
    prepare: Callable[[Job, Session[Options]], Case]

"""The command line of a reconstruction command, and what all of them say about exit codes.

Imports no torch: `--help` and a wrong option are answered at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import typer

from pnp_recon.cli.app import make_app
from pnp_recon.cli.run.batch import run_batch
from pnp_recon.cli.run.command import Command
from pnp_recon.cli.run.options import Options
from pnp_recon.cli.shell import run_app

# The end of the help of commands whose result is a picture.
EXIT_CODES = """Exit codes: 0 the iteration converged; 2 the input is bad; 3 the iteration stopped \
before it converged (limit or Ctrl-C), the picture is written; 4 a required certificate could not \
be given, nothing is written; 130 Ctrl-C came before there was a picture. For several files it is \
the worst of them, in the order 0, 3, 4, 2."""


class Main(Protocol):
    """Runs a command with these arguments, or those of the process; returns its exit code."""

    def __call__(self, argv: list[str] | None = None) -> int: ...


def entry(
    command: Command[Options], words: str, run: Callable[[Options], int] | None = None
) -> tuple[typer.Typer, Main]:
    """A command's app, and the function that runs it.

    Args:
        command: what it is made of.
        words: the text of `--help`.
        run: what options lead to, and its exit code; without it, all inputs in turn.
    """

    def batch(options: Options) -> int:
        return run_batch(command, options)

    app = make_app(command.program, words, command.options, run or batch)

    def main(argv: list[str] | None = None) -> int:
        return run_app(app, command.program, argv)

    return app, main

"""What the commands share: exit codes, error lines, levels, devices, versions.

Imports neither torch nor numpy at the top: `--help` has to be quick.
"""

from __future__ import annotations

import errno
import math
import os
import sys
import tempfile
import traceback
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from pnp_recon.cli.console import show_everything
from pnp_recon.errors import InputError, OutputError, PnPReconError
from pnp_recon.files import write_reason

if TYPE_CHECKING:
    import torch
    from rich.console import Console

OK, DEFECT, BAD_INPUT, NOT_CONVERGED, NO_CERTIFICATE, INTERRUPTED = 0, 1, 2, 3, 4, 130

# The base of typer's own usage errors, whether typer brings its parser along or uses click's.
_PARSER_ERRORS: type[Exception] = next(
    base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException"
)


class Device(StrEnum):
    """What --device takes, see `choose_device`."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


def run_app(app: typer.Typer, program: str, argv: list[str] | None) -> int:
    """Runs a typer application and returns the exit code instead of leaving the process.

    Errors become one line `<program>: error: …` on stderr, with the traceback before it where
    -v was given.
    """
    show_everything()
    arguments = sys.argv[1:] if argv is None else list(argv)
    command = typer.main.get_command(app)
    try:
        result = command.main(arguments, prog_name=program, standalone_mode=False)
    except typer.Exit as stop:
        return int(stop.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        print_error(program, "interrupted before there was a result; nothing was written")
        return INTERRUPTED
    except _PARSER_ERRORS as error:
        context = getattr(error, "ctx", None)  # of a subcommand, whose options its help lists
        asked = program if context is None else context.command_path
        print_error(program, f"{_message(error)}; see {asked} --help")
        return BAD_INPUT
    except Exception as error:
        return report_error(program, error, with_traceback=wants_traceback(arguments))
    return int(result or OK)


def report_error(
    program: str, error: Exception, *, subject: str = "", with_traceback: bool = False
) -> int:
    """Prints the one line for an error and returns its exit code."""
    if with_traceback:
        traceback.print_exception(error)
    print_error(program, subject + describe(error))
    return exit_code_of(error)


def wants_traceback(arguments: list[str]) -> bool:
    return any(argument in ("-v", "--verbose") for argument in arguments)


def print_error(program: str, message: str) -> None:
    print(f"{program}: error: {message}", file=sys.stderr, flush=True)


def describe(error: BaseException) -> str:
    """An error in one line; one that the user cannot act on says that it is our defect."""
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return f"not enough memory ({text}); use a smaller picture or --device cpu"
    if _is_full(error):
        return f"the disk is full ({text}); make room on it, and try again"
    if (library := _missing_library(error)) is not None:
        return f"this needs {library}, which is not installed; install it (docs/install.md)"
    if not _is_expected(error):
        return (
            f"{type(error).__name__}: {text}; this is a defect of the program, please report "
            "what -v shows"
        )
    return text


def exit_code_of(error: BaseException) -> int:
    if isinstance(error, PnPReconError):
        return error.exit_code
    memory = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    known = memory or _is_full(error) or _is_expected(error)
    return BAD_INPUT if known or _missing_library(error) is not None else DEFECT


def _is_full(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def _missing_library(error: BaseException) -> str | None:
    """The library that is not found; a module of this package that is not is a defect."""
    name = (error.name or "") if isinstance(error, ModuleNotFoundError) else ""
    return name if name.partition(".")[0] not in ("", "pnp_recon", "operators") else None


def _is_expected(error: BaseException) -> bool:
    """Can the user act on it? `operators` knows nothing of this package, so its OperatorError
    is recognised by where it lives."""
    return isinstance(error, PnPReconError) or any(
        base.__module__.partition(".")[0] == "operators" for base in type(error).__mro__
    )


def _message(error: BaseException) -> str:
    """The message of an error of the parser."""
    formatted = getattr(error, "format_message", None)
    text = formatted() if callable(formatted) else str(error)
    return " ".join(text.split()).rstrip(".")


def parse_level(text: str, option: str = "--sigma") -> float | None:
    """A noise level on the [0, 1] scale from "0.03", "7.65/255" or "auto" (None).

    Raises:
        InputError: anything else, or a level outside [0, 1].
    """
    if text.strip().lower() == "auto":
        return None
    top, slash, bottom = text.partition("/")
    try:
        value = float(top) / (float(bottom) if slash else 1.0)
    except (ValueError, ZeroDivisionError):
        raise InputError(
            f"{option} is {text!r}; expected auto, a number such as 0.03, or a fraction such as "
            "7.65/255"
        ) from None
    if not 0 <= value <= 1:
        hint = f", or did you mean {text}/255?" if 1 < value <= 255 and not slash else ""
        raise InputError(f"{option} is {text}; expected a level from 0 to 1{hint}")
    return value


def parse_positive(
    text: str, option: str, expected: str = "auto or a number above 0"
) -> float | None:
    """A number above 0, or None for "auto".

    Raises:
        InputError: anything else.
    """
    if text.strip().lower() == "auto":
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise InputError(f"{option} is {text!r}; expected {expected}")
    return value


def choose_device(name: str) -> torch.device:
    """The device for "auto", "cpu" or "cuda".

    Raises:
        InputError: CUDA was asked for and is not there.
    """
    import torch

    available = name != "cpu" and torch.cuda.is_available()
    if name == "cuda" and not available:
        raise InputError("--device cuda was asked for, but torch finds no CUDA device; use cpu")
    return torch.device("cuda" if available else "cpu")


def check_writable(folder: Path) -> None:
    """Says before a long run whether files can be created in an existing folder.

    Raises:
        OutputError: they cannot.
    """
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(f"cannot write into {folder}: {write_reason(error)}") from error


def make_folder(folder: Path) -> None:
    """Creates a folder for results.

    Raises:
        OutputError: it cannot be created, or a file stands in its place.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise OutputError(f"cannot write into {folder}: it is a file, not a folder") from error
    except OSError as error:
        raise OutputError(f"cannot create {folder}: {write_reason(error)}") from error


def package_version() -> str:
    """The version of the installed package; of a bare checkout, what that says of itself."""
    from importlib import metadata

    try:
        return metadata.version("pnp-recon")
    except metadata.PackageNotFoundError:
        from pnp_recon import __version__

        return f"{__version__} (not installed)"


def interactive() -> bool:
    """May a live line be drawn? Only where stderr is a terminal that can."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def print_line(console: Console, text: str) -> None:
    """Prints one line as it is, above a bar if there is one.

    Rich would fold it at the width of the terminal, in the middle of a word where a word is long,
    and 80 columns wide where there is no terminal: a path or a name could then not be found.
    """
    console.print(text, markup=False, highlight=False, soft_wrap=True)

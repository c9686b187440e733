"""A command line made of a dataclass: each field is one flag.

A field's annotation says how the flag is called and what it means, the field's default is the
flag's default. Knows no command; imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, fields
from inspect import Parameter, Signature
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

from pnp_recon.cli.shell import package_version

Options = TypeVar("Options")


def make_app(
    program: str, words: str, options: type[Options], run: Callable[[Options], int]
) -> typer.Typer:
    """A command line whose flags are the fields of `options`, which are then given to `run`.

    Args:
        program: its name.
        words: the text of `--help`.
        options: the dataclass. The two first fields of the class that it is derived from (input
            and output) come first, then its own, then the rest.
        run: returns the exit code.
    """
    # Plain help: typer's rich help imports a Markdown parser and a syntax highlighter, 0.3 s.
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

    def print_version(wanted: bool) -> None:
        if wanted:
            typer.echo(f"{program} {package_version()}")
            raise typer.Exit

    version = Annotated[bool, typer.Option(
        "--version", callback=print_version, is_eager=True, help="Print the version.",
    )]  # fmt: skip

    def call(**values: Any) -> int:
        del values["version"]
        return run(options(**values))

    hints = get_type_hints(options, include_extras=True)
    parameters = [
        Parameter(
            field.name,
            Parameter.KEYWORD_ONLY,
            default=Parameter.empty if field.default is MISSING else field.default,
            annotation=hints[field.name],
        )
        for field in _in_order(options)
    ]
    parameters.append(
        Parameter("version", Parameter.KEYWORD_ONLY, default=False, annotation=version)
    )
    # Typer reads a function's signature; this one is made from the fields.
    call.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    app.command(help=words, context_settings={"help_option_names": ["-h", "--help"]})(call)
    return app


def _in_order(options: type[Any]) -> list[Any]:
    """Input and output, then the command's own fields, then the shared ones."""
    base = options.__mro__[-2]
    shared = [field.name for field in fields(base)]
    first = shared[:2]
    named = {field.name: field for field in fields(options)}
    own = [name for name in named if name not in shared]
    return [named[name] for name in (*first, *own, *shared[2:])]

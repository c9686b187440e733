"""The options of a typer application as plain values: all that a user may rely on, no words.

`PYTHONPATH=tests python -m support.flags` writes tests/cli/flags.json anew from the commands.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from enum import Enum
from inspect import unwrap
from pathlib import Path
from typing import Any, get_args

import typer
from typer.utils import get_params_from_function

from pnp_recon.solvers.catalogue import SOLVERS


def flags(app: typer.Typer, program: str) -> dict[str, dict[str, Any]]:
    """Command -> spellings of a parameter -> its default, type, choices and limits."""
    return _of_command(program, typer.main.get_command(app))


def as_text(found: Mapping[str, Mapping[str, Any]]) -> str:
    """JSON with a line for each parameter, so that a change can be read off a difference."""

    def block(parameters: Mapping[str, Any]) -> str:
        rows = [f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in sorted(parameters.items())]
        return "{\n" + ",\n".join(rows) + "\n }" if rows else "{}"

    blocks = [f" {json.dumps(k)}: {block(v)}" for k, v in sorted(found.items())]
    return "{\n" + ",\n".join(blocks) + "\n}\n"


def _of_command(name: str, command: Any) -> dict[str, dict[str, Any]]:
    types = get_params_from_function(unwrap(command.callback)) if command.callback else {}
    found: dict[str, dict[str, Any]] = {name: {}}
    for place, parameter in enumerate(command.params):
        spelled = [*parameter.opts, *parameter.secondary_opts]
        option = spelled[0].startswith("-")
        key = " ".join(spelled) if option else f"argument {place}"
        found[name][key] = _facts(parameter, types[parameter.name].annotation)
    for sub in getattr(command, "commands", {}).values():
        found |= _of_command(f"{name} {sub.name}", sub)
    return found


def _facts(parameter: Any, annotation: Any) -> dict[str, Any]:
    kinds = list(_kinds(annotation))
    facts = {
        "default": _plain(parameter.default),
        "type": [kind.__name__ for kind in kinds if not issubclass(kind, Enum)],
        "choices": _choices(one.value for kind in kinds if issubclass(kind, Enum) for one in kind),
        "min": getattr(parameter, "min", None),
        "max": getattr(parameter, "max", None),
        "required": parameter.required,
        "several": parameter.nargs != 1 or getattr(parameter, "multiple", False),
    }
    return {key: value for key, value in facts.items() if value not in (None, [])}


def _choices(values: Iterable[str]) -> list[str]:
    """In alphabetical order. Solvers are named in one place, the test of their theorems."""
    found = set(values)
    solvers = ["<every solver>"] if found >= set(SOLVERS) else []
    return [*solvers, *sorted(found - set(SOLVERS) if solvers else found)]


def _kinds(annotation: Any) -> Iterable[type]:
    """The types in `X | None` or `list[X]`."""
    inner = [part for argument in get_args(annotation) for part in _kinds(argument)]
    return inner or ([] if annotation is type(None) else [annotation])


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    return str(value) if isinstance(value, Path) else value


def every_command() -> dict[str, dict[str, Any]]:
    """The options of all commands of the catalogue."""
    from pnp_recon.cli.catalogue import COMMANDS
    from support.cli import app_of

    found: dict[str, dict[str, Any]] = {}
    for name in COMMANDS:
        found |= flags(app_of(name), name)
    return found


if __name__ == "__main__":
    snapshot = Path(__file__).resolve().parents[1] / "cli" / "flags.json"
    snapshot.write_text(as_text(every_command()), encoding="utf-8")
    print(f"wrote {snapshot}")

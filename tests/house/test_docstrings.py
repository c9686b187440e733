"""Docstrings and help texts can be read alone: none begins with "Of", as if a name came before."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.import_graph import modules

ROOT = Path(__file__).resolve().parents[2]
HANGS = re.compile(r"\s*(Of|That of|Those of)\b")
# A line of Args or Attributes, "name, other: words".
FIELD = re.compile(r"\s+\*{0,2}\w[\w, .`*]*: [Oo]f ")


def documented(tree: ast.AST) -> Iterator[tuple[int, str]]:
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    for node in ast.walk(tree):
        if isinstance(node, kinds) and (text := ast.get_docstring(node, clean=False)) is not None:
            yield getattr(node, "lineno", 1), text


def helped(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Texts of `help=` and words beside fields, `Annotated[int, "..."]`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "help":
            parts = [node.value]
        elif isinstance(node, ast.Subscript) and ast.unparse(node.value) == "Annotated":
            parts = node.slice.elts[1:] if isinstance(node.slice, ast.Tuple) else []
        else:
            continue
        for part in parts:
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                yield part.lineno, part.value


def hanging(source: str) -> list[int]:
    """Lines of the texts that hang on a name before them."""
    tree = ast.parse(source)
    texts = [*documented(tree), *helped(tree)]
    found = [line for line, text in texts if HANGS.match(text)]
    for line, text in documented(tree):
        found += [line for row in text.splitlines() if FIELD.match(row)]
    return sorted(found)


def test_no_text_hangs_on_the_name_before_it() -> None:
    found = {
        str(path.relative_to(ROOT)): hanging(path.read_text(encoding="utf-8"))
        for name, path in modules(ROOT).items()
        if not name.startswith("scripts")
    }
    assert len(found) > 200
    assert {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "source",
    [
        '"""Of the noise."""',
        'def f():\n    """That of the part."""',
        'class A:\n    """A part.\n\n    Attributes:\n        seed: of the noise.\n    """',
        "seed: Annotated[int, 'Of the noise.'] = 0",
        "typer.Option(help='Of the noise.')",
    ],
)
def test_a_text_that_hangs_is_caught(source: str) -> None:
    assert len(hanging(source)) == 1


def test_plain_sentences_pass() -> None:
    source = '"""Often of use.\n\nArgs:\n    seed: draws the noise; one of many.\n"""'
    assert hanging(source) == []

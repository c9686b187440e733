"""Text is UTF-8 wherever it is read or written, and what only some systems have is asked for."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("operators", "pnp_recon", "scripts", "benchmarks")
# Not on Windows; guarded by `os.name`, hasattr, or an except that names AttributeError.
POSIX = {"os": {"fchmod", "fork", "geteuid", "getuid", "killpg", "sched_getaffinity", "sysconf"}}
POSIX_MODULES = {"fcntl", "grp", "pwd", "resource", "termios"}
OPENERS = {"open", "fdopen", "NamedTemporaryFile", "TemporaryFile"}
# `open` of these is no file of text: it opens a picture, an archive or a data set.
NO_TEXT = {"Image", "Results", "tarfile", "zip", "h5py"}


def name_of(call: ast.Call) -> tuple[str, str]:
    """What is called, and on what (the last part of it)."""
    if isinstance(call.func, ast.Name):
        return call.func.id, ""
    if isinstance(call.func, ast.Attribute):
        owner = call.func.value
        return call.func.attr, getattr(owner, "attr", getattr(owner, "id", ""))
    return "", ""


def mode_of(call: ast.Call, owner: str, default: str) -> str:
    """The mode that a file is opened in."""
    place = 1 if owner in ("", "io", "os", "gzip") else 0
    given = [one.value for one in call.keywords if one.arg == "mode"] or call.args[
        place : place + 1
    ]
    return ast.unparse(given[0]) if given else default


def in_some_encoding(tree: ast.AST) -> Iterator[ast.Call]:
    """Calls that read or write text in whatever encoding the system likes."""
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name, owner = name_of(call)
        named = {one.arg for one in call.keywords}
        if "encoding" in named or None in named:  # **options
            continue
        as_text = any(
            one.arg in ("text", "universal_newlines") and getattr(one.value, "value", False)
            for one in call.keywords
        )
        reads = name == "read_text" and not call.args
        writes = name == "write_text" and len(call.args) < 2
        if reads or writes or (name in ("run", "Popen", "check_output") and as_text):
            yield call
        elif name in OPENERS and owner not in NO_TEXT:
            mode = mode_of(call, owner, "w+b" if "Temporary" in name else "r")
            if "b" not in mode and (owner, name) != ("os", "open"):
                yield call


def unguarded(tree: ast.Module) -> Iterator[ast.AST]:
    """Uses of what only POSIX has, outside of a guard."""
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}

    def guarded(node: ast.AST) -> bool:
        while node in parents:
            node = parents[node]
            if isinstance(node, ast.If | ast.IfExp) and "os.name" in ast.unparse(node.test):
                return True
            if isinstance(node, ast.Try):
                caught = " ".join(ast.unparse(one.type) for one in node.handlers if one.type)
                if "AttributeError" in caught or "ImportError" in caught:
                    return True
        return False

    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found = node.attr in POSIX.get(node.value.id, ())
        elif isinstance(node, ast.Import):
            found = any(one.name in POSIX_MODULES for one in node.names)
        else:
            found = isinstance(node, ast.ImportFrom) and node.module in POSIX_MODULES
        if found and not guarded(node):
            yield node


def places(root: Path, folders: tuple[str, ...], find: object) -> list[str]:
    return [
        f"{path.relative_to(root).as_posix()}:{node.lineno}"
        for folder in folders
        for path in sorted((root / folder).rglob("*.py"))
        for node in find(ast.parse(path.read_text(encoding="utf-8")))
    ]


def test_text_is_utf_8() -> None:
    assert places(ROOT, FOLDERS, in_some_encoding) == []


def test_the_packages_run_without_posix() -> None:
    assert places(ROOT, FOLDERS[:2], unguarded) == []


@pytest.mark.parametrize(
    "code",
    [
        "p.read_text()",
        "a.b.write_text(text)",
        "open(p)",
        "open(p, 'w')",
        "p.open()",
        "p.open('a', newline='')",
        "io.open(p, mode='r')",
        "os.fdopen(d, 'w')",
        "open(p, 'wt', 1)",
        "tempfile.NamedTemporaryFile('w')",
        "subprocess.run(c, text=True)",
    ],
)
def test_another_encoding_is_found(code: str) -> None:
    assert len(list(in_some_encoding(ast.parse(code)))) == 1


@pytest.mark.parametrize(
    "code",
    [
        "p.read_text(encoding='utf-8')",
        "p.write_text(text, 'utf-8')",
        "open(p, 'rb')",
        "p.open('xb')",
        "p.open('ab' if start else 'wb')",
        "os.open(p, os.O_RDONLY)",
        "Image.open(p)",
        "subprocess.run(c)",
    ],
)
def test_bytes_and_utf_8_pass(code: str) -> None:
    assert not list(in_some_encoding(ast.parse(code)))


def test_guards_are_seen() -> None:
    bare = "import os\nimport resource\nos.fchmod(1, 2)"
    assert len(list(unguarded(ast.parse(bare)))) == 2
    for guard in (
        "if os.name == 'posix':\n    os.fchmod(1, 2)",
        "try:\n    import resource\nexcept ImportError:\n    pass",
        "try:\n    os.sysconf('a')\nexcept (AttributeError, OSError):\n    pass",
    ):
        assert not list(unguarded(ast.parse(guard)))

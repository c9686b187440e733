"""What the pages say can be done: links, paths, imports, modules to run, flags of commands."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from pnp_recon.cli.catalogue import COMMANDS
from support.cli import app_of
from support.flags import flags

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("docs", "benchmarks", "data", "trained_models", "scripts")
PAGES = sorted(
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
    + [
        page
        for folder in FOLDERS
        for page in (ROOT / folder).rglob("*.md")
        # A part of docs/research.md, which is looked at itself.
        if page.name != "page.md" and "generated" not in page.parts
    ]
)
# What the recipes of docs/architecture.md add.
IMAGINED = re.compile(r"\b(flip|Flip|steepest|averaged|unflip|test_unflip|test_averaged)\b")
OURS = ("operators", "pnp_recon", "scripts", "benchmarks", "tests")
KNOWN = {
    command: {part for option in options for part in option.split()}
    for name in COMMANDS
    for command, options in flags(app_of(name), name).items()
}


def resolves(dotted: str) -> bool:
    """Whether a module or something in it has this name."""
    parts = dotted.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            thing = import_module(".".join(parts[:cut]))
        except ImportError:
            continue
        try:
            for part in parts[cut:]:
                thing = getattr(thing, part)
        except AttributeError:
            return False
        return True
    return False


def blocks(text: str, *languages: str) -> Iterator[str]:
    for language, code in re.findall(r"^```(\w*)\n(.*?)^```", text, flags=re.S | re.M):
        if language in languages:
            yield code


def broken_links(text: str, folder: Path) -> list[str]:
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
    return [t for t in targets if "://" not in t and not (folder / t).exists()]


def imported(code: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def broken_names(text: str) -> list[str]:
    """Imports in samples, `python -m`, and dotted names in the text, that lead nowhere."""
    found = {name for code in blocks(text, "python") for name in imported(code)}
    found |= set(re.findall(r"python -m ([\w.]+)", text))
    found |= set(re.findall(r"`((?:operators|pnp_recon|scripts)\.[\w.]+\w)", text))
    ours = [name for name in sorted(found) if name.partition(".")[0] in OURS]
    return [name for name in ours if not IMAGINED.search(name) and not resolves(name)]


def broken_paths(text: str) -> list[str]:
    found = set(re.findall(rf"(?<![\w/])((?:{'|'.join(OURS)})/[\w/]+\.(?:py|json))\b", text))
    return [p for p in sorted(found) if not IMAGINED.search(p) and not (ROOT / p).exists()]


def unknown_flags(text: str) -> list[str]:
    """Flags of our commands, in blocks of the shell and in quoted calls, that there are not."""
    text = text.replace("\\\n", " ")
    calls = [line for code in blocks(text, "sh", "console", "") for line in code.splitlines()]
    calls += re.findall(r"`(pnp-[a-z]+ [^`]*)`", text)
    out = []
    for call in calls:
        command, *rest = call.partition(" #")[0].split() or [""]
        if command not in COMMANDS:
            continue
        whole = f"{command} {rest[0]}" if rest and f"{command} {rest[0]}" in KNOWN else command
        given = {part.partition("=")[0] for part in rest if re.match(r"--\w", part)}
        out += [f"{whole} {flag}" for flag in sorted(given - KNOWN[whole] - {"--help"})]
    return out


def is_now(text: str) -> list[str]:
    """The right column of the table of what moved."""
    return re.findall(r"^\| .* \| (.*) \|$", text, flags=re.M)


def page_id(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_names_paths_and_flags_are_right(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert broken_links(text, page.parent) == []
    if page.name == "CHANGELOG.md":  # which says what had other names
        text = "\n".join(is_now(text))
    assert broken_names(text) == []
    assert broken_paths(text) == []
    assert unknown_flags(text) == []


def test_what_is_wrong_is_found(tmp_path: Path) -> None:
    assert broken_links("[a](nowhere.md#part) [b](https://nowhere)", tmp_path) == ["nowhere.md"]
    assert broken_names("```python\nfrom pnp_recon.images import read_image\n```") == [
        "pnp_recon.images.read_image"
    ]
    assert broken_names("`python -m scripts.tune` and `pnp_recon.weights.load`") == [
        "pnp_recon.weights.load",
        "scripts.tune",
    ]
    assert broken_paths("see scripts/tune.py and operators/base.py") == ["scripts/tune.py"]
    assert unknown_flags("```sh\npnp-train denoiser --data a --dater b\n```") == [
        "pnp-train denoiser --dater"
    ]
    assert unknown_flags("`pnp-ct a.h5 --metod tv`") == ["pnp-ct --metod"]


def test_the_table_of_what_moved_is_read() -> None:
    rows = is_now((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    assert len(rows) > 40
    assert is_now("| `a` | `pnp_recon.nowhere` |") == ["`pnp_recon.nowhere`"]
    assert broken_names("`pnp_recon.nowhere`") == ["pnp_recon.nowhere"]


def test_what_is_right_passes() -> None:
    assert broken_names("`pnp_recon.files.shipped` and `operators.checks`") == []
    assert unknown_flags("```sh\npnp-deblur a.png --kernel motion  # --or so\n```") == []

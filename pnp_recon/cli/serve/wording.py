"""What commands say, for people who have the page alone: its fields instead of options.

The commands name the option that helps. Of those that the page has a field for, the field is named
in their place; advice that needs another is left out, by clauses, so that what stays is a sentence.
The report keeps the words of the command. Imports no torch.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pnp_recon.cli.serve.wrongs import WRONGS, Wrong

_FLAG = re.compile(r"(?<![\w-])(--[a-z][a-z-]*|-v)\b")
# "tol (--tol)": what it is called in Python, and here.
_TWICE = re.compile(r"\b(\w+) \((--[a-z-]+)\)")
_BRACKETS = re.compile(r"\s*\([^()]*\)")
_CLAUSES = re.compile(r"(; |: (?=give |say |see )|(?<=[.!?]) (?=[A-Z]))")
_PIECES = re.compile(r"(, or | or |, )")
_LEFT = "{text} (what begins with -- is an option of the command, for which this page has no field)"


def for_the_page(text: str, wrong: Wrong | None = None) -> str:
    """A message of the command behind a choice, or of none, without options of the command."""
    for flag, words in _fields(wrong):
        text = re.sub(rf"{flag}(?![\w-])( [A-Z]+\b)?", words, text)
    text = _TWICE.sub(lambda found: found[2] if _same(found[1], found[2]) else found[0], text)
    text = _BRACKETS.sub(lambda found: "" if _FLAG.search(found[0]) else found[0], text)
    if not _FLAG.search(text):
        return text
    first, *rest = _CLAUSES.split(text)
    kept = _without_options(first)
    if not kept:
        return _LEFT.format(text=text)
    for separator, clause in zip(rest[::2], rest[1::2], strict=True):
        if said := _without_options(clause):
            kept += separator + said
    return kept


def _fields(wrong: Wrong | None) -> Iterator[tuple[str, str]]:
    """Options, and what the page calls them."""
    if wrong is None:
        return
    for other in WRONGS.values():
        if other.home == wrong.home:
            yield from ((f"--{name} {value}", f"“{other.words}”") for name, value in other.options)
    for one in wrong.fields:
        yield one.flag, _called(one.words)
    for file in wrong.files:
        yield f"--{file.role}", _called(file.words)
    yield "--strength", "the strength"


def _called(words: str) -> str:
    """A field without its explanation."""
    return f"“{re.split(r' ?[,:(]', words)[0]}”"


def _same(name: str, flag: str) -> bool:
    return name == flag.removeprefix("--").replace("-", "_")


def _without_options(clause: str) -> str:
    """The clause without the alternatives at its end that need an option; empty: all of it does."""
    pieces = _PIECES.split(clause)
    while pieces and _FLAG.search(pieces[-1]):
        pieces = pieces[:-2]
    kept = "".join(pieces)
    return "" if _FLAG.search(kept) else kept

"""Every registry of the packages, found by itself: each entry leads somewhere and says what it is.

Rules that hang on registries are here too: no module compares a registered name, and commands know
no theorem.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from importlib import import_module
from pathlib import Path

import pytest

from operators.registry import OPERATORS, OperatorEntry
from pnp_recon.models.families import FAMILIES
from pnp_recon.registry import Entry, Registry
from pnp_recon.solvers.catalogue import ACCELERATIONS, SOLVERS
from support.import_graph import modules

ROOT = Path(__file__).resolve().parents[2]
Found = Mapping[str, Entry] | Mapping[str, OperatorEntry]


# ---- entries ------------------------------------------------------------------------------------


def calls_registry(path: Path) -> bool:
    """Whether a module makes a registry; only these are imported here."""
    return any(
        isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "Registry"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    )


def registries() -> dict[str, Found]:
    """Every registry by its home."""
    found: dict[str, Found] = {"operators.registry:OPERATORS": OPERATORS}
    for module, path in modules(ROOT).items():
        if calls_registry(path):
            for name, value in vars(import_module(module)).items():
                if isinstance(value, Registry) and not any(value is one for one in found.values()):
                    found[f"{module}:{name}"] = value
    return found


REGISTRIES = registries()
# What a thing is called by itself, where it has a name.
OWN_NAME = {"training task": "kind"}
# Words of an entry that may be empty: nothing more is needed.
MAY_BE_EMPTY = {"needs", "tried_with"}


def faults(name: str, entry: Entry | OperatorEntry, own_name: str = "name") -> list[str]:
    """What is wrong with an entry."""
    if entry.name != name:
        return [f"{name} is listed as {entry.name}"]
    try:
        thing = entry.load()
    except (ImportError, AttributeError) as error:
        return [f"{name} leads nowhere: {error}"]
    found = []
    called = getattr(thing, own_name, name) if isinstance(thing, type) else name
    if isinstance(called, str) and called != name:
        found.append(f"{name} calls itself {called}")
    for field in fields(entry):
        words = getattr(entry, field.name)
        if isinstance(words, str) and not words.strip() and field.name not in MAY_BE_EMPTY:
            found.append(f"{name} says nothing of its {field.name}")
    return found


def test_registries_are_found() -> None:
    kinds = {getattr(found, "kind", "operator") for found in REGISTRIES.values()}
    assert {
        "operator",
        "regulariser",
        "classical denoiser",
        "network family",
        "solver",
        "acceleration",
        "training task",
        "suite",
        "command",
    } <= kinds


@pytest.mark.parametrize("home", REGISTRIES)
def test_every_entry_leads_somewhere_and_agrees_with_it(home: str) -> None:
    registry = REGISTRIES[home]
    own_name = OWN_NAME.get(getattr(registry, "kind", ""), "name")
    assert registry
    assert [text for name in registry for text in faults(name, registry[name], own_name)] == []


@dataclass(frozen=True)
class Told(Entry):
    words: str


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (Told("pnp-pgd", "pnp_recon.solvers.pnp.nowhere:PnPPGD", "."), "leads nowhere"),
        (Told("pnp-pgd", "pnp_recon.solvers.pnp.iterations:Nothing", "."), "leads nowhere"),
        (Told("pnp-pgd", "pnp_recon.solvers.pnp.iterations:PnPHQS", "."), "calls itself pnp-hqs"),
        (Told("pnp-hgs", "pnp_recon.solvers.pnp.iterations:PnPHQS", "."), "is listed as pnp-hgs"),
        (Told("pnp-pgd", "pnp_recon.solvers.pnp.iterations:PnPPGD", " "), "nothing of its words"),
    ],
)
def test_a_wrong_entry_is_caught(entry: Told, message: str) -> None:
    (fault,) = faults("pnp-pgd", entry)
    assert message in fault


# ---- names are not compared ---------------------------------------------------------------------

# Where names are data: registries themselves, and the table of tuned parameters.
LISTS = ("catalogue.py", "tuned.py")
NAMES = frozenset({*SOLVERS, *ACCELERATIONS, *FAMILIES})


def compared(tree: ast.AST, names: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Comparisons, `in` and `match` with one of the names in them, as a plain string."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare | ast.MatchValue):
            for part in ast.walk(node):
                if isinstance(part, ast.Constant) and part.value in names:
                    yield node.lineno, str(part.value)


def test_no_code_compares_a_registered_name() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line} compares {name}"
        for path in sorted((ROOT / "pnp_recon").rglob("*.py"))
        if path.name not in LISTS
        for line, name in compared(ast.parse(path.read_text(encoding="utf-8")), NAMES)
    ]
    assert found == []


@pytest.mark.parametrize(
    "code",
    [
        "if solver == 'pnp-hqs': ...",
        "weak = name in ('red', 'pnp-pgd')",
        "x = 1 if 'DnCNN' != card.family else 2",
        "match name:\n    case 'anderson': ...",
    ],
)
def test_a_comparison_of_a_name_is_caught(code: str) -> None:
    assert list(compared(ast.parse(code), NAMES))


def test_names_may_be_listed_and_looked_up() -> None:
    code = "DEFAULT = 'pnp-hqs'\nSOLVERS['red'].load()\nif name in SOLVERS: ..."
    assert list(compared(ast.parse(code), NAMES)) == []


# ---- commands know no theorems ------------------------------------------------------------------

# Facts of a map that a theorem is made of. Commands ask whether a certificate holds, and print it.
CALCULUS = {
    "averagedness",
    "is_averaged",
    "is_contraction",
    "is_firm",
    "is_nonexpansive",
    "iterates_map",
    "laws",
    "lipschitz",
}
THEOREMS = ("pnp_recon.guarantees", "pnp_recon.solvers.core.theorem", "pnp_recon.solvers.core.laws")
# What says that nothing is proven, and why: a formula, a run without a prior.
NOTHING = {"none", "unproven"}


def theory(tree: ast.AST) -> set[str]:
    """What a command takes from the theorems and reads of them."""
    taken = [
        (f"{node.module}.{alias.name}", alias.asname or alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    whole = {name for home, name in taken if home in THEOREMS}
    read = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    found = {name for home, name in taken if home.rpartition(".")[0] in THEOREMS}
    found |= {node.attr for node in read if node.attr in CALCULUS}
    found |= {node.attr for node in read if ast.unparse(node.value) in whole}
    return found - NOTHING


def test_commands_know_no_theorems() -> None:
    paths = sorted((ROOT / "pnp_recon" / "cli").rglob("*.py"))
    read = {str(path): theory(ast.parse(path.read_text(encoding="utf-8"))) for path in paths}
    assert len(read) > 30
    assert {path: found for path, found in read.items() if found} == {}


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("def f():\n    from pnp_recon.solvers.core.theorem import AveragedMap", "AveragedMap"),
        ("from pnp_recon import guarantees\nguarantees.averaged(0.5, 'so')", "averaged"),
        ("if solution.certificate.guarantee.is_averaged: ...", "is_averaged"),
        ("print(theorem.laws())", "laws"),
    ],
)
def test_a_command_that_knows_a_theorem_is_caught(code: str, what: str) -> None:
    assert theory(ast.parse(code)) == {what}


def test_a_command_may_say_that_nothing_is_proven() -> None:
    code = "from pnp_recon.solvers.core.theorem import unproven\nfrom pnp_recon import guarantees\n"
    assert theory(ast.parse(code + "guarantees.none('no prior')")) == set()
    assert theory(ast.parse("solution.certificate.holds")) == set()

"""Who imports whom, read from the source with `ast`: nothing is executed.

Used by test_imports.py; kept apart so that the reader can be tested on trees of its own.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("operators", "pnp_recon")
# Read as well: they stand on the packages, and nothing stands on them.
OUTER = ("scripts",)

# Units, lowest first. A module imports from its own unit or from those before it, also inside
# functions and for typing. `pnp_recon` alone is the package's own __init__, which re-exports.
ORDER = (
    "operators",
    "pnp_recon.errors",
    "pnp_recon.registry",
    "pnp_recon.guarantees",
    "pnp_recon.contracts",
    "pnp_recon.files",
    "pnp_recon.pictures",
    "pnp_recon.estimation",
    "pnp_recon.datasets",
    "pnp_recon.scans",
    "pnp_recon.kspace",
    "pnp_recon.fidelity",
    "pnp_recon.proximal",
    "pnp_recon.networks",
    "pnp_recon.priors",
    "pnp_recon.models",
    "pnp_recon.problems",
    "pnp_recon.solvers",
    "pnp_recon.manifolds",
    "pnp_recon.strength",
    "pnp_recon.reconstruction",
    "pnp_recon.training",
    "pnp_recon.report",
    "pnp_recon.benchmark",
    "pnp_recon.volumes",
    "pnp_recon.operators",
    "pnp_recon",
    "pnp_recon.cli",
    "scripts",
)

# Modules that exist to speak to one library: they may import it at the top, and are themselves
# imported inside functions only.
ADAPTERS = {"operators._deepinv": "deepinv"}

# A plain string in the package's __init__, not a part of the facade above the layers.
VERSION = "__version__"


@dataclass(frozen=True)
class Import:
    """`importer` imports `target` at `line`; deferred: inside a function or for typing only."""

    importer: str
    target: str
    line: int
    deferred: bool

    @property
    def root(self) -> str:
        return self.target.partition(".")[0]

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.target}"


def modules(root: Path) -> dict[str, Path]:
    """Dotted name -> file, for every module of the packages and of `OUTER` under `root`."""
    found = {}
    for package in (*PACKAGES, *OUTER):
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(root: Path) -> list[Import]:
    """Every import statement under `root`, those in functions and for typing included."""
    known = modules(root)
    found: list[Import] = []
    for name, path in known.items():
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
        for line, target in _homes(tree):
            found.append(Import(name, target, line, deferred=True))
        for node, deferred in _walk(tree, False):
            for target in _targets(node, package, known):
                found.append(Import(name, target, node.lineno, deferred))
    return found


# "module:attribute", as registries write where an entry lives.
HOME = re.compile(r"((?:operators|pnp_recon|scripts)(?:\.\w+)*):\w+")


def _homes(tree: ast.AST) -> list[tuple[int, str]]:
    """The modules that registries import by name, which no import statement shows."""
    return [
        (node.lineno, match[1])
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and (match := HOME.fullmatch(node.value))
    ]


def _walk(node: ast.AST, deferred: bool) -> list[tuple[ast.Import | ast.ImportFrom, bool]]:
    found: list[tuple[ast.Import | ast.ImportFrom, bool]] = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            found.append((child, deferred))
            continue
        is_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        is_typing = isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING")
        found += _walk(child, deferred or is_function or is_typing)
    return found


def _targets(node: ast.Import | ast.ImportFrom, package: str, known: dict[str, Path]) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    base = node.module or ""
    if node.level:
        parts = package.split(".")
        base = ".".join([*parts[: len(parts) - node.level + 1], *([base] if base else [])])
    # `from package import name` is an import of the module package.name where there is one.
    targets = [
        full if (full := f"{base}.{alias.name}") in known else base
        for alias in node.names
        if (base, alias.name) != ("pnp_recon", VERSION)
    ]
    return sorted(set(targets))


def unit(module: str) -> str:
    """The unit that a module belongs to: the first two components of its name, or the first."""
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] == "pnp_recon" else parts[0]


def edges(root: Path) -> dict[str, set[str]]:
    """Module -> the modules of the tree that it imports, deferred imports included."""
    graph: dict[str, set[str]] = {name: set() for name in modules(root)}
    for item in imports(root):
        if item.target in graph and item.target != item.importer:
            graph[item.importer].add(item.target)
    return graph


def unknown_units(root: Path) -> set[str]:
    """Units that `ORDER` does not name."""
    return {unit(name) for name in modules(root)} - set(ORDER)


def upward(root: Path) -> set[str]:
    """`importer -> target` for every import from a unit that comes later in `ORDER`."""
    place = {name: index for index, name in enumerate(ORDER)}
    return {
        f"{importer} -> {target}"
        for importer, targets in edges(root).items()
        for target in targets
        if place.get(unit(target), -1) > place.get(unit(importer), len(ORDER))
    }


def cycles(root: Path) -> set[frozenset[str]]:
    """The sets of modules that import each other, directly or through others (Tarjan 1972)."""
    graph = edges(root)
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: set[frozenset[str]] = set()

    def visit(module: str) -> None:
        number[module] = low[module] = len(number)
        stack.append(module)
        for target in graph[module]:
            if target not in number:
                visit(target)
                low[module] = min(low[module], low[target])
            elif target in stack:
                low[module] = min(low[module], number[target])
        if low[module] == number[module]:
            at = stack.index(module)
            if len(stack) - at > 1:
                found.add(frozenset(stack[at:]))
            del stack[at:]

    for module in graph:
        if module not in number:
            visit(module)
    return found


def eager(root: Path, package: str) -> list[Import]:
    """Imports that run when the package's modules are imported, adapters' own library left out."""
    return [
        item
        for item in imports(root)
        if item.importer.partition(".")[0] == package
        and not item.deferred
        and ADAPTERS.get(item.importer) != item.root
    ]

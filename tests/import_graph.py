"""Who imports whom, read from the source with `ast`: nothing is executed.

Used by test_imports.py; kept apart so that the reader can be tested on trees of its own.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from fnmatch import fnmatchcase
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

PACKAGES = ("operators", "pnp_recon")

# Lowest first; a module imports from its own layer or from those below it. Patterns are of the
# first component below `pnp_recon`; "" is the package's own __init__, which re-exports.
LAYERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("operators", ()),
    ("files and numbers", ("errors", "files", "colour", "inputs", "image*", "shipped")),
    ("guarantees", ("guarantees", "metrics", "noise*", "bsds500", "datasets", "defaults")),
    ("networks", ("networks",)),
    (
        "parts",
        (
            "fidelity",
            "proximal",
            "tiling",
            "denoisers",
            "precision",
            "learned*",
            "weights*",
            "training*",
            "sample_sheet",
            "blind*",
            "scans",
        ),
    ),
    ("solvers", ("solvers",)),
    ("reconstruction", ("reconstruction",)),
    ("benchmark, report", ("benchmark*", "report*")),
    ("pnp_recon", ("",)),
    ("cli", ("cli",)),
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
    """Dotted name -> file, for every module of the two packages under `root`."""
    found = {}
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(root: Path) -> list[Import]:
    """Every import statement of the two packages, function-level ones included."""
    known = modules(root)
    found: list[Import] = []
    for name, path in known.items():
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
        for node, deferred in _walk(tree, False):
            for target in _targets(node, package, known):
                found.append(Import(name, target, node.lineno, deferred))
    return found


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


def rank(module: str) -> int | None:
    """Index of the module's layer; None where no layer names it."""
    package, _, rest = module.partition(".")
    if package == "operators":
        return 0
    part = rest.partition(".")[0]
    for index, (_, patterns) in enumerate(LAYERS):
        if any(fnmatchcase(part, pattern) for pattern in patterns):
            return index
    return None


def layering_violations(root: Path) -> list[str]:
    """One line for every module without a layer and every import that points upwards."""
    out = [
        f"{name} has no layer: add it to LAYERS in tests/import_graph.py"
        for name in modules(root)
        if rank(name) is None
    ]
    for item in imports(root):
        if item.root not in PACKAGES:
            continue
        low, high = rank(item.target), rank(item.importer)
        if item.importer.startswith("operators") and item.root == "pnp_recon":
            out.append(f"{item}: operators never imports pnp_recon")
        elif low is not None and high is not None and low > high:
            out.append(f"{item}: '{LAYERS[low][0]}' lies above '{LAYERS[high][0]}'")
    return out


def cycle(root: Path) -> list[str]:
    """The modules of an import cycle at module level, or an empty list."""
    graph: dict[str, set[str]] = {name: set() for name in modules(root)}
    for item in imports(root):
        if item.target in graph and not item.deferred:
            graph[item.importer].add(item.target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def eager(root: Path, package: str) -> list[Import]:
    """Imports that run when the package's modules are imported, adapters' own library left out."""
    return [
        item
        for item in imports(root)
        if item.importer.partition(".")[0] == package
        and not item.deferred
        and ADAPTERS.get(item.importer) != item.root
    ]

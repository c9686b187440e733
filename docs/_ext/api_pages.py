"""The reference of everything public, a page for each thing that people do.

Names come from `__all__` where a module has one, else they are the public ones that it defines;
each is described once, on the first page that names it.
"""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType

from sphinx.application import Sphinx

_FOLDER = "generated/api"
GROUPS: dict[str, tuple[str, tuple[str, ...]]] = {
    "reconstruct": ("Reconstruct", ("pnp_recon",)),
    "operators": (
        "Forward operators",
        (
            "pnp_recon.operators",
            "pnp_recon.operators.kernels",
            "pnp_recon.operators.masks",
            "pnp_recon.operators.kspace_masks",
        ),
    ),
    "pictures": ("Pictures and their quality", ("pnp_recon.pictures",)),
    "estimation": (
        "What a picture says of its blur and noise",
        ("pnp_recon.estimation.noise", "pnp_recon.estimation.motion"),
    ),
    "priors": (
        "Denoisers, energies, functionals",
        ("pnp_recon.proximal", "pnp_recon.priors.denoiser"),
    ),
    "fidelity": ("How misfit is measured", ("pnp_recon.fidelity",)),
    "solvers": ("Solvers, theorems, certificates", ("pnp_recon.solvers", "pnp_recon.guarantees")),
    "problems": (
        "Problems and simulation",
        ("pnp_recon.problems.problem", "pnp_recon.problems.noise"),
    ),
    "networks": (
        "Networks",
        (
            "pnp_recon.networks.configs",
            "pnp_recon.networks.euler",
            "pnp_recon.networks.unrolled",
            "pnp_recon.networks.classifier",
            "pnp_recon.networks.equivariant",
        ),
    ),
    "flows": (
        "Networks as discretised flows",
        (
            "pnp_recon.networks.flows.flow",
            "pnp_recon.networks.flows.fields",
            "pnp_recon.networks.flows.facts",
            "pnp_recon.networks.flows.integrators",
            "pnp_recon.networks.flows.implicit",
            "pnp_recon.networks.flows.tableaux",
            "pnp_recon.networks.flows.steps",
            "pnp_recon.networks.flows.bounds",
            "pnp_recon.networks.flows.critics",
        ),
    ),
    "invertible": (
        "Invertible networks and densities",
        tuple(
            f"pnp_recon.networks.invertible.{name}"
            for name in (
                "base",
                "coupling",
                "splines",
                "linear",
                "residual",
                "reversible",
                "density",
                "logdet",
            )
        ),
    ),
    "hamiltonian": (
        "Hamiltonian and conserving flows",
        (
            "pnp_recon.networks.flows.separable",
            "pnp_recon.networks.flows.splitting",
            "pnp_recon.networks.flows.conserving",
            "pnp_recon.networks.flows.discrete_gradients",
            "pnp_recon.networks.invertible.hamiltonian",
        ),
    ),
    "control": (
        "Training as control, and when to stop",
        (
            "pnp_recon.solvers.in_time",
            "pnp_recon.training.control.gradients",
            "pnp_recon.training.control.stopping",
            "pnp_recon.training.control.successive",
            "pnp_recon.training.control.depth",
        ),
    ),
    "optimisers": (
        "Optimisers that keep a structure",
        (
            "pnp_recon.training.structured.momentum",
            "pnp_recon.training.structured.discrete",
            "pnp_recon.training.structured.orthogonal",
            "pnp_recon.training.structured.natural",
        ),
    ),
    "manifolds": (
        "Phases, tensors, rotations",
        ("pnp_recon.manifolds", "pnp_recon.manifolds.proximal"),
    ),
    "models": ("Models, cards, training", ("pnp_recon.models.load", "pnp_recon.models.export")),
    "report": ("Reports", ("pnp_recon.report",)),
    "errors": ("Errors", ("pnp_recon.errors", "operators.errors")),
}


def _names(module: ModuleType) -> list[str]:
    listed = getattr(module, "__all__", None)
    if listed is not None:
        return list(listed)
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]


def _directive(path: str, value: object) -> str:
    if inspect.isclass(value):
        return f".. autoclass:: {path}\n   :members:\n   :show-inheritance:\n"
    if callable(value):
        return f".. autofunction:: {path}\n"
    return f".. py:data:: {path}\n"  # a value has no text of its own, only that of its type


def _page(title: str, modules: tuple[str, ...], seen: set[int]) -> str:
    lines = [title, "=" * len(title), ""]
    for name in modules:
        module = import_module(name)
        fresh = {n: getattr(module, n) for n in _names(module)}
        fresh = {n: v for n, v in fresh.items() if id(v) not in seen and not inspect.ismodule(v)}
        seen.update(map(id, fresh.values()))
        lines += [name, "-" * len(name), "", _plain((module.__doc__ or "").partition("\n")[0]), ""]
        lines += [_directive(f"{name}.{n}", value) for n, value in sorted(fresh.items())]
    return "\n".join(lines)


def _write(app: Sphinx) -> None:
    folder = Path(app.srcdir) / _FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    seen: set[int] = set()
    for name, (title, modules) in GROUPS.items():
        (folder / f"{name}.rst").write_text(_page(title, modules, seen), encoding="utf-8")


def _plain(line: str) -> str:
    """A line of plain text for reStructuredText: no markup but names in backticks."""
    parts = line.split("`")
    parts[::2] = [re.sub(r"([*|])", r"\\\1", part) for part in parts[::2]]
    # A name in backticks may be followed by anything.
    return re.sub(r"(`[^`]+`)(?=[^\s.,;:!?)\]}'\"/-])", r"\1\\ ", "`".join(parts))


def _escape(
    app: Sphinx, what: str, name: str, value: object, options: object, lines: list[str]
) -> None:
    """Docstrings are plain text: |x| and 2*n are no markup, an indented formula is a block."""
    literal: int | None = None
    for number, line in enumerate(lines):
        depth = len(line) - len(line.lstrip())
        if literal is not None and line.strip() and depth <= literal:
            literal = None
        if literal is not None:
            continue
        lines[number] = _plain(line)
        below = [rest for rest in lines[number + 1 :] if rest.strip()][:1]
        gap = number + 1 < len(lines) and not lines[number + 1].strip()
        deeper = bool(below) and len(below[0]) - len(below[0].lstrip()) > depth
        if line.rstrip().endswith(":") and gap and deeper:
            literal = depth
            if not line.rstrip().endswith("::"):
                lines[number] = lines[number].rstrip() + ":"


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("builder-inited", _write)
    # Before napoleon reads the sections.
    app.connect("autodoc-process-docstring", _escape, priority=400)
    return {"parallel_read_safe": True}

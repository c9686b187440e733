"""Imports point one way and cost little: heavy libraries are imported where they are used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from support.import_graph import (
    ADAPTERS,
    PACKAGES,
    cycles,
    eager,
    imports,
    modules,
    unknown_units,
    upward,
)

ROOT = Path(__file__).resolve().parents[2]
HEAVY = frozenset({"deepinv", "torchvision", "odl", "matplotlib", "skimage", "scipy"})


def run(code: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter: this one has imported who knows what."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)


def loaded_by(statement: str, cwd: Path = ROOT) -> set[str]:
    """Top-level names of all modules that are loaded after `statement`."""
    done = run(f"{statement}\nimport sys\nprint('|', *sys.modules)", cwd)
    assert done.returncode == 0, done.stderr
    return {name.partition(".")[0] for name in done.stdout.rpartition("|")[2].split()}


def write(root: Path, **files: str) -> Path:
    """A small tree of packages: file names with __ for /, without suffix."""
    for name, text in files.items():
        path = root / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for folder in [path for path in root.rglob("*") if path.is_dir()]:
        (folder / "__init__.py").touch()
    return root


def test_packages_load_no_heavy_library() -> None:
    loaded = loaded_by("import operators, pnp_recon")
    assert {"operators", "pnp_recon"} <= loaded
    assert not loaded & HEAVY


def test_checker_sees_a_heavy_library(tmp_path: Path) -> None:
    root = write(tmp_path, operators__a="import scipy")
    assert "scipy" in loaded_by("import operators.a", root)


def test_no_heavy_library_at_module_level() -> None:
    found = [item for package in PACKAGES for item in eager(ROOT, package)]
    assert len(found) > 20
    assert [str(item) for item in found if item.root in HEAVY] == []


def test_reader_sees_module_level_and_passes_over_functions(tmp_path: Path) -> None:
    late = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import odl\n"
    late += "def f():\n    import scipy.io\n"
    early = "class C:\n    import deepinv\ntry:\n    import matplotlib.pyplot\nexcept OSError: ..."
    root = write(tmp_path, operators__late=late, operators__early=early)
    found = {(item.importer, item.root) for item in eager(root, "operators")} - {
        ("operators.late", "typing")
    }
    assert found == {("operators.early", "deepinv"), ("operators.early", "matplotlib")}


def foreign(root: Path) -> list[str]:
    """Module-level imports of operators beyond torch, numpy (array exchange) and Python itself."""
    allowed = {"operators", "torch", "numpy", *sys.stdlib_module_names}
    return [str(item) for item in eager(root, "operators") if item.root not in allowed]


def test_operators_stand_on_torch_alone() -> None:
    assert foreign(ROOT) == []


def test_a_foreign_import_of_operators_is_caught(tmp_path: Path) -> None:
    root = write(tmp_path, operators__a="import math\nimport torch\nimport PIL.Image")
    assert foreign(root) == ["operators.a:3 imports PIL.Image"]


def test_adapters_are_imported_inside_functions_only() -> None:
    eagerly = [str(i) for p in PACKAGES for i in eager(ROOT, p) if i.target in ADAPTERS]
    assert eagerly == []


def test_every_unit_has_its_place() -> None:
    assert unknown_units(ROOT) == set()


def test_a_unit_without_a_place_is_caught(tmp_path: Path) -> None:
    assert unknown_units(write(tmp_path, pnp_recon__novelty__a="")) == {"pnp_recon.novelty"}


def test_imports_point_one_way() -> None:
    assert {"operators", "pnp_recon.guarantees", "scripts.protocol"} <= set(modules(ROOT))
    assert upward(ROOT) == set()


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("operators__a", "from pnp_recon import errors"),
        ("operators__a", "import pnp_recon"),
        ("pnp_recon__guarantees", "def f():\n    import pnp_recon.solvers"),
        ("pnp_recon__networks__a", "from ..priors.denoiser import Denoiser"),
        ("pnp_recon__solvers__a", "from pnp_recon import reconstruction"),
        ("pnp_recon__solvers__a", "from pnp_recon import load_denoiser"),
        ("pnp_recon__solvers__a", 'HOME = "pnp_recon.reconstruction:reconstruct"'),
        ("pnp_recon__report__a", "if TYPE_CHECKING:\n    from pnp_recon.cli.deblur import main"),
        ("pnp_recon__cli__a", "def f():\n    from scripts import tune"),
    ],
)
def test_an_upward_import_is_caught(tmp_path: Path, module: str, text: str) -> None:
    tree = {
        "pnp_recon__errors": "",
        "pnp_recon__priors__denoiser": "",
        "pnp_recon__reconstruction": "",
        "pnp_recon__solvers__b": "",
        "pnp_recon__cli__deblur": "",
        "scripts__tune": "",
    }
    assert len(upward(write(tmp_path, **{**tree, module: text}))) == 1


def test_downward_imports_pass(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        operators__base="",
        pnp_recon__errors="",
        pnp_recon__report="from pnp_recon import __version__, errors",
        pnp_recon__solvers__a="from operators.base import A\nfrom ..errors import E",
        pnp_recon__cli__deblur="from pnp_recon import reconstruct",
        scripts__tune="from pnp_recon.solvers import a",
    )
    assert upward(root) == set()
    assert {item.target for item in imports(root)} == {
        "operators.base",
        "pnp_recon",
        "pnp_recon.errors",
        "pnp_recon.solvers.a",
    }


def test_no_cycles() -> None:
    assert cycles(ROOT) == set()


def test_a_cycle_is_caught_where_it_hides(tmp_path: Path) -> None:
    late = "from operators import {}\ndef f():\n    from operators import d"
    typed = "if TYPE_CHECKING:\n    from . import c"
    tree = {
        "operators__a": late.format("b"),
        "operators__b": "",
        "operators__c": late.format("a"),
        "operators__d": "import math",
    }
    assert cycles(write(tmp_path, **tree)) == set()
    assert cycles(write(tmp_path, **{**tree, "operators__d": typed})) == {
        frozenset({"operators.a", "operators.c", "operators.d"})
    }
    hidden = {**tree, "operators__b": "def f():\n    import operators.c"}
    assert cycles(write(tmp_path, **hidden)) == {
        frozenset({"operators.a", "operators.b", "operators.c"})
    }


def without(library: str, statement: str) -> subprocess.CompletedProcess[str]:
    """Runs `statement` where importing `library` fails, as if it were not installed."""
    return run(f"import sys\nsys.modules[{library!r}] = None\n{statement}")


def test_training_and_networks_need_no_deepinv() -> None:
    names = [name for name in modules(ROOT) if name.startswith("pnp_recon.networks")]
    assert names
    done = without("deepinv", f"import pnp_recon.training.trainer, {', '.join(names)}")
    assert done.returncode == 0, done.stderr


def test_a_missing_library_is_noticed() -> None:
    done = without("deepinv", "import deepinv.physics")
    assert done.returncode == 1
    assert "deepinv" in done.stderr

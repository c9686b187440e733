"""Names by which people reach the package: lazy, shown by `dir` and `help`, one object each."""

from __future__ import annotations

import pickle
import pkgutil
import pydoc
import sys
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest

import operators
import pnp_recon

OURS = "pnp_recon.operators"


@pytest.fixture(autouse=True)
def _unloaded() -> Iterator[None]:
    """As if nobody had asked for `pnp_recon.operators` yet; a new interpreter takes too long."""
    finders, held = list(sys.meta_path), dict(sys.modules)
    for name in [name for name in held if name == OURS or name.startswith(OURS + ".")]:
        del sys.modules[name]
    sys.meta_path[:] = without(finders)
    vars(pnp_recon).pop("operators", None)
    yield
    sys.meta_path[:] = finders
    sys.modules.clear()
    sys.modules.update(held)


def without(finders: list[Any]) -> list[Any]:
    return [finder for finder in finders if type(finder).__module__ != OURS]


@pytest.mark.parametrize(
    "statement",
    [
        "import pnp_recon.operators; A = pnp_recon.operators.Convolution",
        "import pnp_recon; A = pnp_recon.operators.Convolution",
        "from pnp_recon import operators as o; A = o.Convolution",
        "from pnp_recon.operators import Convolution as A",
        "from pnp_recon.operators.convolution import Convolution as A",
        "import pnp_recon.operators.convolution as o; A = o.Convolution",
    ],
)
def test_operators_have_two_names_and_are_the_same(statement: str) -> None:
    names: dict[str, Any] = {}
    exec(statement, names)
    assert names["A"] is operators.Convolution
    home = operators.convolution
    assert home.__spec__ is not None
    assert home.__spec__.name == home.__name__ == "operators.convolution"


def test_modules_below_are_the_same() -> None:
    probing = import_module("pnp_recon.operators.checks.probing")
    assert probing is import_module("operators.checks.probing")
    with pytest.raises(ImportError, match="nothing"):
        import_module("pnp_recon.operators.nothing")
    with pytest.raises(ImportError, match="nothing"):
        exec("from pnp_recon.operators import nothing")


def test_the_finder_is_what_keeps_them_the_same() -> None:
    """The twin: without it a module below is loaded a second time."""
    import_module(OURS)
    sys.meta_path[:] = without(sys.meta_path)
    twice = import_module("pnp_recon.operators.ct_numbers")
    assert twice is not import_module("operators.ct_numbers")


def hidden(package: ModuleType) -> set[str]:
    """Public names that a module below hides as soon as it is imported by a second name."""
    below = {module.name for module in pkgutil.iter_modules(package.__path__)}
    return {
        n for n in package.__all__ if n in below and not isinstance(vars(package)[n], ModuleType)
    }


def test_no_public_name_is_that_of_a_module_below(monkeypatch: pytest.MonkeyPatch) -> None:
    """`import pnp_recon.operators.x` makes x the module."""
    assert hidden(operators) == set()
    assert hidden(operators.checks) == set()
    monkeypatch.setattr(operators, "ct_numbers", operators.hounsfield, raising=False)
    monkeypatch.setattr(operators, "__all__", [*operators.__all__, "ct_numbers"])
    assert hidden(operators) == {"ct_numbers"}


def test_operators_are_loaded_when_they_are_used() -> None:
    import_module("pnp_recon")
    assert OURS not in sys.modules
    assert pnp_recon.operators is operators
    assert OURS in sys.modules


def test_what_was_pickled_has_the_old_name() -> None:
    from pnp_recon.operators import Identity

    assert pickle.loads(pickle.dumps(Identity)) is operators.Identity


def test_dir_and_help_show_the_public_names() -> None:
    assert dir(pnp_recon) == sorted([*pnp_recon.__all__, "__version__"])
    assert all(hasattr(pnp_recon, name) for name in dir(pnp_recon))
    text = pydoc.plain(pydoc.render_doc(pnp_recon))
    missing = [name for name in pnp_recon.__all__ if name not in text]
    assert missing == []
    for shown in ("reconstruct(", "class Denoiser", "load_denoiser(", "operators"):
        assert shown in text

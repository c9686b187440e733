"""Every entry of the registry of operators resolves, and is what the package exports."""

from __future__ import annotations

import operators
from operators import LinearOperator
from operators.registry import OPERATORS, OperatorEntry


def exported() -> set[str]:
    """Names of the operators of the package, the abstract one left out."""
    found = {name: getattr(operators, name) for name in operators.__all__}
    return {
        name
        for name, kind in found.items()
        if isinstance(kind, type) and issubclass(kind, LinearOperator) and kind != LinearOperator
    }


def resolves(entry: OperatorEntry) -> bool:
    """Whether the entry is found where it says, and is exported under its name."""
    try:
        return entry.load() is getattr(operators, entry.name)
    except (ImportError, AttributeError):
        return False


def test_every_entry_resolves_to_what_is_exported() -> None:
    for name, entry in OPERATORS.items():
        assert entry.name == name
        assert resolves(entry), entry.home
        assert entry.load().__module__ == entry.home.partition(":")[0]
        assert entry.proven


def test_an_entry_that_leads_nowhere_is_caught() -> None:
    for home in (
        "operators.nowhere:Convolution",
        "operators.convolution:Blur",
        "operators.norms:NORM",
        "operators.norms:EPS",
    ):
        assert not resolves(OperatorEntry(home, ""))


def test_every_operator_is_registered() -> None:
    assert "Convolution" in exported()
    made = {"from_callable", "from_deepinv", "from_matrix", "from_scipy"}
    assert exported() | made == set(OPERATORS), (
        "what is new belongs into operators/registry.py and into operators/__init__.py"
    )

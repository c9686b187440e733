"""The forward operators: the package `operators` under this name, its modules included.

    from pnp_recon.operators import Convolution, kernels

`pnp_recon.operators.kernels` is `operators.kernels`, the very same object: nothing is loaded twice,
and what is an instance by one name is one by the other.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

import operators
from operators import *  # noqa: F403  what type checkers see
from operators import kernels as kernels
from operators import kspace_masks as kspace_masks
from operators import masks as masks

_HERE = __name__ + "."


class _Same(MetaPathFinder, Loader):
    """Finds modules below this one in `operators`, and gives what is there."""

    def __init__(self) -> None:
        self._specs: dict[str, ModuleSpec | None] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(_HERE) or find_spec(_there(fullname)) is None:
            return None
        return ModuleSpec(fullname, self)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        found = import_module(_there(spec.name))
        self._specs[spec.name] = found.__spec__
        return found

    def exec_module(self, module: ModuleType) -> None:
        """The module has run; it keeps the name that it has."""
        alias = module.__spec__
        if alias is not None:
            module.__spec__ = self._specs.pop(alias.name)


def _there(name: str) -> str:
    return "operators." + name.removeprefix(_HERE)


sys.meta_path.insert(0, _Same())
sys.modules[__name__] = operators

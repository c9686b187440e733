"""A user's own denoiser: `module:name`, `file.py:name`, or `file.py` with one `Method` in it."""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
import inspect
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from pnp_recon.benchmark.methods.base import Checked, Method
from pnp_recon.benchmark.methods.models import Given
from pnp_recon.errors import InputError
from pnp_recon.guarantees import Guarantee
from pnp_recon.priors.denoiser import wrap

EXPECTED = "expected a function (x, sigma), a Denoiser, an nn.Module or a Method"


def is_entry(text: str) -> bool:
    """Does it name code rather than a known method?"""
    return ":" in text or text.endswith(".py")


def load_entry(entry: str, device: str = "cpu") -> Method:
    """The method that an entry names, its results checked.

    Args:
        entry: "module:name", "file.py:name" or "file.py"; modules are looked for in the current
            folder, too. The name may be a function (x, sigma), a `Denoiser`, an `nn.Module` or a
            class of one, a `Method` or a subclass of it.
        device: where modules are moved to.

    Raises:
        InputError: no such file, module or name; it fails when imported; it is something else.
    """
    source, _, name = entry.rpartition(":") if ":" in entry else (entry, "", "")
    if not source or (":" in entry and not name):
        raise InputError(f"method {entry!r}: expected module:name, file.py:name or file.py")
    module = _import_file(Path(source), entry) if source.endswith(".py") else _module(source, entry)
    found = _named(module, name, entry) if name else _only_method(module, entry)
    return Checked(_as_method(found, entry, device))


def _module(name: str, entry: str) -> ModuleType:
    _reachable(Path.cwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and name.split(".")[: error.name.count(".") + 1] == (
            error.name.split(".")
        ):
            raise InputError(
                f"method {entry!r}: there is no module {error.name!r}, neither installed nor in "
                f"{Path.cwd()}"
            ) from error
        raise InputError(f"method {entry!r}: importing {name} failed: {error}") from error
    except Exception as error:
        raise _broken(entry, name, error) from error


def _import_file(path: Path, entry: str) -> ModuleType:
    path = path.expanduser().resolve()
    if not path.is_file():
        raise InputError(f"method {entry!r}: there is no file {path}")
    # A name of its own for each file: two may be called alike.
    name = f"{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"method {entry!r}: {path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    _reachable(path.parent)  # for what lies beside it
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise _broken(entry, str(path), error) from error
    return module


def _reachable(folder: Path) -> None:
    """Modules of the folder can be imported; installed ones come first."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


def _broken(entry: str, what: str, error: Exception) -> InputError:
    return InputError(f"method {entry!r}: importing {what} failed: {type(error).__name__}: {error}")


def _named(module: ModuleType, name: str, entry: str) -> Any:
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            names = [key for key in vars(found) if not key.startswith("_")]
            near = difflib.get_close_matches(part, names, 1)
            hint = f"did you mean {near[0]}?" if near else f"it holds {', '.join(names)}"
            raise InputError(f"method {entry!r}: {module.__name__} has no {part!r}; {hint}")
        found = getattr(found, part)
    return found


def _only_method(module: ModuleType, entry: str) -> Any:
    """The one subclass of `Method` that a file defines."""
    methods = [
        item
        for item in vars(module).values()
        if inspect.isclass(item) and issubclass(item, Method) and item.__module__ == module.__name__
    ]
    if len(methods) == 1:
        return methods[0]
    if not methods:
        raise InputError(
            f"method {entry!r}: the file defines no subclass of pnp_recon.benchmark.Method; name "
            f"the denoiser: {entry}:NAME"
        )
    names = " or ".join(f"{entry}:{item.__name__}" for item in methods)
    raise InputError(f"method {entry!r}: the file defines several methods; choose {names}")


def _as_method(found: Any, entry: str, device: str) -> Method:
    if inspect.isclass(found):
        if not issubclass(found, Method | nn.Module):
            raise InputError(f"method {entry!r} is the class {found.__name__}; {EXPECTED}")
        try:
            found = found()
        except Exception as error:  # whatever a user's constructor raises
            raise InputError(
                f"method {entry!r}: {found.__name__}() failed: {type(error).__name__}: {error}"
            ) from error
    if isinstance(found, Method):
        return found
    if isinstance(found, nn.Module):
        return _given(found.eval().to(device), entry, differentiable=True)
    if callable(found):
        return _given(found, entry, differentiable=False)
    raise InputError(f"method {entry!r} is a {type(found).__name__}; {EXPECTED}")


def _given(function: Any, entry: str, *, differentiable: bool) -> Method:
    """A function or module called as function(x, sigma), with what it declares of itself."""
    declared = getattr(function, "guarantee", None)
    denoiser = wrap(
        function,
        name=entry,
        guarantee=declared if isinstance(declared, Guarantee) else None,
    )
    return Given(denoiser, differentiable=differentiable)

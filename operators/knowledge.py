"""How what is said of an operator is known, and whether it still is about what runs.

A fact is known by construction where a class of this package says it of maps that nobody has
replaced; everything else is a measurement or a declaration. Facts are kept for one fingerprint of
the coefficients. Knows no map: `base` builds on this.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Sequence
from typing import Any, Literal, Self, get_args

import numpy as np
import torch
from torch import Tensor

from operators.errors import OperatorError
from operators.originals import code_home
from operators.reach import reached

# The strongest first: a whole is known as its weakest part.
KnownBy = Literal["construction", "measurement", "declaration"]
TransposeBy = KnownBy
Fact = Literal["transpose", "sign", "norm"]

# What facts rest on: defined elsewhere, they are somebody's word.
MAPS = (
    *("A", "A_adjoint", "normal", "_forward_map", "_transpose_map", "enclosure"),
    *("normal_enclosure", "_prove_norm", "_prove_gram", "_sign", "_transposed", "run"),
)
HOOKS = ("_forward_hooks", "_forward_pre_hooks")
# What says nothing about A: names, the mode, and what happens to a measurement afterwards.
NO_COEFFICIENT = ("name", "training", "noise_model", "sensor_model")


class Known(torch.nn.Module):
    """A module about which facts are kept, each with how it is known.

    Attributes:
        transpose_by: how it is known that A_adjoint is the transpose: 'construction',
            'measurement' (made when the operator is, and again after a change) or 'declaration'.
        sign_by: how `nonnegative` is known.
        norm_by: how the bound of the norm is known.
    """

    def __init_subclass__(cls, **given: Any) -> None:
        super().__init_subclass__(**given)
        stated = [f"{fact}_by" for fact in get_args(Fact) if f"{fact}_by" in vars(cls)]
        if stated and cls is not Known:
            raise OperatorError(
                f"{cls.__name__} sets {stated[0]}; how a fact is known is worked out, remove it"
            )

    def __init__(self, *, nonnegative: bool) -> None:
        super().__init__()
        self._declared_sign = nonnegative
        self._declared_matched = True
        self._by_formula = True
        self._kept: dict[object, Any] = {}
        self._seen: str | None = None

    # ---- facts ------------------------------------------------------------------------------

    @property
    def transpose_by(self) -> KnownBy:
        """How it is known that `A_adjoint` is the transpose of `A`."""
        return self._known("transpose")

    @property
    def sign_by(self) -> KnownBy:
        """How it is known that no entry is negative, where `nonnegative` says so."""
        return self._known("sign")

    @property
    def norm_by(self) -> KnownBy:
        """How the bound of the norm is known, where there is one."""
        return self._known("norm")

    def _known(self, fact: Fact) -> KnownBy:
        return self._known_by(fact) if built_here(self) else "declaration"

    def _known_by(self, fact: Fact) -> KnownBy:
        """How a class of this package knows a fact; others are not asked."""
        return "construction"

    @property
    def nonnegative(self) -> bool:
        """Every entry of the matrix of A is >= 0."""
        return self._sign()

    @nonnegative.setter
    def nonnegative(self, value: bool) -> None:
        if type(self)._sign is not Known._sign:
            raise OperatorError(
                f"nonnegative of a {type(self).__name__} follows from its coefficients and cannot "
                "be set"
            )
        self._declared_sign = bool(value)

    def _sign(self) -> bool:
        return self._declared_sign

    @property
    def adjoint_matched(self) -> bool:
        """`A_adjoint` is the transpose of `A`; may be set to False, and then nothing is guaranteed.

        Only an operator brought in from elsewhere may say False by itself.
        """
        return self._declared_matched and self._transposed()

    @adjoint_matched.setter
    def adjoint_matched(self, value: bool) -> None:
        self._declared_matched = bool(value)

    def _transposed(self) -> bool:
        return True

    @property
    def prox_closed_form(self) -> bool:
        """Whether `prox_l2` is a formula; its error is measured all the same."""
        return self._by_formula and self._has_closed_form()

    @prox_closed_form.setter
    def prox_closed_form(self, value: bool) -> None:
        self._by_formula = bool(value)

    def _has_closed_form(self) -> bool:
        return type(self)._closed_prox is not Known._closed_prox

    def _closed_prox(self, z: Tensor, y: Tensor, step: Tensor) -> Tensor:
        """The prox by a formula, for `prox_closed_form`; z and y are checked, `step` is γ."""
        raise NotImplementedError("this operator has no closed-form proximal map")

    # ---- what they are about ------------------------------------------------------------------

    def fingerprint(self) -> str:
        """A digest of the coefficients: facts are about one, and are forgotten with it.

        It covers the bytes of parameters and buffers, public attributes that are tensors or plain
        values, replaced methods, and the same of all parts; of what was not built here also the
        modules that its functions come by (`reach`). What else a function keeps in a closure, and
        what is private to a class from elsewhere, is not seen.
        """
        found = hashlib.blake2b(repr(_content(self)).encode(), digest_size=16).hexdigest()
        if found != self._seen:
            self._forget()
            self._seen = found
        return found

    def _own_content(self) -> tuple[object, ...]:
        """Private numbers that a fingerprint covers too."""
        return ()

    def _keep(self, what: object, compute: Callable[[], Any]) -> Any:
        """What was computed for the present fingerprint, or is computed now."""
        self.fingerprint()
        if what not in self._kept:
            with torch.no_grad():
                self._kept[what] = compute()
        return self._kept[what]

    def _forget(self) -> None:
        """Drop whatever was computed from the coefficients."""
        self._kept.clear()

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        super()._apply(fn, recurse)
        self._forget()  # .to(...) may have moved or rounded the coefficients
        return self

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._forget()


def weakest(ways: Sequence[KnownBy]) -> KnownBy:
    """How a whole is known whose parts are known in these ways."""
    return max(ways, key=get_args(KnownBy).index)


def built_here(A: torch.nn.Module) -> bool:
    """Whether the class is this package's, and neither it nor the instance was tampered with."""
    cls = type(A)
    ours = (
        cls.__module__.startswith("operators.")
        and getattr(sys.modules[cls.__module__], cls.__name__, None) is cls
    )
    methods = (getattr(cls, name, None) for name in MAPS)
    return (
        ours
        and all(method is None or code_home(method) == "operators" for method in methods)
        and not replaced(A)
        and not any(vars(A).get(hooks) for hooks in HOOKS)
    )


def replaced(module: torch.nn.Module) -> list[str]:
    """Methods of the class that the instance has its own of."""
    return [name for name in vars(module) if callable(getattr(type(module), name, None))]


def _content(module: torch.nn.Module) -> tuple[object, ...]:
    """Everything that a fingerprint covers, as a tree of plain values."""
    held: list[object] = [type(module).__qualname__, built_here(module)]  # names can be borrowed
    if isinstance(module, Known):
        held.extend(module._own_content())
    for name, tensor in (*module.named_parameters(recurse=False), *module.named_buffers("", False)):
        held.append((name, _digest(tensor)))
    for name, value in vars(module).items():
        if not name.startswith("_") and name not in NO_COEFFICIENT:
            plain = _plain(value)
            if plain is not None:
                held.append((name, plain))
    # Functions have no content that could be read; another one is another one.
    held.extend((name, id(vars(module)[name])) for name in replaced(module))
    for name, child in module.named_children():
        if name not in NO_COEFFICIENT:
            inner = child.fingerprint() if isinstance(child, Known) else _content(child)
            held.append((name, inner))
    if not held[1] or (isinstance(module, Known) and module.transpose_by != "construction"):
        held.extend(_hidden(module))
    return tuple(held)


def _hidden(module: torch.nn.Module) -> list[object]:
    """Mode and tensors of the modules that functions of an operator from elsewhere come by."""
    left_out = (*NO_COEFFICIENT, "_modules", "_kept")
    inside = (value for name, value in vars(module).items() if name not in left_out)
    maps = (getattr(type(module), name, None) for name in MAPS)
    own = set(module.modules())
    found: list[object] = []
    for part in reached(*inside, *maps):
        if part not in own:
            tensors = (*part.named_parameters("", False), *part.named_buffers("", False))
            held = [(name, _digest(tensor)) for name, tensor in tensors]
            found.append((type(part).__qualname__, part.training, *held))
    return found


def _plain(value: object) -> object:
    """A plain value in a form that shows what it is; None for anything else."""
    if isinstance(value, Tensor):
        return _digest(value)
    if isinstance(value, bool | int | float | str | torch.dtype | torch.device):
        return repr(value)
    if isinstance(value, tuple | list):
        return tuple(_plain(item) for item in value)
    if isinstance(value, dict):
        return tuple((repr(key), _plain(item)) for key, item in value.items())
    if isinstance(value, np.ndarray | np.generic) and not value.dtype.hasobject:
        held = hashlib.blake2b(np.ascontiguousarray(value).tobytes(), digest_size=16)
        return (str(value.dtype), value.shape, held.hexdigest())
    return None


def _digest(t: Tensor) -> tuple[object, ...]:
    """Precision, shape and a hash of the bytes of a tensor, wherever it lies."""
    form = (str(t.dtype), tuple(t.shape))
    if t.device.type == "meta":
        return form
    t = t.detach()
    if t.layout == torch.sparse_csr:
        parts = (t.crow_indices(), t.col_indices(), t.values())
        return (*form, *(_digest(part) for part in parts))
    if t.layout != torch.strided:
        t = t.to_sparse_coo().coalesce()
        return (*form, _digest(t.indices()), _digest(t.values()))
    if not t.numel():
        return form
    stored = t.resolve_conj().resolve_neg().cpu().contiguous().reshape(-1).view(torch.uint8)
    return (*form, hashlib.blake2b(stored.numpy(), digest_size=16).hexdigest())

"""What people bring as A and y from elsewhere: taken as it is, or named with the call for it.

Nothing is made up about it. An operator that comes so has no declared norm, and what needs one is
refused with the remedy; a picture's shape that the thing does not tell is asked for.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor, from_numpy

from operators.base import LinearOperator
from operators.interop import from_deepinv
from operators.own import from_scipy, maker
from pnp_recon.errors import InputError


def taken_operator(A: Any, y: Any) -> LinearOperator:
    """An operator of the package; a physics of deepinv and an operator of pylops become one.

    Args:
        A: what was given. A physics tells the shape of its pictures by A_adjoint(y), an operator of
            pylops by its `dims`.
        y: the measurements.

    Raises:
        InputError: it is something else; the message names the call that makes an operator of it.
        OperatorError: it is not linear, or its A_adjoint is not the transpose.
    """
    if isinstance(A, LinearOperator):
        return A
    if isinstance(y, LinearOperator):
        raise InputError("y and A are exchanged: it is reconstruct(y, A, prior)")
    if isinstance(A, type) and hasattr(A, "A_adjoint"):
        raise InputError(f"A is the class {A.__name__}; make an operator of it")
    if isinstance(y, Tensor) and callable(getattr(A, "A_adjoint", None)):
        return from_deepinv(A, _picture_shape(A, y))
    if hasattr(A, "matvec") and 0 < len(tuple(getattr(A, "dims", ()))) <= 3:
        return from_scipy(A)
    if callable(getattr(A, "A", None)):
        raise InputError(
            f"A is a {type(A).__name__}, a physics with no A_adjoint: only linear ones are taken"
        )
    where = ", where image_shape is (C, H, W) of the pictures"
    raise InputError(
        f"A is a {type(A).__name__}; expected a LinearOperator: one of `operators`, "
        f"or {maker(A)}{where if A is not None else ''}"
    )


def taken_array(what: str, values: Any) -> Any:
    """A NumPy array as a tensor of its own memory; anything else as it is, to be checked later.

    Raises:
        InputError: entries are masked, which a tensor cannot say.
    """
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "fciub":
        return values
    if isinstance(values, np.ma.MaskedArray) and bool(np.ma.getmaskarray(values).any()):
        raise InputError(
            f"{what} has masked entries; give {what}.filled(0) and, with known = "
            f"torch.from_numpy(~{what}.mask), A as operators.Inpainting(known[0], "
            "A.measurement_shape) @ A"
        )
    # A copy: arrays may be read-only, run backwards, or have the other order of bytes.
    return from_numpy(np.array(values, values.dtype.newbyteorder("="), order="C", subok=False))


def _picture_shape(physics: Any, y: Tensor) -> tuple[int, ...]:
    """(C, H, W) of the pictures of a physics.

    Raises:
        InputError: its A_adjoint does not take y.
    """
    kind = type(physics).__name__
    try:
        back = physics.A_adjoint(y)
    except Exception as error:  # whatever a physics of somebody else runs into
        raise InputError(
            f"A_adjoint of {kind} fails on y of shape {tuple(y.shape)}: {type(error).__name__}: "
            f"{' '.join(str(error).split())[:160]}; give what it measures, (B, ...)"
        ) from error
    if not isinstance(back, Tensor) or back.ndim != 4:
        raise InputError(
            f"A_adjoint of {kind} gives {tuple(getattr(back, 'shape', ()))}, no pictures "
            "(B, C, H, W); take operators.from_deepinv(physics, image_shape)"
        )
    return tuple(back.shape[1:])

"""Two functions seen as an operator, and the test that refutes functions that are not linear.

What runs inside may be NumPy: the derivative of each map is the other, as for a projector.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from operators._projectors import apply_projector
from operators.declared import Declared
from operators.errors import OperatorError

F32, F64 = torch.float32, torch.float64
# How far A(2x − 3z) may be from 2 A x − 3 A z, relative.
LINEAR = {F32: 1e-4, F64: 1e-9}
Map = Callable[[Any], Any]


class FunctionOperator(Declared):
    """Two functions seen as an operator; made by `from_callable` and `from_scipy`.

    Attributes:
        takes_arrays: they are functions of NumPy arrays of one picture.
        row_terms, column_terms: how many products an entry of A x and of Aᵀ y may sum up.
    """

    made_by = "from_callable or from_scipy"

    def __init__(
        self,
        A: Map,
        At: Map,
        image_shape: Sequence[int],
        measurement_shape: Sequence[int],
        *,
        arrays: bool,
        dtype: torch.dtype,
        nonnegative: bool,
        noise_model: Callable[[Tensor], Tensor] | None,
        name: str,
    ) -> None:
        super().__init__(
            name, image_shape, measurement_shape, nonnegative=nonnegative, noise_model=noise_model
        )
        self._maps = (A, At)
        self.takes_arrays = arrays
        self.certificate_dtype = dtype
        self.row_terms = math.prod(self.image_shape)
        self.column_terms = math.prod(self.measurement_shape)

    def _own_content(self) -> tuple[object, ...]:
        return tuple(map(id, self._maps))

    def _forward_map(self, x: Tensor) -> Tensor:
        return self._applied(x, False)

    def _transpose_map(self, y: Tensor) -> Tensor:
        return self._applied(y, True)

    def _applied(self, t: Tensor, transposed: bool) -> Tensor:
        if self.takes_arrays:
            return apply_projector(self, t, transposed)
        # Copies, in and out: a function may write into its argument, or into what it gave before.
        found = self._maps[transposed](t.to(self._taken(t), copy=True))
        shape = self.image_shape if transposed else self.measurement_shape
        return self._fitting(found, (len(t), *shape), transposed).to(t, copy=True)

    def run(self, t: Tensor, transposed: bool) -> Tensor:
        """The map of NumPy arrays, one picture after the other."""
        shape = self.image_shape if transposed else self.measurement_shape
        rows = []
        for one in t.detach().to("cpu", self._taken(t)).numpy():
            # As above.
            found = self._fitting(self._maps[transposed](one.copy()), shape, transposed)
            rows.append(torch.as_tensor(np.array(found)))
        return torch.stack(rows).to(t)

    def _taken(self, t: Tensor) -> torch.dtype:
        return F32 if self.certificate_dtype == F32 else t.dtype

    def _fitting(self, found: Any, shape: tuple[int, ...], transposed: bool) -> Any:
        """What a function gave, in its shape.

        Raises:
            OperatorError: it is something else.
        """
        which = "At" if transposed else "A"
        taken = isinstance(found, np.ndarray if self.takes_arrays else Tensor)
        if not taken:
            raise OperatorError(
                f"{which} of '{self.name}' returns a {type(found).__name__}; expected a "
                f"{'NumPy array' if self.takes_arrays else 'tensor'}"
            )
        if "complex" in str(found.dtype):
            raise OperatorError(
                f"{which} of '{self.name}' returns {found.dtype}; give real and imaginary part a "
                "channel each"
            )
        if tuple(found.shape) != shape:
            raise OperatorError(
                f"{which} of '{self.name}' returns the shape {tuple(found.shape)}; expected {shape}"
            )
        return found


def require_linear(operator: FunctionOperator) -> None:
    """Refutes maps that are not linear.

    Raises:
        OperatorError: A(2x − 3z) is not 2 A x − 3 A z, or At so.
    """
    generator = torch.Generator().manual_seed(0)
    dtype = operator.certificate_dtype
    maps = (("A", operator.A, operator.image_shape),
            ("At", operator.A_adjoint, operator.measurement_shape))  # fmt: skip
    with torch.no_grad():
        for which, apply, shape in maps:
            x, z = (
                torch.randn(1, *shape, generator=generator, dtype=torch.float64).to(dtype)
                for _ in range(2)
            )
            try:
                parts = 2 * apply(x) - 3 * apply(z)
            except OperatorError:
                raise
            except Exception as error:  # whatever a function of somebody else runs into
                given = "NumPy arrays" if operator.takes_arrays else "tensors"
                words = " ".join(str(error).split())[:160]
                raise OperatorError(
                    f"{which} of '{operator.name}' fails on {given}: {type(error).__name__}: "
                    f"{words}; see arrays= of from_callable"
                ) from error
            size = float(torch.linalg.vector_norm(parts))
            if not math.isfinite(size):
                raise OperatorError(
                    f"{which} of '{operator.name}' returns values that are not finite, or too "
                    "large to be squared; repair or scale it"
                )
            gap = torch.linalg.vector_norm(apply(2 * x - 3 * z) - parts)
            if not float(gap) <= LINEAR[dtype] * size:
                relative = float(gap) / size if size > 0 else math.inf
                raise OperatorError(
                    f"{which} of '{operator.name}' is not linear: {which}(2x − 3z) is off by "
                    f"{relative:.1e} of its size; take out what it adds or clips, or say "
                    "dtype=torch.float32 if it computes in no more"
                )

"""A deepinv physics in the clothes of a `LinearOperator`. `interop` makes it and checks it."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from operators.checks.measures import ADJOINT_TOLERANCE, adjoint_mismatch
from operators.declared import Declared

if TYPE_CHECKING:
    from deepinv.physics import LinearPhysics

F32, F64 = torch.float32, torch.float64
# How far the physics in float32 may be from its twin in float64, relative.
SAME = 1e-5


class DeepinvOperator(Declared):
    """A deepinv physics seen as a `LinearOperator`; made by `from_deepinv`.

    A physics in float32 gets a twin: a copy with its coefficients as float64 numbers, which takes
    the images in float64, if it is found to compute in float64 and to agree with the original.

    Attributes:
        physics: the wrapped physics; its noise and sensor models are applied by `forward`.
    """

    made_by = "from_deepinv"

    def __init__(
        self,
        physics: LinearPhysics,
        image_shape: Sequence[int],
        measurement_shape: Sequence[int],
        *,
        nonnegative: bool,
        dtype: torch.dtype,
    ) -> None:
        super().__init__(
            f"deepinv {type(physics).__name__}",
            image_shape,
            measurement_shape,
            nonnegative=nonnegative,
        )
        self.physics = physics
        self.noise_model = lambda y: physics.sensor(physics.noise(y))
        self._stored = dtype
        self.certificate_dtype = dtype
        self.fingerprint()
        self._twin()

    def _forward_map(self, x: Tensor) -> Tensor:
        twin = self._twin() if x.dtype == F64 else None
        if twin is None:  # a physics in float32 takes no float64
            return self.physics.A(x.to(self._taken(x))).to(x)
        return twin.A(x)

    def _transpose_map(self, y: Tensor) -> Tensor:
        twin = self._twin() if y.dtype == F64 else None
        if twin is None:
            return self.physics.A_adjoint(y.to(self._taken(y))).to(y)
        return twin.A_adjoint(y)

    def _taken(self, t: Tensor) -> torch.dtype:
        return F32 if self._stored == F32 else t.dtype

    # ---- float64 ------------------------------------------------------------------------------

    def _twin(self) -> LinearPhysics | None:
        """The physics in float64, or None; made anew once the coefficients are others.

        Like the transforms of `Convolution` it is not looked at in every application, but with
        the next `fingerprint`.
        """
        if "twin" not in self._kept:
            self._kept["twin"] = None  # while it is compared, and where it fails
            if self._stored == F32:
                self._kept["twin"] = self._tried()
                self.certificate_dtype = F32 if self._kept["twin"] is None else F64
        found: LinearPhysics | None = self._kept["twin"]
        return found

    def _tried(self) -> LinearPhysics | None:
        device = self.certificate_start().device
        x = torch.rand(
            (1, *self.image_shape), generator=torch.Generator().manual_seed(0), dtype=F64
        ).to(device)
        try:
            twin: LinearPhysics = copy.deepcopy(self.physics).double()
            with torch.no_grad():
                wide, narrow = twin.A(x), self.physics.A(x.float())
                if wide.dtype != F64 or twin.A_adjoint(wide).dtype != F64:
                    return None
                size = float(torch.linalg.vector_norm(wide))
                if not float(torch.linalg.vector_norm(wide - narrow)) <= SAME * size:
                    return None
                self._kept["twin"] = twin
                seeded = torch.Generator().manual_seed(0)
                measured = adjoint_mismatch(self, seeded, 1, dtype=F64)
        except Exception:  # not to be copied, or bound to float32: then it stays as it is
            return None
        finally:
            self._kept["twin"] = None
        return twin if measured <= ADJOINT_TOLERANCE[F64] else None

    # ---- what is known --------------------------------------------------------------------------

    def _measured(self) -> float:
        self._twin()  # decides on the precision
        return super()._measured()

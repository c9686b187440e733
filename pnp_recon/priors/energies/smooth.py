"""Whether a function of pictures is smooth and definable: a check of every operation it is made of.

The theorem about descent (Attouch, Bolte & Svaiter 2013) wants an energy with the
Kurdyka–Łojasiewicz property and a gradient that is Lipschitz on bounded sets. Sums, products and
compositions of the operations listed here have both: they are real analytic, or piecewise
polynomial with a continuous derivative, and definable in the structure of the exponential function
(Wilkie 1996; Bolte, Daniilidis, Lewis & Shiota 2007). A ReLU, an absolute value or a maximum has no
such gradient and is refused, as is whatever is not known. It knows operations, no energies.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

# Operations that move or copy numbers, or are linear in each of their factors, or squares.
_ALGEBRA = """
add sub rsub mul neg mm bmm addmm baddbmm matmul dot mv linear einsum square sum mean cumsum
convolution mkldnn_convolution slow_conv2d_forward _slow_conv2d_forward slow_conv_transpose2d
_conv_depthwise2d avg_pool2d upsample_bilinear2d constant_pad_nd reflection_pad2d
replication_pad2d pixel_shuffle pixel_unshuffle im2col col2im fft_rfft2 _fft_r2c _fft_c2r _fft_c2c
real imag conj view_as_real view_as_complex view _unsafe_view reshape permute transpose t expand
repeat cat stack clone copy_ detach alias _to_copy to slice select narrow index_select gather unfold
as_strided squeeze unsqueeze flip roll split split_with_sizes unbind diagonal lift_fresh
zeros_like ones_like zeros ones empty empty_like new_zeros new_ones new_empty full full_like arange
scalar_tensor fill_ zero_ add_ sub_ mul_
"""
# Real analytic on the whole line.
_ANALYTIC = """
silu sigmoid tanh softplus exp expm1 erf gelu mish sin cos sinh cosh asinh atan logaddexp
logsumexp _softmax softmax _log_softmax log_softmax
"""
# Piecewise analytic, with a continuous derivative that is Lipschitz.
_PIECEWISE = "elu celu huber_loss"
SMOOTH = frozenset(_ALGEBRA.split()) | frozenset(_ANALYTIC.split()) | frozenset(_PIECEWISE.split())
# Analytic where their argument keeps away from zero, which the function itself must see to.
POSITIVE = frozenset({"sqrt", "log", "reciprocal", "div", "rsqrt", "pow", "div_"})


class _Recorder(TorchDispatchMode):
    """Collects what is not known to be smooth."""

    def __init__(self) -> None:
        super().__init__()
        self.rough: dict[str, None] = {}
        self.calls = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        self.calls += 1
        if name in POSITIVE:
            if not _tame(name, args):
                self.rough[name] = None
        elif name in ("elu", "celu") and any(a != 1 for a in (*args[1:], *(kwargs or {}).values())):
            self.rough[f"{name} with α ≠ 1"] = None
        elif name == "_to_copy" and _counts((kwargs or {}).get("dtype")):
            self.rough[f"{name} to whole numbers"] = None
        elif name == "_to_copy" and _narrows(args[0], (kwargs or {}).get("dtype")):
            self.rough[f"rounding from {args[0].dtype} to {kwargs['dtype']}"] = None
        elif name not in SMOOTH:
            self.rough[name] = None
        return func(*args, **(kwargs or {}))


def _counts(dtype: torch.dtype | None) -> bool:
    """Would numbers be rounded to whole ones, or to yes and no?"""
    return dtype is not None and not (dtype.is_floating_point or dtype.is_complex)


def _narrows(x: Tensor, dtype: torch.dtype | None) -> bool:
    """Would numbers lose digits? A rounded number is a staircase."""
    if dtype is None or not (x.is_floating_point() and dtype.is_floating_point):
        return False
    return torch.finfo(dtype).eps > torch.finfo(x.dtype).eps


def _tame(name: str, args: Any) -> bool:
    """Is a quotient, power, root or logarithm taken where it is smooth?"""
    if name == "pow":
        exponent = args[1] if len(args) > 1 else None
        if isinstance(exponent, int | float) and exponent >= 1 and float(exponent).is_integer():
            return True
        return isinstance(args[0], Tensor) and bool((args[0] > 0).all())
    if name in ("div", "div_"):
        below = args[1]
        return not isinstance(below, Tensor) or bool((below != 0).all())
    return bool((args[0] > 0).all())


def rough_operations(function: Callable[[Tensor], Tensor], x: Tensor) -> tuple[str, ...]:
    """The operations of function(x) that are not known to be smooth; () where all are.

    One path is seen, that of x: a function whose operations depend on values is not covered.

    Args:
        function: takes (B, C, H, W), evaluated once without autograd.
        x: where.
    """
    recorder = _Recorder()
    with torch.no_grad(), recorder:
        function(x)
    if not recorder.calls:
        return ("no operation of torch at all",)
    return tuple(recorder.rough)

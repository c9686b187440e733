"""What the tests of the solvers share: small certified problems, and broken denoisers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from laws.networks import picture, random_tensor, small_net
from operators import Boundary, Convolution, LinearOperator
from pnp_recon import guarantees
from pnp_recon.fidelity import LeastSquares
from pnp_recon.priors.denoiser import Denoiser, wrap
from pnp_recon.solvers import (
    SOLVERS,
    FixedPoint,
    Plugged,
    Solution,
    Solver,
    Stopping,
    iterate,
)

# With a denoiser, the same arguments and one map: what most laws are run on.
PLUG_AND_PLAY = {name: SOLVERS[name].load() for name in ("pnp-pgd", "pnp-hqs", "pnp-drs")}
SIZE = (1, 12, 13)
RELAXATION = {"pnp-pgd": 1.0, "pnp-hqs": 1.0, "pnp-drs": 0.5}
LEVEL = 0.1


def tiny_denoiser(seed: int = 0) -> Denoiser:
    net = small_net("spline", "haar", seed=seed)
    return Denoiser(net, "tiny", net.check(), channels=1)


def declared(function: Callable[[Tensor], Tensor], alpha: float | None = 0.5) -> Denoiser:
    """A denoiser that declares α, whether it is true or not; None: declares nothing."""
    held = None if alpha is None else guarantees.averaged(alpha, "declared in a test")
    return wrap(lambda x, sigma: function(x), "test", held)


def random_kernel(seed: int, taps: int = 3) -> Tensor:
    kernel = torch.rand(
        taps, taps, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    return kernel / kernel.sum()


def invertible_kernel(seed: int = 0) -> Tensor:
    """0.7 δ + 0.3 k with k ≥ 0 summing to one: its transform is at least 0.4 in modulus."""
    kernel = 0.3 * random_kernel(seed)
    kernel[1, 1] += 0.7
    return kernel


def lossy_kernel() -> Tensor:
    """It annihilates stripes along the rows: no fidelity is strongly convex behind it."""
    return torch.tensor([[0.25], [0.5], [0.25]], dtype=torch.float64)


def blur(kernel: Tensor, boundary: Boundary = "circular") -> Convolution:
    return Convolution(kernel, SIZE, boundary)


def measurements(A: LinearOperator, batch: int = 1) -> Tensor:
    return A.A(picture(batch, *SIZE, seed=3))


def make(
    name: str,
    A: LinearOperator,
    y: Tensor,
    denoiser: Denoiser,
    *,
    start: Tensor | None = None,
    scaling: float = 1.0,
    **changes: Any,
) -> Solver:
    """A registered solver with middling parameters: τL = 1.5, γ = 5."""
    options: dict[str, Any] = {
        "fidelity": LeastSquares(A, y),
        "denoiser": Plugged(denoiser, LEVEL, scaling),
        "relaxation": RELAXATION[name],
        "start": picture(y.shape[0], *SIZE, seed=5) if start is None else start,
    }
    options |= changes
    if name != "pnp-pgd":
        options.setdefault("gamma", 5.0)
    elif "step_size" not in options:
        options["step_size"] = 1.5 / A.norm_bound**2
    return PLUG_AND_PLAY[name](**options)


def averaged_map(seed: int = 0, size: int = 6, alpha: float = 0.6) -> FixedPoint:
    """z ↦ z* + (I − α(I − Q))(z − z*), Q orthogonal: averaged with α and nothing better."""
    Q = torch.linalg.qr(random_tensor(size, size, seed=seed))[0]
    fixed = random_tensor(1, size, seed=seed + 1)
    held = guarantees.averaged(alpha, "constructed in a test")
    return FixedPoint(
        lambda z: z - alpha * ((z - fixed) - (z - fixed) @ Q.T),
        held,
        torch.zeros(1, size).double(),
        distance=float(fixed.norm()),
    )


TINY = tiny_denoiser()
FOREVER = 1e-300  # a tolerance that is never reached


def run(name: str, iterations: int = 15, *, check_every: int = 5, **options: object) -> Solution:
    """A run of a registered solver on a circular blur, unless options say otherwise."""
    A = options.pop("A", None) or blur(random_kernel(0))
    assert isinstance(A, LinearOperator)
    y = options.pop("y", None)
    denoiser = options.pop("denoiser", TINY)
    solver = make(name, A, measurements(A) if y is None else y, denoiser, **options)  # type: ignore[arg-type]
    return iterate(solver, Stopping(FOREVER, iterations, check_every=check_every))

"""Problems at whose fixed points denoisers are trained: data, draws, and the solvers' maps."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from operators import Convolution, Inpainting, kernels
from operators.base import LinearOperator
from pnp_recon import reconstruct
from pnp_recon.errors import InputError
from pnp_recon.fidelity import LeastSquares
from pnp_recon.networks.euler import EulerNet
from pnp_recon.priors.denoiser import Denoiser
from pnp_recon.solvers.core.stopping import Stopping
from pnp_recon.training.fixed_point.exercises import Exercise, blurred, draw, masked, posed
from support.fixed_points import SIDE, clean, exercises, net


def test_proximal_maps_are_those_of_the_fidelity() -> None:
    x, z = clean(), torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(0)).double()
    kernel = kernels.trajectory(9, 3, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    blur = blurred(x, [kernel], 0.0, generator)
    A = Convolution(kernel, (1, 32, 32))
    torch.testing.assert_close(blur.y, A.A(x))
    expected, _ = LeastSquares(A, blur.y).prox(z, 3.0)
    torch.testing.assert_close(blur.prox(z, 3.0), expected)
    missing = masked(x, [0.4, 0.4], 0.0, generator)
    for i in range(2):
        mask = Inpainting(missing.mask[i, 0], (1, 32, 32))
        y = mask.A(x[i : i + 1])
        expected, _ = LeastSquares(mask, y).prox(z[i : i + 1], 3.0)
        torch.testing.assert_close(missing.prox(z, 3.0)[i : i + 1], expected)


def test_every_picture_has_its_own_kernel() -> None:
    x = clean()
    two = [kernels.gaussian(1.2), kernels.linear_motion(9, 70)]
    both = blurred(x, two, 0.0, torch.Generator())
    for i, kernel in enumerate(two):
        torch.testing.assert_close(
            both.y[i], blurred(x[i : i + 1], [kernel], 0.0, torch.Generator()).y[0]
        )
    with pytest.raises(InputError, match="33×33 does not fit"):
        blurred(x, [kernels.gaussian(4)], 0.0, torch.Generator())


def test_draws_follow_from_the_seed_and_cover_all_kinds() -> None:
    found = [draw(clean(), 0.3, torch.Generator().manual_seed(seed)) for seed in range(40)]
    assert {p.name for p in found} == {"motion", "trajectory", "gaussian", "inpainting"}
    again = draw(clean(), 0.3, torch.Generator().manual_seed(7))
    assert torch.equal(again.data.y, found[7].data.y)
    assert again.level == found[7].level
    blurs = [p for p in found if p.name != "inpainting"]
    assert all(1.99 < 255 * p.noise_level < 15.01 for p in blurs)
    # γ = c (level/σ)², whatever the strength.
    assert all(p.coupling == pytest.approx(5.5 * (p.level / p.noise_level) ** 2) for p in blurs)
    assert min(p.noise_level for p in found) == 0.0
    drawn = draw(clean(), 1.0, torch.Generator().manual_seed(0))
    assert drawn.data.iteration.solver == "pnp-drs"
    assert 0 <= drawn.start().min() <= drawn.start().max() <= 1


# --- the iterations are the solvers' ---------------------------------------------------------


def operator_of(exercise: Exercise) -> LinearOperator:
    """What a solver is given for the exercise of one picture."""
    if exercise.name == "inpainting":
        return Inpainting(exercise.data.mask[0, 0], (1, SIDE, SIDE))
    return Convolution(kernels.linear_motion(7, 30, dtype=torch.float64), (1, SIDE, SIDE))


def single() -> list[Exercise]:
    generator, x = torch.Generator().manual_seed(1), clean(SIDE)[:1]
    kernel = kernels.linear_motion(7, 30, dtype=torch.float64)
    blur = blurred(x, [kernel], 8 / 255, generator)
    missing = masked(x, [0.5], 8 / 255, generator)
    return [posed("blur", blur, 8 / 255), posed("inpainting", missing, 8 / 255)]


def after(exercise: Exercise, network: EulerNet, steps: int) -> Tensor:
    z = exercise.start()
    for _ in range(steps):
        z = exercise.step(network, z)
    return exercise.image(z)


@pytest.mark.parametrize("exercise", single(), ids=lambda p: p.name)
@torch.no_grad()
def test_iterations_are_those_of_the_solver(exercise: Exercise) -> None:
    network = net()
    denoiser = Denoiser(network, "tiny")
    solution = reconstruct(
        exercise.data.y,
        operator_of(exercise),
        denoiser,
        solver=exercise.data.iteration.solver,
        acceleration="none",
        gamma=exercise.coupling,
        denoiser_level=exercise.level,
        relaxation=exercise.relaxation,
        start=exercise.start(),
        stopping=Stopping(max_iter=3, tol=1e-30),
    )
    assert solution.history.iterations == 3
    torch.testing.assert_close(after(exercise, network, 3), solution.image, rtol=0, atol=1e-12)
    # One step more is another picture: the comparison can fail.
    assert (after(exercise, network, 4) - solution.image).abs().max() > 1e-6


def written_out(exercise: Exercise, network: EulerNet, z: Tensor) -> Tensor:
    """The step as formulas, projection by clamping."""
    x = exercise.data.prox(z, exercise.coupling)
    if exercise.name == "inpainting":
        reflected = network(2 * x - z, exercise.level).clamp(0, 1)
        return z + exercise.relaxation * (reflected - z)
    return network(x, exercise.level).clamp(0, 1)


@pytest.mark.parametrize("exercise", exercises(), ids=lambda p: p.name)
def test_steps_and_their_gradients_are_the_formulas_bit_by_bit(exercise: Exercise) -> None:
    network = net()
    start = exercise.start().requires_grad_()
    parameters = [start, *network.parameters()]
    steps = (exercise.step(network, start), written_out(exercise, network, start))
    assert torch.equal(*steps)
    weights = torch.rand(start.shape, generator=torch.Generator().manual_seed(0)).double()
    ours, theirs = (torch.autograd.grad((z * weights).sum(), parameters) for z in steps)
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert all(float(a.abs().max()) > 0 for a in ours[:2])

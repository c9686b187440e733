"""That a solution exists is said only where it does; what has none for any picture is refused."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from laws.networks import picture, random_tensor
from laws.solvers import lossy_kernel
from operators import Convolution, Identity, Inpainting, LinearOperator, RayTransform, parallel_beam
from operators.norms import NormBound
from pnp_recon import reconstruct
from pnp_recon.errors import InputError
from pnp_recon.fidelity import Fidelity, Huber, KullbackLeibler, LeastSquares
from pnp_recon.proximal import L1, Box, Regulariser, Ridge, TotalVariation
from pnp_recon.proximal.base import no_error
from pnp_recon.solvers import PDHG, SIRT, Landweber, Stopping, total_variation_solver
from pnp_recon.solvers.convex.blocks import Block, box_block, composite_block, data_block
from pnp_recon.solvers.convex.existence import UNKNOWN, of_saddle_point
from pnp_recon.solvers.convex.objective import Objective
from pnp_recon.solvers.core.theorem import Basis, Premise

SIZE = (1, 6, 7)
CONFINED = ", which exists, pictures being confined to a box"
DOMAIN = "some picture of the box lies inside the domain of every term"


def counts(A: LinearOperator) -> Tensor:
    return (20 * A.A(picture(1, *A.image_shape))).round()


def masked() -> Inpainting:
    mask = torch.ones(SIZE, dtype=torch.bool)
    mask[0, 2, 3] = mask[0, 4, 4] = False
    return Inpainting(mask)


def half_seen() -> RayTransform:
    """A detector twice as wide as the picture: outer rays miss it."""
    return RayTransform(parallel_beam(5, 8, detector_count=40), (1, 8, 8))


def premises(solver: PDHG) -> dict[str, Basis]:
    return {premise.words: premise.basis for premise in solver.theorem().premises}


# ---- Kullback–Leibler without background ---------------------------------------------------------


@pytest.mark.parametrize("box", [(0.0, 1.0), (0.0, math.inf), None])
def test_counts_at_missing_pixels_are_refused(box: tuple[float, float] | None) -> None:
    A = masked()
    y = counts(A)
    y[0, 0, 2, 3] = 4
    solver = total_variation_solver(KullbackLeibler(A, y), 0.5, picture(1, *SIZE), box=box)
    with pytest.raises(InputError, match=r"1 of the 42 .* 4 at \(0, 0, 2, 3\).*background"):
        solver.theorem()
    # With a background every picture explains them, and without the count there is no quarrel.
    lit = replace(solver.blocks[0], outer=data_block(KullbackLeibler(A, y, 0.5)).outer)
    lit_solver = replace(solver, blocks=(lit, *solver.blocks[1:]))
    assert (CONFINED in sentence(lit_solver)) == (box == (0.0, 1.0))
    y[0, 0, 2, 3] = 0
    solver = total_variation_solver(KullbackLeibler(A, y), 0.5, picture(1, *SIZE), box=box)
    assert (CONFINED in sentence(solver)) == (box == (0.0, 1.0))


def sentence(solver: PDHG) -> str:
    return solver.theorem().statement


def test_counts_on_rays_that_miss_the_picture_are_refused() -> None:
    A = half_seen()
    y = counts(A)
    missing = (A.A(torch.ones(1, *A.image_shape)) == 0)[0]
    assert bool(missing.any())
    y[0, missing] = 1
    prior = TotalVariation(0.5, box=(0.0, 1.0))
    with pytest.raises(InputError, match=rf"explains {int(missing.sum())} of"):
        reconstruct(y, A, prior, fidelity=KullbackLeibler(A, y))
    y[0, missing] = 0
    few = Stopping(max_iter=20)
    found = reconstruct(y, A, prior, fidelity=KullbackLeibler(A, y), stopping=few)
    assert found.certificate.holds
    assert CONFINED in found.certificate.theorem.statement
    assert Premise(DOMAIN, Basis.PROVEN) in found.certificate.theorem.premises


def test_a_picture_that_must_be_dark_explains_no_counts() -> None:
    A = Identity(SIZE)
    fidelity = KullbackLeibler(A, counts(A) + 1)
    for box in ((0.0, 0.0), (-2.0, -1.0)):
        with pytest.raises(InputError, match="explains 42 of"):
            total_variation_solver(fidelity, 0.5, fidelity.y, box=box).theorem()
    # The middle of this box is negative, its bright end is not.
    assert CONFINED in sentence(total_variation_solver(fidelity, 0.5, fidelity.y, box=(-3.0, 1.0)))


class Differing(LinearOperator):
    """x ↦ x − s·(x turned by a column), whose entries are not all >= 0."""

    def __init__(self, share: float) -> None:
        super().__init__("differing", SIZE, SIZE)
        self.share = share

    def _forward_map(self, x: Tensor) -> Tensor:
        return x - self.share * x.roll(1, -1)

    def _transpose_map(self, y: Tensor) -> Tensor:
        return y - self.share * y.roll(-1, -1)

    def _prove_norm(self) -> NormBound:
        return NormBound(1 + self.share, 0.0, "triangle inequality", "bound")

    @property
    def has_norm_bound(self) -> bool:
        return True


@pytest.mark.parametrize(("share", "exists"), [(0.5, True), (1.0, False), (1.5, False)])
def test_operators_of_any_sign_are_tried(share: float, exists: bool) -> None:
    """The sum of x − turned x is zero: no picture has positive data everywhere, and none is found.

    It cannot be refused either, since nothing is proven of other pictures.
    """
    A = Differing(share)
    solver = total_variation_solver(
        KullbackLeibler(A, torch.ones(1, *SIZE)), 0.5, picture(1, *SIZE)
    )
    assert (CONFINED in sentence(solver)) == exists
    assert (UNKNOWN in sentence(solver)) != exists
    assert premises(solver).get(DOMAIN) == (Basis.CHECKED if exists else None)


# ---- the box is one of the problem ---------------------------------------------------------------


def test_a_box_beside_the_problem_confines_nothing() -> None:
    A = Identity(SIZE)
    y = picture(1, *SIZE)
    slopes = composite_block(TotalVariation(0.1), SIZE)
    solver = PDHG(None, (data_block(LeastSquares(A, y)), slopes), 0.1, (0.1, 0.1), y)
    aside = replace(solver, picture=Box(0.0, 1.0))
    assert UNKNOWN in sentence(aside)
    inside = replace(
        aside, blocks=(*solver.blocks, box_block(Box(0.0, 1.0), SIZE)), sigmas=(0.1, 0.1, 0.1)
    )
    assert CONFINED in sentence(inside)
    assert CONFINED in sentence(replace(solver, primal=Box(0.0, 1.0)))


def test_boxes_that_do_not_meet_and_boxes_without_end() -> None:
    A = Identity(SIZE)
    y = picture(1, *SIZE)
    blocks = (data_block(LeastSquares(A, y)), box_block(Box(2.0, 3.0), SIZE))
    with pytest.raises(InputError, match="give boxes that meet"):
        of_saddle_point(Box(0.0, 1.0), blocks, y)
    assert of_saddle_point(Box(0.0, 2.0), blocks, y).words != UNKNOWN
    assert of_saddle_point(Box(0.0, math.inf), blocks[:1], y).words == UNKNOWN
    assert of_saddle_point(Box(0.0, math.inf), blocks, y).words != UNKNOWN  # both together
    for low, high in ((math.inf, math.inf), (-math.inf, -math.inf), (1.0, 0.0)):
        with pytest.raises(InputError, match="expected low <= high"):
            Box(low, high)


# ---- terms of one's own --------------------------------------------------------------------------


@dataclass(frozen=True)
class Barrier(Regulariser):
    """−Σ log x, infinite outside x > 0."""

    name = "barrier"

    def value(self, x: Tensor) -> Tensor:
        return -x.log().flatten(1).sum(1).nan_to_num(nan=math.inf)

    def prox(self, x: Tensor, step: float, *, tol: float = 0.0) -> tuple[Tensor, Tensor]:
        return 0.5 * (x + (x * x + 4 * step).sqrt()), no_error(x)


@dataclass(frozen=True)
class Slope(Regulariser):
    """Σ x, finite everywhere, as it says of itself."""

    name = "slope"
    finite = True

    def value(self, x: Tensor) -> Tensor:
        return x.flatten(1).sum(1)

    def prox(self, x: Tensor, step: float, *, tol: float = 0.0) -> tuple[Tensor, Tensor]:
        return x - step, no_error(x)


@dataclass(frozen=True)
class Absolute(Fidelity):
    """‖A x − y‖₁: finite everywhere, not smooth."""

    name = "absolute"

    def loss(self, v: Tensor) -> Tensor:
        return (v - self.y).abs().flatten(1).sum(1)

    def loss_gradient(self, v: Tensor) -> Tensor:
        return (v - self.y).sign()

    def loss_prox(self, v: Tensor, step: float | Tensor) -> Tensor:
        r = v - self.y
        return self.y + r.sign() * (r.abs() - step).clamp_min(0)

    @property
    def loss_lipschitz(self) -> float:
        return math.inf


class Finite(Absolute):
    @property
    def finite(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("own", "basis"), [(Barrier(), None), (Slope(), Basis.DECLARED), (L1(0.1), Basis.PROVEN)]
)
def test_own_functionals_say_where_they_are_finite(own: Regulariser, basis: Basis | None) -> None:
    A = Identity(SIZE)
    fidelity = LeastSquares(A, picture(1, *SIZE))
    found = of_saddle_point(Box(), (data_block(fidelity), Block(A, own)), fidelity.y)
    assert [premise.basis for premise in found.premises] == ([] if basis is None else [basis])
    assert (found.words == UNKNOWN) == (basis is None)


@pytest.mark.parametrize(("kind", "exists"), [(Absolute, False), (Finite, True)])
def test_own_fidelities_say_where_they_are_finite(kind: type[Fidelity], exists: bool) -> None:
    A = Identity(SIZE)
    solver = total_variation_solver(kind(A, picture(1, *SIZE)), 0.1, picture(1, *SIZE))
    assert (CONFINED in sentence(solver)) == exists
    assert premises(solver)["g and the Fᵢ are convex, with exact proximal maps"] is Basis.DECLARED
    found = [basis for words, basis in premises(solver).items() if "finite everywhere" in words]
    assert found == [Basis.DECLARED] * exists


# ---- min f + g -----------------------------------------------------------------------------------


def shadow(A: LinearOperator, level: float) -> KullbackLeibler:
    """Counts of `level` over a background of 1: below it the loss falls for ever, or to a floor."""
    return KullbackLeibler(A, torch.full((1, *SIZE), level, dtype=torch.float64), 1.0)


@pytest.mark.parametrize("level", [0.0, 0.3, 1.0, 5.0])
def test_the_lower_bound_of_a_loss(level: float) -> None:
    fidelity = shadow(Identity(SIZE), level)
    v = torch.linspace(-50, 50, 200001, dtype=torch.float64)
    one = KullbackLeibler(Identity((1, 1, 1)), torch.full((1, 1, 1, 1), level).double(), 1.0)
    lowest = 42 * float(torch.cat([one.loss(x.reshape(1, 1, 1, 1)) for x in v[::50]]).min())
    bound = float(torch.as_tensor(fidelity.least).min())
    if level == 0:
        assert bound == -math.inf
    else:
        assert bound <= lowest <= bound + 1e-2
    assert bound >= 0 or level < 1 or bound == pytest.approx(0, abs=1e-6)


def test_coercive_only_where_the_loss_has_a_lower_bound() -> None:
    """Σ t + w‖x‖₁ with w < 1 falls without end for x → −∞: it has no minimiser."""
    A = Identity(SIZE)
    falling = Objective(shadow(A, 0.0), L1(0.5))
    values = [float(falling.value(torch.full((1, *SIZE), x).double())) for x in (-1.0, -1e3, -1e6)]
    assert values == sorted(values, reverse=True)
    assert values[-1] < -1e6
    assert falling.existence() == UNKNOWN
    assert falling.radius(torch.zeros(1, *SIZE, dtype=torch.float64)) is None
    assert "coercive" in Objective(shadow(A, 2.0), L1(0.5)).existence()
    assert "coercive" not in Objective(LeastSquares(A, picture(1, *SIZE)), L1(0.0)).existence()


def test_minimisers_lie_within_the_radius_of_a_shifted_loss() -> None:
    """With F ≥ 0 taken for granted the bound would be too small: F is negative here."""
    fidelity = shadow(Identity(SIZE), 0.05)
    objective = Objective(fidelity, Ridge(0.02))
    x = torch.zeros(1, *SIZE, dtype=torch.float64)
    for _ in range(4000):
        x = x - 5 * (fidelity.gradient(x) + 0.02 * x)
    assert float(objective.value(x)) < 0
    start = x + 0.1
    radius = objective.radius(start)
    assert radius is not None
    assert float((start - x).norm()) <= float(radius)


@pytest.mark.parametrize("box", [Box(0.0, math.inf), Box(-math.inf, math.inf)])
def test_boxes_without_end_are_not_compact(box: Box) -> None:
    A = Identity(SIZE)
    assert "piecewise" in Objective(Huber(A, picture(1, *SIZE), 0.1), box).existence()
    assert Objective(shadow(A, 2.0), box).existence() == UNKNOWN
    assert Objective(shadow(A, 2.0), Box()).existence() == CONFINED
    tv = TotalVariation(0.1, box=(box.low, box.high))
    # Behind the identity the fidelity would be strongly convex, and its minimiser unique.
    lossy = Convolution(lossy_kernel(), SIZE)
    assert Objective(LeastSquares(lossy, picture(1, *SIZE)), tv).existence() == UNKNOWN
    assert UNKNOWN in sentence(
        total_variation_solver(
            LeastSquares(A, picture(1, *SIZE)), 0.1, picture(1, *SIZE), box=(box.low, box.high)
        )
    )


def test_losses_with_a_domain_promise_nothing_by_themselves() -> None:
    A = Identity(SIZE)
    sharp = KullbackLeibler(A, counts(A))
    for g in (Box(), Ridge(1.0), L1(1.0)):
        assert Objective(sharp, g).existence() == UNKNOWN
        assert Objective(LeastSquares(A, sharp.y), g).existence() != UNKNOWN


@pytest.mark.parametrize("kind", [Landweber, SIRT])
@pytest.mark.parametrize("box", [None, (0.0, 1.0), (0.0, math.inf), (-math.inf, 0.5)])
def test_least_squares_over_a_polyhedron_has_a_minimiser(
    kind: type[Landweber] | type[SIRT], box: tuple[float, float] | None
) -> None:
    """Frank & Wolfe: true for boxes without end as well; the iterates settle there."""
    A = Convolution(torch.full((1, 3), 1 / 3, dtype=torch.float64), SIZE)
    fidelity = LeastSquares(A, random_tensor(1, *SIZE))
    solver = kind(fidelity, torch.zeros(1, *SIZE, dtype=torch.float64), box)
    assert "which exists (Frank & Wolfe 1956)" in solver.theorem().statement

"""The studies of equivariance: drawing, loss, sizes, resuming, tables."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
import torch
from torch import Tensor
from torch.autograd.gradcheck import GradcheckError

from operators.base import LinearOperator
from pnp_recon.errors import InputError
from scripts.protocol import Rows
from scripts.studies.equivariance.denoiser import (
    NETWORKS,
    RectanglesRecipe,
    RectanglesTrainer,
    build,
    loss,
    parameters,
    psnrs,
)
from scripts.studies.equivariance.inpainting import table as inpainting_table
from scripts.studies.equivariance.inpainting_methods import (
    SIZE,
    Errors,
    Method,
    errors,
    masks,
    relative,
)
from scripts.studies.equivariance.rectangles_report import curve_band, table
from scripts.studies.equivariance.rectangles_runs import RATES, SEEDS, tuned
from scripts.studies.equivariance.scenes import Scenes, draw, random_scenes
from scripts.studies.equivariance.scores import equivariance_error, turned


def scenes(count: int = 3, seed: int = 0) -> Scenes:
    return random_scenes(count, torch.Generator().manual_seed(seed))


# ---- drawing --------------------------------------------------------------------------------


@pytest.mark.parametrize("quarter", [1, 2, 3])
def test_scenes_turned_by_90_degrees_are_turned_pictures(quarter: int) -> None:
    found = scenes()
    upright = draw(found)
    angled = draw(found, torch.full((3,), 90.0 * quarter), fine=2)
    torch.testing.assert_close(angled, torch.rot90(upright, quarter, (2, 3)), rtol=0, atol=2e-6)
    # The other way round it is another picture.
    assert (angled - torch.rot90(upright, quarter + 1, (2, 3))).abs().max() > 0.1


def test_other_angles_turn_the_same_way() -> None:
    wide = random_scenes(2, torch.Generator().manual_seed(1), 120)
    angled = draw(wide, torch.full((2,), 30.0), size=120, fine=4)
    middle = (..., slice(40, 80), slice(40, 80))
    error = [(turned(draw(wide, size=120), a) - angled)[middle].abs().mean() for a in (30, -30)]
    assert error[0] < 0.01  # bicubic against the mean over each pixel
    assert error[1] > 0.1


def test_edges_are_sharp_upright_and_blended_turned() -> None:
    found = scenes(1)
    colours = {tuple(c) for c in found.colours[0].tolist()}
    upright = {tuple(c) for c in draw(found)[0].flatten(1).T.tolist()}
    angled = {tuple(c) for c in draw(found, torch.tensor([20.0]))[0].flatten(1).T.tolist()}
    assert upright <= colours
    assert not angled <= colours


def test_scenes_follow_the_seed() -> None:
    assert torch.equal(draw(scenes(seed=4)), draw(scenes(seed=4)))
    assert not torch.equal(draw(scenes(seed=4)), draw(scenes(seed=5)))


# ---- loss and networks ----------------------------------------------------------------------


def test_gradient_of_the_loss() -> None:
    error = 0.1 * torch.randn(1, 2, 5, 4, dtype=torch.float64, generator=torch.manual_seed(0))
    error.requires_grad_()
    assert torch.autograd.gradcheck(lambda e: loss(e, 0.3), error)
    with pytest.raises(GradcheckError):  # ½‖·‖² alone is another one
        torch.autograd.gradcheck(lambda e: loss(e, 0.3) - loss(e.detach(), 0.3) * e.sum(), error)


def test_total_variation_sees_steps_only() -> None:
    flat = torch.full((1, 1, 4, 4), 0.5)
    step = flat.clone()
    step[..., 2:] = -0.5
    assert float(loss(flat, 1.0)) == pytest.approx(0.125)
    assert float(loss(step, 1.0)) == pytest.approx(0.125 + 4 * 0.999 / 16, rel=1e-5)


def test_sizes_of_the_networks() -> None:
    assert parameters(build("ordinary", 0)) == pytest.approx(740_000, rel=0.02)
    assert parameters(build("equivariant", 0)) == pytest.approx(63_000, rel=0.03)
    assert parameters(build("equivariant", 0, blocks=9)) != pytest.approx(63_000, rel=0.03)
    assert parameters(build("harmonic", 0)) == pytest.approx(740_000 * 6 / 9, rel=0.02)


def test_the_control_has_the_filters_of_the_tied_network_and_not_its_ties() -> None:
    def span(name: str) -> Tensor:
        weight = cast(Tensor, build(name, 0, blocks=1).double().blocks[0].first.weight)
        return torch.linalg.svd(weight.detach().flatten(0, 1).flatten(1), full_matrices=False).Vh

    harmonic, tied = span("harmonic")[:6], span("equivariant")[:6]
    torch.testing.assert_close(harmonic.T @ harmonic, tied.T @ tied, rtol=0, atol=1e-9)
    values = {
        name: torch.linalg.svdvals(
            cast(Tensor, build(name, 0, blocks=1).double().blocks[0].first.weight)
            .detach().flatten(0, 1).flatten(1)
        )
        for name in NETWORKS
    }  # fmt: skip
    assert float(values["harmonic"][6]) < 1e-9
    assert float(values["equivariant"][6]) < 1e-9
    assert float(values["ordinary"][6]) > 0.1  # all nine dimensions


def test_only_the_tied_network_commutes_with_quarter_turns() -> None:
    """Freshly made, with one block; its correction is compared, not its nearly equal picture."""
    errors_of = {
        name: equivariance_error(build(name, 0, blocks=1).double(), 0.1, 90, count=1)
        for name in NETWORKS
    }
    assert errors_of["equivariant"] < 1e-12
    assert errors_of["ordinary"] > 0.05
    assert errors_of["harmonic"] > 0.05


# ---- training -------------------------------------------------------------------------------


def trainer(folder: Path, recipe: RectanglesRecipe) -> RectanglesTrainer:
    return RectanglesTrainer(build("equivariant", 1, blocks=1), recipe, folder)


def test_a_stopped_run_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    recipe = RectanglesRecipe(steps=3, batch=1, seed=1)
    whole = trainer(tmp_path / "whole", recipe)
    assert whole.run(lambda _: None, every=3)
    halves = trainer(tmp_path / "halves", recipe)
    assert not halves.run(lambda _: None, every=3, stop=lambda: halves.step == 2)
    again = trainer(tmp_path / "halves", recipe)
    assert again.step == 2
    assert again.run(lambda _: None, every=3)
    other = trainer(tmp_path / "other", replace(recipe, seed=2))
    other.run(lambda _: None, every=3)
    same = [torch.equal(a, b) for a, b in weights(whole, again)]
    assert all(same)
    assert not all(torch.equal(a, b) for a, b in weights(whole, other))
    with pytest.raises(InputError, match="another recipe"):
        trainer(tmp_path / "halves", replace(recipe, tv_weight=0.1))


def weights(a: RectanglesTrainer, b: RectanglesTrainer) -> list[tuple[Tensor, Tensor]]:
    return list(zip(a.average.parameters(), b.average.parameters(), strict=True))


def test_psnr_of_a_known_error() -> None:
    truth = torch.full((1, 3, 4, 4), 0.5)
    assert float(psnrs(truth + 0.1, truth)) == pytest.approx(20, abs=1e-4)
    assert float(psnrs(truth + 5, truth)) == pytest.approx(6.0206, abs=1e-3)  # clipped at 1


# ---- tables ---------------------------------------------------------------------------------


def made_up(path: Path) -> Rows:
    rows = Rows(path)
    for rate in RATES:
        for name in NETWORKS:
            value = 30 + rate if name == "ordinary" else 31 - rate * 1000
            rows.add(task="rate", network=name, rate=rate, psnr_val=value)
    for seed in SEEDS:
        for name, gain in (("ordinary", 0.0), ("equivariant", 2.0)):
            rows.add(
                task="run", budget="short", network=name, seed=seed, rate=1e-3, steps=300, batch=4,
                sigma=0.1, parameters=1000, psnr_grid=30.0 + seed, psnr_turned=20.0 + gain + seed,
                error_90=1e-7, error_45=0.25, seconds=120.0,
                curve={"step": [1, 2], "psnr_grid": [1.0 * seed, 2.0 * seed],
                       "psnr_turned": [0.0, 1.0]},
            )  # fmt: skip
    return rows


def test_table_gives_means_and_spreads(tmp_path: Path) -> None:
    rows = made_up(tmp_path / "rows.jsonl")
    text = table(rows, "short")
    # 0 … 4 have mean 2 and standard deviation (n − 1) 1.58.
    assert "| equivariant | 1 000 | 32.00 ± 1.58 | 24.00 ± 1.58 |" in text
    assert "| ordinary | 1 000 | 32.00 ± 1.58 | 22.00 ± 1.58 |" in text
    assert "300 steps of 4" in text
    rows.rows = [row for row in rows.rows if row.get("seed") != 3]
    assert "4 of 5 seeds" in table(rows, "short")
    assert "4 of 5 seeds" not in text


def test_the_rate_is_the_best_of_both_networks(tmp_path: Path) -> None:
    rows = made_up(tmp_path / "rows.jsonl")
    assert tuned(rows) == min(RATES)
    empty = Rows(tmp_path / "none.jsonl")
    with pytest.raises(SystemExit, match="run `rate` first"):
        tuned(empty)


def test_curves_span_the_seeds(tmp_path: Path) -> None:
    steps, mean, low, high = curve_band(made_up(tmp_path / "rows.jsonl"), "ordinary", "short")
    assert steps == [1, 2]
    assert (mean, low, high) == ([2.0, 4.0], [0.0, 0.0], [4.0, 8.0])


# ---- inpainting -----------------------------------------------------------------------------


def filled(y: Tensor, A: LinearOperator) -> Tensor:
    return A.initial_guess(y)


@pytest.mark.parametrize("name", ["block", "half"])
def test_a_fixed_mask_breaks_what_a_turned_mask_keeps(name: str) -> None:
    x = torch.rand(1, 1, SIZE, SIZE, dtype=torch.float64, generator=torch.manual_seed(0))
    found = errors(Method("filled", filled, torch.relu), masks()[name], x)
    assert found.prox == 0
    assert found.turned < 1e-12
    assert found.fixed > 0.1


def test_errors_see_a_map_that_does_not_commute() -> None:
    x = torch.rand(1, 1, SIZE, SIZE, dtype=torch.float64, generator=torch.manual_seed(0))
    found = errors(Method("moved", lambda y, A: y.roll(1, 2), lambda z: z.roll(1, 2)),
                   masks()["block"], x)  # fmt: skip
    assert found.prox > 0.1
    assert found.turned > 0.1


def test_relative_error_and_its_table() -> None:
    assert relative(torch.tensor([3.0, 0.0]), torch.tensor([2.0, 0.0])) == 0.5
    text = inpainting_table([("block", "TV", Errors(1e-16, 2e-12, 0.3))])
    assert "| block | TV | 1.0e-16 | 2.0e-12 | **3.0e-01** |" in text

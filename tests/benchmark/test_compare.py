"""Comparison of two runs or two methods: what moved is found, what did not is not claimed."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from pnp_recon.benchmark.cells import Cell, Degradation, Plan
from pnp_recon.benchmark.compare import compare, compare_methods, holm, signed_rank
from pnp_recon.benchmark.compare_text import lines, markdown
from pnp_recon.benchmark.store import Results
from pnp_recon.errors import InputError
from support.benchmark_rows import LEVELS, plan, results

TWELVE = tuple((f"test/{i}.jpg", i) for i in range(12))


def psnr(cell: Cell) -> float:
    """Pictures differ by decibels, as real ones do."""
    return LEVELS[cell.method] + 4 * random.Random(cell.picture).gauss(0, 1)


def run(
    folder: Path,
    shift: Callable[[Cell], float] = lambda cell: 0.0,
    change: Callable[[Cell], Mapping[str, Any]] = lambda cell: {},
    of: Plan | None = None,
) -> Results:
    of = plan(pictures=TWELVE, methods=("tv", "euler", "dncnn")) if of is None else of
    return results(folder, of, lambda cell: {"psnr": psnr(cell) + shift(cell), **change(cell)})


def jitter(cell: Cell) -> float:
    return random.Random(f"jitter {cell.key}").gauss(0, 0.05)


def test_a_planted_shift_is_found_and_noise_is_not(tmp_path: Path) -> None:
    before = run(tmp_path / "before")
    after = run(tmp_path / "after",
                lambda cell: jitter(cell) + (0.1 if cell.method == "euler" else 0.0))  # fmt: skip
    found = compare(before, after)
    assert len(found.groups) == 9
    assert {group.method for group in found.moved} == {"euler"}
    assert len(found.moved) == 3
    for group in found.moved:
        assert group.difference.mean == pytest.approx(0.1, abs=0.05)
        assert group.p_value is not None
        assert group.corrected is not None
        assert group.p_value < group.corrected < 0.05
        assert group.better > group.worse
    text = "\n".join(lines(found))
    assert sum(": moved, +" in line for line in lines(found)) == 3
    assert "no difference shown" in text
    assert "3 of 9 groups moved (3 up, 0 down" in text
    assert markdown(found).count("| moved |") == 3


def test_noise_alone_moves_nothing(tmp_path: Path) -> None:
    found = compare(run(tmp_path / "before"), run(tmp_path / "after", jitter))
    assert found.moved == []
    assert "nothing moved in 9 groups" in lines(found)[-1]
    assert ": moved" not in "\n".join(lines(found))


def test_equal_runs_say_so(tmp_path: Path) -> None:
    found = compare(run(tmp_path / "before"), run(tmp_path / "after", lambda cell: 1e-6))
    assert {group.equal for group in found.groups} == {12}
    assert all(group.p_value is None for group in found.groups)
    assert "unchanged: all differences are zero (within 0.0001 dB), 12 pictures" in lines(found)[1]
    assert found.manifests == ()
    assert "nan" not in markdown(found)


def test_few_pairs_have_no_test(tmp_path: Path) -> None:
    few = plan(pictures=TWELVE[:5], methods=("tv",))
    found = compare(run(tmp_path / "a", of=few), run(tmp_path / "b", lambda cell: 1.0, of=few))
    assert found.moved == []
    assert "only 5 of 6 pairs needed differ" in found.groups[0].reason
    assert "+1.000 ± 0.000 dB (5 better, 0 worse, 0 equal); no test" in lines(found)[1]


def test_changes_of_status_certificate_model_and_parameters_are_named(tmp_path: Path) -> None:
    def change(cell: Cell) -> dict[str, Any]:
        if cell.method == "dncnn" and cell.index < 3:
            return {"status": "diverged", "psnr": None}
        if cell.method == "euler":
            return {"model_sha256": "cd" * 32, "parameters": {"weight": 0.5}}
        return {"certificate": "no guarantee"} if cell.method == "tv" else {}

    found = compare(run(tmp_path / "before"), run(tmp_path / "after", change=change))
    said = {group.method: group.changes for group in found.groups if group.noise == 25}
    assert said["dncnn"] == ("status: done → diverged on 3 pictures",)
    assert said["tv"] == ("certificate: certified → no guarantee on 12 pictures",)
    assert said["euler"] == (
        "model: abababababab → cdcdcdcdcdcd on 12 pictures",
        "parameters: none → weight 0.5 on 12 pictures",
    )
    dncnn = next(group for group in found.groups if group.method == "dncnn")
    assert dncnn.difference.count == 9
    assert "model: abababababab" in markdown(found)
    assert lines(found)[-1].endswith("changed in 9.")


def test_strengths_chosen_for_each_picture_are_no_change_of_parameters(tmp_path: Path) -> None:
    def change(cell: Cell) -> dict[str, Any]:
        return {"parameters": {"weight": 0.5, "strength": 1 + cell.index}}

    found = compare(run(tmp_path / "before"), run(tmp_path / "after", change=change))
    for group in found.groups:
        assert group.changes == ("parameters: none → weight 0.5 on 12 pictures",)


def test_what_only_one_run_has_and_how_the_runs_differ(tmp_path: Path) -> None:
    before = run(tmp_path / "before")
    other = plan(pictures=TWELVE[:10], methods=("tv", "dncnn"), seed=7,
                 degradations=(Degradation("gaussian noise", 15.0),))  # fmt: skip
    after = run(tmp_path / "after", change=lambda cell: {"revision": "fedcba9", "seconds": 0.04},
                of=other)  # fmt: skip
    found = compare(before, after)
    assert found.only_after == ()
    assert "denoise, gaussian noise, σ·255 = 25, tv" in found.only_before
    assert "denoise, gaussian noise, σ·255 = 15, tv: 2 more pictures" in found.only_before
    assert "seed: 0 → 7" in found.manifests
    assert "revision: 0123abc → fedcba9" in found.manifests
    assert "rows: 108 of 108 → 20 of 20" in found.manifests
    assert found.groups[0].time_ratio == pytest.approx(2.0)
    assert "Only in" in markdown(found)
    assert "seed: 0 → 7" in "\n".join(lines(found))


def test_two_methods_of_one_run(tmp_path: Path) -> None:
    mine = run(tmp_path / "run", jitter)
    found = compare_methods(mine, "euler", "dncnn")
    assert [group.method for group in found.groups] == ["euler → dncnn"] * 3
    assert len(found.moved) == 3
    assert found.groups[0].difference.mean == pytest.approx(0.4, abs=0.1)
    assert found.groups[0].changes == ("certificate: certified → no guarantee on 12 pictures",)
    assert all(group.equal == 12 for group in compare_methods(mine, "tv", "tv").groups)
    with pytest.raises(InputError, match="no method 'bm3d'; it has tv, euler, dncnn"):
        compare_methods(mine, "tv", "bm3d")


def test_runs_without_a_common_cell(tmp_path: Path) -> None:
    other = plan(methods=("median",))
    found = compare(run(tmp_path / "a"), run(tmp_path / "b", of=other))
    assert found.groups == ()
    assert "no cell in common" in lines(found)[-1]
    assert "no cell in common" in markdown(found)


def test_holm_by_hand() -> None:
    # Holm (1979): 3·0.01, 2·0.02 and 1·0.04, none below the one before.
    assert holm([0.04, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_the_signed_rank_test_by_hand() -> None:
    # Six differences of one sign: 2 of the 2⁶ signs are as far out.
    assert signed_rank([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]) == (pytest.approx(2 / 64), "")
    assert signed_rank([])[1] == "no picture has a PSNR in both"
    assert signed_rank([0.0, 1e-5])[1].startswith("all differences are zero")

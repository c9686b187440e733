"""`pnp-recon verify`: what is true passes, and what cannot be checked is not counted as true."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from operators import parallel_beam
from pnp_recon.cli import ct, deblur, inpaint
from pnp_recon.cli.catalogue import COMMANDS
from pnp_recon.cli.deblur.options import DeblurOptions
from pnp_recon.cli.listing import main
from pnp_recon.cli.reconstructions import RECONSTRUCTIONS, rebuilt
from pnp_recon.errors import InputError
from pnp_recon.models.export import export
from pnp_recon.report import plain_json
from support.blurred import save
from support.cli import light, only_line
from support.ct_files import SIZE, save_archive, save_counts, save_lines
from support.unrolled import random_network, small
from support.verified import QUICK, UNRUN, Good, Plain, claims, exported, failing

# ---- what is true ---------------------------------------------------------------------------


def test_a_good_deblurring_is_verified_to_the_last_claim(
    good: Good, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(good.report), "--attack-steps", "2"]) == 0
    out = capsys.readouterr()
    assert out.err.startswith("running pnp-deblur again, which took about ")
    assert out.err.endswith("when it was made; --no-run leaves this out\n")
    assert "FAILED" not in out.out
    *lines, last = out.out.splitlines()
    assert last == f"{len(lines) - 1} claims hold, 0 failed, 0 not checked"
    for said in ("verdict", "input file", "proof of denoiser tiny", "run: picture", "schema"):
        assert f"  holds        {said}" in lines
    found = claims(capsys, good.report / "report.json", *QUICK)
    assert all(one["holds"] for one in found.values())
    assert found["run: constant coupling γ"]["stated"] == found["run: constant coupling γ"]["found"]


@pytest.mark.parametrize(
    "more", [["--method", "tv"], ["--max-iter", "5"], ["--acceleration", "km", "--ridge", "0.1"]]
)
def test_a_good_inpainting_is_verified(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    source, model = save(tmp_path / "a.png", 3), exported(tmp_path, 1, 3)
    denoiser = [] if "tv" in more else ["--denoiser", str(model)]
    args = [str(source), "--simulate", "--sigma", "0.02", "--tol", "1e-3", *more, *denoiser]
    assert inpaint.main([*args, "--report", str(tmp_path / "r"), "-q"]) in (0, 3)
    found = claims(capsys, tmp_path / "r", *QUICK)
    open_ = [what for what, one in found.items() if one["holds"] is None]
    assert open_ == (["regulariser total-variation"] if "tv" in more else [])


@pytest.mark.parametrize("slices", [1, 5])
@pytest.mark.parametrize("method", ["pnp", "tv", "fbp", "sirt"])
def test_a_good_tomography_is_verified(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], method: str, slices: int
) -> None:
    """Five slices are solved in three parts, whose histories are then one."""
    source, model = save_lines(tmp_path / "a.npz", slices), exported(tmp_path, 1)
    args = ["--max-iter", "8", "--method", method]
    if method == "pnp":
        args += ["--denoiser", str(model), "--acceleration", "none"]
    args = [*args[2:], *([] if method == "fbp" else args[:2])]
    assert ct.main([str(source), *args, "--report", str(tmp_path / "r"), "-q"]) in (0, 3)
    found = claims(capsys, tmp_path / "r", *QUICK)
    assert found["run: picture"]["holds"]


def test_a_learned_reconstruction_is_counted_and_repeated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is proven of it, and nothing is claimed."""
    trained_on = {
        "operator": "RayTransform",
        "geometry": parallel_beam(20, SIZE, pixel_mm=1.5).to_dict(),
        "image_shape": [1, SIZE, SIZE],
        "window_hu": [-1024, 1500],
        "incident": 1e4,
        "other_geometry": "refuse",
    }
    network = random_network(small(depth=2), torch.float32)
    model = export(network, tmp_path, "net", trained_on, {})
    args = [str(save_archive(tmp_path / "a.npz")), "--simulate", "--index", "0", "--views", "20"]
    args += ["--photons", "1e4", "--model", str(model), "--report", str(tmp_path / "r"), "-q"]
    assert ct.main(args) == 0
    found = claims(capsys, tmp_path / "r", *QUICK)
    assert all(one["holds"] for one in found.values())
    assert found["run: verdict"]["stated"] == "no guarantee"


def test_a_classical_denoiser_is_asked_what_it_proves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = save(tmp_path / "a.png", 1)
    args = [str(source), "--length", "5", "--angle", "0", "--boundary", "circular", "-q"]
    args += ["--denoiser", "wavelet", "--max-iter", "5", "--report", str(tmp_path / "r")]
    assert deblur.main(args) in (0, 3)
    found = claims(capsys, tmp_path / "r", *QUICK)
    assert all(one["holds"] for one in found.values())
    assert found["α of wavelet"]["stated"] == found["α of wavelet"]["found"] != "nothing"


def test_each_report_of_a_batch_is_verified_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    for seed, name in enumerate(("a.png", "b.png")):
        save(tmp_path / "in" / name, 1, seed)
    args = [str(tmp_path / "in"), "--length", "5", "--angle", "0", "--method", "tv", "-q"]
    args += ["--reference", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--max-iter", "5"]
    assert deblur.main([*args, "--report", str(tmp_path / "r")]) == 3
    for name in ("a", "b"):
        found = claims(capsys, tmp_path / "r" / name)
        assert found["run: picture"]["holds"]
        assert found["run: quality"]["holds"]
        assert found["reference file"]["holds"]


def test_counts_and_lost_files_are_found_where_they_lie_now(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = save_counts(tmp_path / "a.h5")
    args = [str(source), "--method", "tv", "--max-iter", "5", "--report", str(tmp_path / "r")]
    assert ct.main([*args, "-q"]) == 3
    moved = source.rename(tmp_path / "moved.h5")
    found = claims(capsys, tmp_path / "r")
    assert found["input file"]["holds"] is None
    assert "say --input input=PATH" in found["input file"]["reason"]
    assert found["run"]["holds"] is None
    for given in (str(moved), f"input={moved}"):
        found = claims(capsys, tmp_path / "r", "--input", given)
        assert found["input file"]["holds"]
        assert found["run: picture"]["holds"]


def test_a_mask_that_moved_is_read_where_it_lies_now(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, mask = save(tmp_path / "a.png", 1), tmp_path / "mask.png"
    known = np.full((48, 64), 255, np.uint8)
    known[20:28, 30:40] = 0
    Image.fromarray(known).save(mask)
    args = [str(source), "--mask", str(mask), "--method", "tv", "--max-iter", "5", "-q"]
    assert inpaint.main([*args, "--weight", "0.02", "--report", str(tmp_path / "r")]) == 3
    moved = mask.rename(tmp_path / "elsewhere.png")
    assert claims(capsys, tmp_path / "r")["run"]["holds"] is None
    found = claims(capsys, tmp_path / "r", "--input", f"mask={moved}")
    assert found["mask file"]["holds"]
    assert found["run: picture"]["holds"]


# ---- what cannot be checked -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda p: p.update(program=None), "no command of this version"),
        (lambda p: p["environment"].update(device="cuda:0"), "which is not here"),
        (lambda p: p["options"].pop("seed"), "the options lack seed"),
        (lambda p: p["options"].update(turbo=True), "the options hold turbo"),
        (lambda p: p["options"].update(solver="pnp-xyz"), "the option solver is 'pnp-xyz'"),
        (lambda p: p["options"].update(strength="-1"), "--strength"),
    ],
)
def test_a_run_that_cannot_be_repeated_is_not_counted_as_true(
    good: Good,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Plain], object],
    words: str,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    good.edit(change)
    found = claims(capsys, good.report, *QUICK)
    assert found["run"]["holds"] is None
    assert words in found["run"]["reason"]
    assert main(["verify", str(good.report), *QUICK]) == 0
    assert capsys.readouterr().out.endswith("0 failed, 1 not checked\n")
    # Who wants everything checked is told what was not.
    assert f"run: not checked, {words}"[:18] in failing(capsys, good.report, *QUICK, "--strict")


def test_another_machine_may_count_differently(
    good: Good, capsys: pytest.CaptureFixture[str]
) -> None:
    def elsewhere(plain: Plain) -> None:
        plain["environment"]["threads"] = 999
        plain["status"]["iterations"] += 1
        for rows in plain["history"].values():
            if isinstance(rows, list) and len(rows) == plain["status"]["iterations"] - 1:
                rows.append(rows[-1])

    good.edit(elsewhere)
    found = claims(capsys, good.report, *QUICK, code=4)  # the appended row has no bound of its own
    assert found["run: iterations"]["holds"] is None
    assert "another machine" in found["run: iterations"]["reason"]
    good.edit(lambda plain: plain["environment"].update(threads=torch.get_num_threads()))
    assert claims(capsys, good.report, *QUICK, code=4)["run: iterations"]["holds"] is False


def test_a_strict_reader_hears_first_of_what_failed(
    good: Good, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(good.report), *QUICK, "--strict", "-q"]) == 0
    assert "run: not checked, it was not asked for" in failing(
        capsys, good.report, *UNRUN, "--strict"
    )
    good.edit(lambda plain: plain["status"].update(message="so"))
    assert "words of the status" in failing(capsys, good.report, *UNRUN, "--strict")


# ---- what is neither, and the command itself ------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "cannot be read"),
        ("[]", "neither a report nor a model card"),
        ('{"a": 1}', "neither a report nor a model card"),
        ('{"schema_version": "1.0"}', "follows schema 1.0; expected"),
        ('{"schema_version": NaN}', "holds NaN, which is no JSON"),
    ],
)
def test_files_that_are_neither(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: str
) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    assert main(["verify", str(path)]) == 2
    assert words in only_line("pnp-recon", capsys.readouterr().err)


def test_refusals(good: Good, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for args, words in (
        ([str(tmp_path)], "is a folder without a report.json"),
        (["no_such_model"], "no report and no model 'no_such_model'; expected a report.json"),
        ([str(good.model), "--input", str(good.source)], "--input goes with a report"),
        ([str(good.model), "--strict"], "--strict goes with a report"),
        ([str(good.report), "--input", "mask=none.png"], "none.png is no file"),
        ([str(good.report), "--input", "a", "--input", "a"], "a is no file"),
        (
            [str(good.report), "--input", str(good.source), "--input", f"input={good.source}"],
            "names the input twice",
        ),
    ):
        assert main(["verify", *args]) == 2
        assert words in only_line("pnp-recon", capsys.readouterr().err)


def test_every_command_that_reconstructs_can_be_repeated() -> None:
    for name, entry in RECONSTRUCTIONS.items():
        assert entry.load().program == name
        assert COMMANDS[name].home.partition(":")[0] == entry.home.partition(":")[0]
    modules = {
        name: import_module(entry.home.partition(":")[0]) for name, entry in COMMANDS.items()
    }
    reconstruct = {name for name, module in modules.items() if hasattr(module, "COMMAND")}
    assert reconstruct == set(RECONSTRUCTIONS)


def test_options_survive_a_report() -> None:
    options = DeblurOptions(["a.png"], reference=Path("b.png"), tol=1e-3, length=3)
    again = rebuilt(DeblurOptions, plain_json(vars(options)))
    assert again == options
    assert isinstance(again.reference, Path)
    assert again.boundary is options.boundary
    for name, value in (("tol", "1e-3"), ("simulate", 1), ("inputs", "a.png"), ("seed", True)):
        with pytest.raises(InputError, match=f"the option {name} is"):
            rebuilt(DeblurOptions, {**plain_json(vars(options)), name: value})


def test_the_command_loads_nothing_heavy() -> None:
    light("import pnp_recon.cli.verify, pnp_recon.cli.reconstructions", {"torch", "numpy", "rich"})

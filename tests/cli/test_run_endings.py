"""The shared run, by `pnp-deblur`: exit codes, certificates, Ctrl-C, defects."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from pnp_recon import guarantees
from pnp_recon.cli.deblur import main
from pnp_recon.cli.run.session import Session
from pnp_recon.priors.denoiser import Denoiser
from support.blurred import DONE, ENDLESS, FAST, FIXED, save
from support.cli import Load, only_line, smooth

pytestmark = pytest.mark.usefixtures("tiny_denoiser")


def test_iteration_limit_is_code_3_and_the_picture_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = save(tmp_path / "a.png", 1)
    assert main([str(source), *FAST, *ENDLESS]) == 3
    assert (tmp_path / "a_deblurred.png").exists()
    assert "iteration limit" in capsys.readouterr().err


def test_what_is_wrong_with_the_input_is_said_before_the_run_and_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], load: Load
) -> None:
    heard = []

    def listening(x: torch.Tensor, sigma: float) -> torch.Tensor:
        heard.append(capsys.readouterr().err)
        return smooth(x, sigma)

    load(Denoiser(listening, "mean", guarantees.firm("a mean")))
    source = tmp_path / "a.jpg"
    with Image.open(save(tmp_path / "a.png", 3)) as picture:
        picture.convert("CMYK").save(source)
    assert main([str(source), *FAST, *ENDLESS]) == 3
    later = "".join(heard[1:]) + capsys.readouterr().err
    assert "is in CMYK" in heard[0]
    assert "is in CMYK" not in later
    # The twin: what only the run can tell.
    assert "iteration limit" not in heard[0]
    assert "iteration limit" in later


def test_ctrl_c_writes_what_there_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], load: Load
) -> None:
    calls = []

    def interrupted(x: torch.Tensor, sigma: float) -> torch.Tensor:
        calls.append(0)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return smooth(x, sigma)

    load(Denoiser(interrupted, "mean", guarantees.firm("a mean")))
    first, second = save(tmp_path / "a.png", 1), save(tmp_path / "b.png", 1)
    assert main([str(first), str(second), *FAST, *ENDLESS]) == 3
    err = capsys.readouterr().err
    assert "interrupted; the picture is the last iterate" in err
    assert "1 files were not begun" in err
    assert (tmp_path / "a_deblurred.png").exists()
    assert not (tmp_path / "b_deblurred.png").exists()


def test_ctrl_c_before_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Session, "prior", interrupt)
    source = save(tmp_path / "a.png", 1)
    assert main([str(source), *FAST, "--quiet"]) == 130
    assert "nothing was written" in only_line("pnp-deblur", capsys.readouterr().err)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


INTERRUPTED_RUN = """
import os, signal, sys
from pnp_recon import guarantees
from pnp_recon.cli.run.session import Session
from pnp_recon.priors.denoiser import Denoiser

# A shell's background jobs are born deaf to Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
calls = []

def interrupting(x, sigma):
    calls.append(x)
    if len(calls) == 3:
        os.kill(os.getpid(), signal.SIGINT)
    return x

denoiser = Denoiser(interrupting, "slow", guarantees.firm("identity"))
Session.prior = lambda *_: denoiser
from pnp_recon.cli.deblur import main
sys.exit(main(sys.argv[1:]))
"""


def test_interrupt_before_the_first_iteration_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], load: Load
) -> None:
    calls: list[torch.Tensor] = []

    def at_once(x: torch.Tensor, sigma: float) -> torch.Tensor:
        calls.append(x)
        if len(calls) >= patience:
            raise KeyboardInterrupt
        return smooth(x, sigma)

    load(Denoiser(at_once, "mean", guarantees.firm("a mean")))
    source = save(tmp_path / "a.png", 1)
    patience = 1
    assert main([str(source), *FAST]) == 130
    out = capsys.readouterr()
    assert "nothing was written" in out.err
    assert "certified" not in out.out
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    patience = len(calls) + 30  # after some iterations there is a picture, and it is written
    assert main([str(source), *FAST, *ENDLESS]) == 3
    assert (tmp_path / "a_deblurred.png").exists()


def test_sigint_to_the_process(tmp_path: Path) -> None:
    source = save(tmp_path / "a.png", 1)
    args = [str(source), "--sigma", "0.01", "--length", "7", "--angle", "20", *FIXED, *ENDLESS]
    command = [sys.executable, "-c", INTERRUPTED_RUN, *args]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 3, done.stderr
    assert "interrupted" in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "a_deblurred.png").exists()


def test_defect_is_named_as_such_and_v_shows_the_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], load: Load
) -> None:
    def broken(x: torch.Tensor, sigma: float) -> torch.Tensor:
        raise IndexError("oh")

    broken.__module__ = "pnp_recon.broken"  # what fails elsewhere is somebody's own
    load(Denoiser(broken, "broken", guarantees.firm("test")))
    source = save(tmp_path / "a.png", 1)
    assert main([str(source), *FAST, "--quiet"]) == 1
    assert "defect of the program" in only_line("pnp-deblur", capsys.readouterr().err)
    assert main([str(source), *FAST, "--quiet", "-v"]) == 1
    assert "Traceback" in capsys.readouterr().err


# ---- certificates ---------------------------------------------------------------------------


def test_missing_certificate_is_said_loudly(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], load: Load
) -> None:
    load(Denoiser(smooth, "plain", guarantees.none("plain declares nothing")))
    source = save(tmp_path / "a.png", 1)
    assert main([str(source), *FAST, *DONE]) == 0
    out = capsys.readouterr()
    assert "no guarantee: plain declares nothing" in out.out
    assert "no guarantee: plain declares nothing" in out.err


@pytest.mark.parametrize("as_json", [False, True])
def test_required_certificate_is_checked_before_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], load: Load, as_json: bool
) -> None:
    def never(x: torch.Tensor, sigma: float) -> torch.Tensor:
        raise AssertionError("the run was begun")

    load(Denoiser(never, "plain", guarantees.none("plain declares nothing")))
    source = save(tmp_path / "a.png", 1)
    more = ["--json"] if as_json else ["--quiet"]
    assert main([str(source), *FAST, "--require-certificate", *more]) == 4
    captured = capsys.readouterr()
    assert "plain declares nothing" in only_line("pnp-deblur", captured.err)
    if as_json:
        assert json.loads(captured.out)["exit_code"] == 4
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_required_certificate_that_the_run_contradicts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], load: Load
) -> None:
    generator = torch.Generator().manual_seed(0)

    def jumpy(x: torch.Tensor, sigma: float) -> torch.Tensor:
        return torch.rand(x.shape, generator=generator, dtype=x.dtype)

    load(Denoiser(jumpy, "liar", guarantees.firm("a false claim")))
    source = save(tmp_path / "a.png", 1)
    args = [str(source), *FAST, *ENDLESS, "--quiet"]
    assert main([*args, "--require-certificate"]) == 4
    assert "CERTIFICATE FAILED" in only_line("pnp-deblur", capsys.readouterr().err)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert main(args) == 3  # not required: written, with the failure shown
    assert "CERTIFICATE FAILED" in capsys.readouterr().err


def test_step_outside_the_range(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = save(tmp_path / "a.png", 1)
    args = [str(source), *FAST, *DONE, "--solver", "pnp-pgd", "--step", "50", "--quiet"]
    assert main(args) == 2
    assert "proven range (0," in only_line("pnp-deblur", capsys.readouterr().err)
    assert main([*args, "--require-certificate"]) == 4
    assert "proven range (0," in only_line("pnp-deblur", capsys.readouterr().err)
    assert not (tmp_path / "a_deblurred.png").exists()
    main([*args, "--allow-uncertified"])
    assert "no guarantee" in capsys.readouterr().err
    assert (tmp_path / "a_deblurred.png").exists()


@pytest.mark.parametrize("solver", ["red", "pnp-hqs"])
def test_halpern_asks_for_a_nonexpansive_denoiser_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], load: Load, solver: str
) -> None:
    """The theorem of Halpern's iteration covers any 1-Lipschitz map, here with an isometry."""
    turned = guarantees.lipschitz(1.0, "an isometry")
    load(Denoiser(lambda x, s: torch.roll(x, 1, -1), "shift", turned))
    source = save(tmp_path / "a.png", 1)
    args = [str(source), *FAST, *DONE, "--solver", solver, "--acceleration", "halpern"]
    condition = "certified if denoiser shift has the constant that is declared for it (1): Halpern"
    assert main(args) == 0
    assert condition in capsys.readouterr().out
    assert main([*args, "--require-certificate", "--overwrite"]) == 0
    assert condition in capsys.readouterr().out


def test_what_is_not_nonexpansive_has_no_certificate_under_halpern(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], load: Load
) -> None:
    load(Denoiser(lambda x, s: x, "loud", guarantees.lipschitz(1.5, "a louder map")))
    source = save(tmp_path / "a.png", 1)
    args = [str(source), *FAST, *DONE, "--acceleration", "halpern", "--require-certificate"]
    assert main([*args, "--quiet"]) == 4
    assert "a certificate was required" in only_line("pnp-deblur", capsys.readouterr().err)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]

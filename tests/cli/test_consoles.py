"""Consoles that are not UTF-8, and names that are no text: text never costs a result."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pnp_recon.cli import console
from pnp_recon.pictures.files import read_picture
from support.blurred import DONE, FAST, save

ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
CONSOLES = {"cp1252": {"PYTHONIOENCODING": "cp1252"}, "ascii": ASCII, "utf-8": {"PYTHONUTF8": "1"}}
RUN = """
import sys
from pnp_recon import guarantees
from pnp_recon.cli.run.session import Session
from pnp_recon.priors.denoiser import Denoiser
half = Denoiser(lambda x, sigma: x / 2, "half \\u03c3\\u2016", guarantees.firm("x/2"))
Session.prior = lambda *_: half
from pnp_recon.cli.deblur import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("name", CONSOLES)
def test_every_console_gets_its_picture(tmp_path: Path, name: str) -> None:
    source = save(tmp_path / "Gürtel‖.png", 1)
    report = tmp_path / "r"
    args = [str(source), *FAST, *DONE, "--report", str(report)]
    environment = {**os.environ, **CONSOLES[name]}
    done = subprocess.run([sys.executable, "-c", RUN, *args], capture_output=True, env=environment)
    err = done.stderr.decode("utf-8", "replace")
    assert done.returncode == 0, err
    assert read_picture(tmp_path / "Gürtel‖_deblurred.png").pixels.shape[1] == 1
    text = done.stdout.decode("cp1252" if name == "cp1252" else "utf-8")
    assert ("σ·255" if name == "utf-8" else "sigma") in text
    assert "certificate" in text
    json.loads((report / "report.json").read_text(encoding="utf-8"))
    assert "σ" in (report / "report.html").read_text(encoding="utf-8")
    assert (report / "figure.png").stat().st_size > 0


@pytest.mark.parametrize("name", CONSOLES)
def test_json_is_read_back_as_it_was(tmp_path: Path, name: str) -> None:
    source = save(tmp_path / "Gürtel‖.png", 1)
    args = [str(source), *FAST, *DONE, "--json"]
    environment = {**os.environ, **CONSOLES[name]}
    done = subprocess.run([sys.executable, "-c", RUN, *args], capture_output=True, env=environment)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.decode("cp1252" if name == "cp1252" else "utf-8"))
    assert os.fsencode(found["input"].encode("utf-8", "surrogateescape").decode()) == os.fsencode(
        source
    )


def test_errors_and_help_are_shown_by_every_console(tmp_path: Path) -> None:
    environment = {**os.environ, **CONSOLES["cp1252"]}
    for args, code in ((["--help"], 0), ([str(tmp_path / "‖σ‖.png")], 2)):
        done = subprocess.run(
            [sys.executable, "-c", RUN, *args], capture_output=True, env=environment
        )
        assert done.returncode == code, done.stderr
        assert b"Traceback" not in done.stderr
    assert b"||sigma||.png does not exist" in done.stderr


def test_what_cannot_be_shown_is_spelled_out(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    with pytest.raises(UnicodeEncodeError):  # the twin: as Python sets it up
        print("σ·255 ≤ 3", flush=True)
    console.show_everything()
    print("‖K‖ ≤ 1 − ½ → é 漢 \udce9", flush=True)
    assert raw.getvalue().decode("ascii") == "||K|| <= 1 - 1/2 -> e \\u6f22 \\udce9\n"

"""`pip install .` alone gives working commands: the wheel, installed apart, restores a picture."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
# Folder inside the wheel -> folder of the checkout.
SHIPPED = {"trained_models": "trained_models", "samples": "data/samples"}

pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Without the variables that would let code of the checkout in."""
    hidden = ("PYTHONPATH", "PYTHONHOME", "PYTHONSAFEPATH", "VIRTUAL_ENV")
    environment = {key: value for key, value in os.environ.items() if key not in hidden}
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )


def checked(*command: str | Path, cwd: Path) -> str:
    done = run(*command, cwd=cwd)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    build = ("-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT)
    checked(sys.executable, *build, cwd=folder)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the commands of a new environment that holds the wheel and nothing else of us.

    The libraries that it needs are those of the running interpreter: a path file names their
    folder. Path files *inside* that folder, such as the one of an editable install, are not
    read then, so that the checkout cannot be reached from the new environment.
    """
    folder = tmp_path_factory.mktemp("environment") / "venv"
    checked(sys.executable, "-m", "venv", folder, cwd=folder.parent)
    paths = {key: str(folder) for key in ("base", "platbase")}
    scripts = Path(sysconfig.get_path("scripts", "venv", vars=paths))
    pip = ("-m", "pip", "install", "--quiet", "--no-deps", "--no-index")
    checked(scripts / "python", *pip, wheel, cwd=folder)
    own = sysconfig.get_path("purelib", "venv", vars=paths)
    libraries = dict.fromkeys(sysconfig.get_path(key) for key in ("purelib", "platlib"))
    Path(own, "libraries.pth").write_text("\n".join(libraries) + "\n")
    return scripts


def locations(python: Path, cwd: Path) -> dict[str, Path]:
    """Where this interpreter takes the two packages from."""
    code = "import json, operators, pnp_recon\n"
    code += "print(json.dumps({m.__name__: m.__file__ for m in (operators, pnp_recon)}))"
    found = json.loads(checked(python, "-c", code, cwd=cwd).splitlines()[-1])
    return {name: Path(file).resolve() for name, file in found.items()}


def test_wheel_holds_code_and_shipped_files(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    expected = {
        path.relative_to(ROOT).as_posix()
        for package in ("operators", "pnp_recon")
        for path in (ROOT / package).rglob("*.py")
    }
    assert expected
    # What the code reads from beside itself.
    expected |= {
        path.relative_to(ROOT).as_posix()
        for suffix in ("json", "css", "html", "js", "svg")
        for path in (ROOT / "pnp_recon").rglob(f"*.{suffix}")
    }
    assert "pnp_recon/benchmark/tuned.json" in expected
    # Type checkers read the annotations of an installed package only where this says so.
    expected |= {"operators/py.typed", "pnp_recon/py.typed"}
    assert expected <= names
    for inside, outside in SHIPPED.items():
        prefix = f"pnp_recon/_shipped/{inside}/"
        files = {path.relative_to(ROOT / outside) for path in (ROOT / outside).rglob("*.*")}
        assert {prefix + path.as_posix() for path in files} <= names
    assert "pnp_recon/_shipped/bsds500.sha256" in names
    assert any(re.fullmatch(r"pnp_recon/_shipped/samples/\S+\.png", name) for name in names)
    assert any(
        re.fullmatch(r"pnp_recon/_shipped/trained_models/\S+\.safetensors", n) for n in names
    )
    # Every model travels with its card.
    models = {name for name in names if name.endswith(".safetensors")}
    assert {name.removesuffix(".safetensors") + ".json" for name in models} <= names


def test_wheel_holds_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        roots = {name.partition("/")[0] for name in archive.namelist()}
    info = {name for name in roots if name.endswith(".dist-info")}
    assert len(info) == 1
    assert roots - info == {"operators", "pnp_recon"}


def test_code_is_the_wheels(installed: Path, tmp_path: Path) -> None:
    for file in locations(installed / "python", tmp_path).values():
        assert file.is_relative_to(installed.parent.resolve())
        assert not file.is_relative_to(ROOT)


def test_locations_tell_the_checkout_apart(installed: Path) -> None:
    # The same question asked in the checkout, where the current folder comes first.
    for file in locations(installed / "python", ROOT).values():
        assert file.is_relative_to(ROOT)


def test_command_restores_a_picture_outside_the_checkout(installed: Path, tmp_path: Path) -> None:
    ramp = np.linspace(40, 215, 48)[:, None] + 20 * np.sign(np.sin(np.arange(64) / 4))[None, :]
    Image.fromarray(ramp.astype(np.uint8)).save(tmp_path / "blurred.png")
    command = "pnp-deblur blurred.png -o restored.png --kernel motion --length 5 --angle 0"
    name, *arguments = f"{command} --sigma 0.01 --max-iter 3".split()
    done = run(installed / name, *arguments, cwd=tmp_path)
    # Three iterations do not converge: 3 says that the limit was reached.
    assert done.returncode == 3, f"{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    with Image.open(tmp_path / "restored.png") as picture:
        assert picture.size == (64, 48)
        assert len(set(np.asarray(picture).ravel().tolist())) > 10


def test_benchmark_runs_and_reports_outside_the_checkout(installed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    ramp = np.linspace(40, 215, 48)[:, None] + 20 * np.sign(np.sin(np.arange(64) / 4))[None, :]
    Image.fromarray(ramp.astype(np.uint8)).save(folder / "a.png")
    (tmp_path / "mine.py").write_text(
        "from pnp_recon.benchmark import Method\n"
        "class Mine(Method):\n"
        "    def denoise(self, x, sigma): return x\n"
    )
    run_it = "run denoise --data pictures --methods mine.py,tv,euler_grey --noise 25 -o out --quiet"
    checked(installed / "pnp-bench", *run_it.split(), cwd=tmp_path)
    with (tmp_path / "out" / "results.csv").open(newline="") as file:
        rows = {row["method"]: row for row in csv.DictReader(file)}
    assert {row["status"] for row in rows.values()} == {"done"}
    assert float(rows["tv"]["psnr"]) > float(rows["mine.py"]["psnr"]) + 5
    assert json.loads(rows["tv"]["parameters"])["weight"] > 0  # the table of tuned ones came along
    checked(installed / "pnp-bench", "report", "out", cwd=tmp_path)
    assert "<style>" in (tmp_path / "out" / "report" / "report.html").read_text()

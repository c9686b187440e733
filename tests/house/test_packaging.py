"""What installs the package says the same as pyproject.toml, and needs no more than it says."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import pnp_recon

ROOT = Path(__file__).resolve().parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
NEEDED = dict(
    re.fullmatch(r"([\w-]+)(.*)", line).groups()  # type: ignore[union-attr]
    for line in PROJECT["project"]["dependencies"]
)
# Names that conda-forge has for them; what deepinv brings and we do not ask for.
CONDA = {"torch": "pytorch", "matplotlib": "matplotlib-base"}
# Distribution -> what is imported.
IMPORTED = {"pillow": "PIL", "scikit-image": "skimage", "pywavelets": "pywt", "pyyaml": "yaml"}


def test_the_version_stands_in_one_place() -> None:
    assert PROJECT["project"]["dynamic"] == ["version"]
    assert "version" not in PROJECT["project"]
    home = ROOT / PROJECT["tool"]["hatch"]["version"]["path"]
    text = home.read_text(encoding="utf-8")
    assert re.findall(r'^__version__ = "(.+)"$', text, re.M) == [pnp_recon.__version__]


def test_the_citation_is_of_this_version() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(cited)  # required by the format
    assert cited["cff-version"] == "1.2.0"
    assert cited["version"] == pnp_recon.__version__
    assert cited["license"] == PROJECT["project"]["license"]
    assert cited["authors"] == PROJECT["project"]["authors"]


def test_the_conda_recipe_asks_for_what_pyproject_asks_for() -> None:
    recipe = yaml.safe_load((ROOT / "conda" / "recipe.yaml").read_text(encoding="utf-8"))
    assert recipe["context"]["version"] == pnp_recon.__version__
    asked = dict(line.split(" ") for line in recipe["requirements"]["run"])
    assert asked.pop("python") == PROJECT["project"]["requires-python"]
    assert asked == {CONDA.get(name, name): version for name, version in NEEDED.items()}
    points = dict(line.split(" = ") for line in recipe["build"]["python"]["entry_points"])
    assert points == PROJECT["project"]["scripts"]


def copied(dockerfile: str) -> list[str]:
    """What is copied from the checkout."""
    lines = [line.split() for line in dockerfile.splitlines()]
    wanted = [line[1:-1] for line in lines if line[:1] == ["COPY"]]
    return [source for line in wanted for source in line if not line[0].startswith("--from")]


def faults(dockerfile: str) -> list[str]:
    """What is wrong with the form of a Dockerfile."""
    joined = dockerfile.replace("\\\n", " ")
    rows = [line for line in joined.splitlines() if line and not line.startswith("#")]
    found = [f"{s} is missing" for s in copied(joined) if not (ROOT / s).exists()]
    known = {"FROM", "ARG", "RUN", "COPY", "ENV", "USER", "WORKDIR", "CMD"}
    found += [f"unknown {row}" for row in rows if row.split()[0] not in known]
    last = rows[max(i for i, row in enumerate(rows) if row.startswith("FROM")) :]
    users = [row.split()[1] for row in last if row.startswith("USER")]
    found += [] if users and users[-1] != "root" else ["runs as root"]
    installs = [row for row in rows if "pip install" in row]
    found += [f"keeps a cache: {row}" for row in installs if "--no-cache-dir" not in row]
    found += [f"no tag: {row}" for row in rows if row.startswith("FROM") and ":" not in row]
    return found


def test_the_image_copies_what_is_there_and_runs_as_a_user() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert faults(text) == []
    # All that the wheel takes in is copied, and let through to the build.
    inside = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    sources = {*inside["packages"], *inside["force-include"], "pyproject.toml", "README.md"}
    assert sources <= set(copied(text))
    let = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {source.partition("/")[0] for source in copied(text)} <= {line[1:] for line in let}


def test_a_bad_image_is_caught() -> None:
    bad = "FROM python\nCOPY nowhere here\nRUN pip install .\n"
    assert faults(bad) == [
        "nowhere is missing", "runs as root", "keeps a cache: RUN pip install .",
        "no tag: FROM python",
    ]  # fmt: skip


def slim() -> dict[str, str]:
    text = (ROOT / "requirements-slim.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return dict(re.fullmatch(r"([\w-]+)(.*)", line).groups() for line in lines)  # type: ignore[union-attr]


def test_the_slim_list_is_a_part_of_the_dependencies() -> None:
    assert slim().items() < NEEDED.items()
    assert "deepinv" not in slim()


DEBLUR = """
import sys
blocked = set({blocked!r})
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            raise ModuleNotFoundError("blocked " + name, name=name)
sys.meta_path.insert(0, Blocked())
import numpy as np
from PIL import Image
ramp = np.linspace(40, 215, 24)[:, None] + 20 * np.sign(np.sin(np.arange(32) / 4))[None, :]
Image.fromarray(ramp.astype(np.uint8)).save("blurred.png")
from pnp_recon.cli.deblur import main
options = "--kernel motion --length 5 --angle 0 --denoiser euler_grey --strength 1 --max-iter 2"
print(main(["blurred.png", "-o", "restored.png", *options.split()]))
"""


@pytest.mark.slow
def test_a_slim_install_restores_a_picture(tmp_path: Path) -> None:
    """All other dependencies cannot be imported, nor what only they bring."""
    other = [IMPORTED.get(name, name) for name in NEEDED if name not in slim()]
    assert len(other) > 8

    def run(blocked: list[str]) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", DEBLUR.format(blocked=[*blocked, "torchvision", "astra"])]
        environment = {"PYTHONPATH": str(ROOT), "PATH": "", "OMP_NUM_THREADS": "1"}
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
        )

    done = run(other)
    assert done.stdout.splitlines()[-1] == "3", done.stderr  # two iterations do not converge
    assert (tmp_path / "restored.png").stat().st_size > 100
    # The twin: without something of the list nothing runs.
    assert "needs jaxtyping" in run([*other, "jaxtyping"]).stderr

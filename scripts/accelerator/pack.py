"""Gathers what goes to a machine without a network beside the checkout, and says how much that is.

    python -m scripts.accelerator.pack [--pictures BSDS500] [--wheels] [--slices SLICES.npz]
        [--to out/carried] [--limit MIB] [--python 3.12]

TO/pictures: the files of the 232 pictures of BSDS500 that may be trained on; a training there and
one that goes on with all of BSDS500 see the same data. TO/wheels: libraries that are often missing
on a machine with torch, for that Python on Linux, in the versions that are installed here.
TO/slices.npz: the archive of CT slices. The exit code is 1 where the checkout and one of them are
larger together than the limit, and 2 where there is nothing to take.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from pnp_recon.datasets.bsds500 import HELP, key_of
from pnp_recon.datasets.splits import is_bsds500, training_pictures
from pnp_recon.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
MIB = 2**20
# deepinv, PyWavelets and jsonschema with those of their needs that come with no other library.
# ASTRA is not among them: its wheel needs libraries of CUDA 12, ten times as large as itself.
WHEELS = (
    *("deepinv", "natsort", "pywavelets"),
    *("jsonschema", "jsonschema-specifications", "referencing", "rpds-py"),
)
# pip takes each by its very name.
PLATFORMS = ("_2_28", "_2_27", "_2_17", "2014", "1")


def to_train_on(folder: Path) -> list[Path]:
    """Its pictures that may be trained on.

    Raises:
        InputError: it is not BSDS500.
    """
    paths = training_pictures(folder)
    if not is_bsds500(folder):
        raise InputError(f"{folder} is not BSDS500; {HELP}")
    return paths


def pictures(paths: Iterable[Path], to: Path) -> None:
    """Pictures of BSDS500, laid out as train/ and val/, byte for byte."""
    for path in paths:
        target = to / key_of(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def wheels(to: Path, python: str) -> None:
    """Downloads them.

    Raises:
        SystemExit: pip is not here, or does not find them.
    """
    pip = [sys.executable, "-m", "pip"] if find_spec("pip") else [shutil.which("pip") or ""]
    if pip == [""]:
        raise SystemExit("pip is not installed: python -m ensurepip")
    platforms = [f"--platform=manylinux{age}_x86_64" for age in PLATFORMS]
    only = ["--no-deps", "--only-binary=:all:", "--implementation=cp", f"--python-version={python}"]
    done = subprocess.run([*pip, "download", "-q", *only, *platforms, f"-d{to}", *pinned(WHEELS)])
    if done.returncode:
        raise SystemExit("the wheels could not be downloaded")


def pinned(names: Iterable[str]) -> list[str]:
    """As they are installed here; the newest of what is not."""
    found = []
    for name in names:
        try:
            found.append(f"{name}=={version(name)}")
        except PackageNotFoundError:
            found.append(name)
    return found


def checkout(root: Path) -> int:
    """Bytes of the files that git tracks, and of new ones that it does not ignore."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, capture_output=True, check=True).stdout.decode()
    return sum((root / n).stat().st_size for n in listed.split("\0") if n and (root / n).is_file())


def size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--pictures", type=Path, help="BSDS500")
    parser.add_argument("--slices", type=Path, help="an archive of CT slices")
    parser.add_argument("--wheels", action="store_true", help="download them")
    parser.add_argument("--to", type=Path, default=ROOT / "out" / "carried", help="the folder")
    parser.add_argument("--limit", type=float, help="MiB of the checkout and one of them")
    parser.add_argument("--python", default="3.12", help="its version there")
    given = parser.parse_args(argv)
    if given.slices and not given.slices.is_file():
        print(
            f"{given.slices} is no file; expected an archive of CT slices (.npz)", file=sys.stderr
        )
        return 2
    try:
        taken = to_train_on(given.pictures) if given.pictures else []
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    parts = {name: given.to / name for name in ("pictures", "wheels", "slices.npz")}
    for name, wanted in (("pictures", given.pictures), ("wheels", given.wheels)):
        if wanted:
            shutil.rmtree(parts[name], ignore_errors=True)
            parts[name].mkdir(parents=True)
    if given.pictures:
        pictures(taken, parts["pictures"])
    if given.wheels:
        wheels(parts["wheels"], given.python)
    if given.slices:
        given.to.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(given.slices, parts["slices.npz"])
    base = checkout(ROOT) / MIB
    print(f"the checkout: {base:.1f} MiB")
    sums = {path: base + size(path) / MIB for path in parts.values() if path.exists()}
    for path, both in sums.items():
        print(f"{path}: {both - base:.1f} MiB, with the checkout {both:.1f} MiB")
    return int(given.limit is not None and max([base, *sums.values()]) > given.limit)


if __name__ == "__main__":
    sys.exit(main())

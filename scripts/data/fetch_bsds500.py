"""Lay out BSDS500 in a folder, each picture checked against data/bsds500.sha256.

    python scripts/data/fetch_bsds500.py --to FOLDER                 from Berkeley
    python scripts/data/fetch_bsds500.py --to FOLDER --address URL   from somewhere else
    python scripts/data/fetch_bsds500.py --to FOLDER --from PATH     an archive or a folder at hand
    python scripts/data/fetch_bsds500.py --check FOLDER              only look whether all is there

The result is what `pnp_recon.datasets.splits` reads: train/, val/, test/ and bsd68.json. Pictures
that lie there already and are right are left alone, and a download that was interrupted is
continued.
Ends with 0 if all 500 pictures are there and right, otherwise with 2.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import itertools
import json
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # runs as a file, from any folder, installed or not

from pnp_recon.datasets import bsds500  # noqa: E402
from pnp_recon.datasets.bsds500 import BSD68, PARTS, Bsds500  # noqa: E402
from pnp_recon.errors import InputError, PnPReconError  # noqa: E402
from pnp_recon.files import atomic_write, sha256_of  # noqa: E402
from scripts.data.resumable_download import download  # noqa: E402

ADDRESS = "http://www.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/BSR/BSR_bsds500.tgz"
ARCHIVE = "BSR_bsds500.tgz"  # in the folder to fill, while it is needed

Checksums = Mapping[str, str]

_DAMAGED = (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError)


# ---- What is there ---------------------------------------------------------------------------


def pictures_of(source: Path, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """Key and bytes of each wanted picture in a folder, a tar or a zip archive, in any layout.

    A picture is known by its file name alone, which no two of BSDS500 share. Names inside an
    archive are only compared, never written to: a hostile path cannot escape.
    """
    keys = {key.rpartition("/")[2]: key for key in wanted}
    if source.is_dir():
        for path in sorted(source.rglob("*.jpg")):
            if path.name in keys:
                yield keys[path.name], path.read_bytes()
    elif source.is_file() and zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive:
            for name in archive.namelist():
                if _last(name) in keys:
                    yield keys[_last(name)], archive.read(name)
    elif source.is_file() and tarfile.is_tarfile(source):
        with tarfile.open(source) as archive:
            for member in archive:
                opened = archive.extractfile(member) if member.isfile() else None
                if opened is not None and _last(member.name) in keys:
                    yield keys[_last(member.name)], opened.read()
    else:
        found = "is not" if source.exists() else "does not exist; expected"
        raise InputError(f"{source} {found} a folder or a .tgz or .zip archive of BSDS500")


def _last(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2]


def faulty(
    pictures: Bsds500, checksums: Checksums, track: Callable[[str], object] = lambda key: None
) -> tuple[set[str], set[str]]:
    """Keys of the pictures that are missing, and of those that are not what they should be."""
    missing, wrong = set(), set()
    for key, digest in checksums.items():
        track(key)
        if not pictures.file(key).is_file():
            missing.add(key)
        elif sha256_of(pictures.file(key)) != digest:
            wrong.add(key)
    return missing, wrong


def right_text(checksums: Checksums, lacking: Collection[str] = ()) -> str:
    """ "train 200 of 200, val 99 of 100, test 200 of 200" without the pictures lacking."""
    parts = {part: [key for key in checksums if key.startswith(f"{part}/")] for part in PARTS}
    return ", ".join(
        f"{part} {len(set(keys) - set(lacking))} of {len(keys)}" for part, keys in parts.items()
    )


def fault_text(checksums: Checksums, missing: Collection[str], wrong: Collection[str]) -> str:
    """What is missing, what is wrong, with the first few names, and how much is right."""
    faults = []
    if missing:
        faults.append(f"{len(missing)} of {len(checksums)} pictures are missing {_first(missing)}")
    if wrong:
        verb = f"of {len(checksums)} pictures differ from the expected SHA-256"
        faults.append(f"{len(wrong)} {verb} {_first(wrong)}")
    return f"{', '.join(faults)}; right are {right_text(checksums, {*missing, *wrong})}"


def _first(keys: Iterable[str], count: int = 3) -> str:
    ordered = sorted(keys)
    return f"({', '.join(ordered[:count])}{' ...' if len(ordered) > count else ''})"


# ---- What is done ----------------------------------------------------------------------------


def lay_out(
    source: Path,
    target: Path,
    checksums: Checksums,
    track: Callable[[str], object] = lambda key: None,
) -> int:
    """Copy every picture whose SHA-256 is right; returns how many were copied.

    A target that holds BSDS500 in another layout is completed in that layout.

    Raises:
        InputError: pictures are missing or other than expected; the right ones stay in place.
    """
    pictures = bsds500.find(target) or Bsds500(target, flat=False)
    needed = set().union(*faulty(pictures, checksums))
    copied, wrong, damage = 0, set(), ""
    try:
        for key, data in pictures_of(source, frozenset(needed)) if needed else ():
            track(key)
            if key not in needed:
                continue  # a second copy in the same archive
            if hashlib.sha256(data).hexdigest() != checksums[key]:
                wrong.add(key)
                continue
            pictures.file(key).parent.mkdir(parents=True, exist_ok=True)
            atomic_write(pictures.file(key), data)
            needed.discard(key)
            copied += 1
    except _DAMAGED as error:
        damage = f" is damaged ({error})"
    if needed:
        faults = fault_text(checksums, needed - wrong, needed & wrong)
        raise InputError(
            f"{source}{damage}: {faults}; expected the original archive, get it again or pass "
            "another one with --from PATH"
        )
    listing = {"bsd68": [f"val/{name}" for name in BSD68]}
    atomic_write(pictures.root / "bsd68.json", json.dumps(listing, indent=1) + "\n")
    return copied


def check(folder: Path, checksums: Checksums, track: Callable[[str], object]) -> str:
    """How the complete BSDS500 in a folder is laid out.

    Raises:
        InputError: it is not there, or not complete, or not right.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; {bsds500.HELP}")
    pictures = bsds500.find(folder)
    if pictures is None:
        found = bsds500.count_text(bsds500.flat_counts(folder))
        raise InputError(f"{folder} is not BSDS500 (found: {found}). {bsds500.HELP}")
    missing, wrong = faulty(pictures, checksums, track)
    if missing or wrong:
        raise InputError(
            f"{pictures.root}: {fault_text(checksums, missing, wrong)}; complete it with: python "
            f"scripts/data/fetch_bsds500.py --to {folder} [--from PATH]"
        )
    return "side by side" if pictures.flat else f"as {', '.join(f'{part}/' for part in PARTS)}"


def fetch(target: Path, source: Path | None, address: str, show: Progress) -> int:
    """Fills the target from `source`, or, where something is lacking, from `address`."""
    if target.exists() and not target.is_dir():
        raise InputError(f"{target} is a file; expected a folder to fill")
    checksums = bsds500.checksums()
    present = bsds500.find(target)
    lacking = set().union(*faulty(present, checksums)) if present else set(checksums)
    if source is not None or not lacking:
        return lay_out(source or target, target, checksums, _counter(show, "copying", lacking))
    target.mkdir(parents=True, exist_ok=True)
    archive = target / ARCHIVE
    if not archive.is_file():  # else the last run came to an end between download and copy
        say = partial(show.console.print, markup=False, highlight=False, soft_wrap=True)
        download(address, archive, tick=_bytes(show), say=say)
    try:
        copied = lay_out(archive, target, checksums, _counter(show, "copying", lacking))
    except InputError as error:
        archive.unlink()  # it is not what it should be: the next run gets it again
        raise InputError(f"what {address} sent is not it: {error}") from error
    archive.unlink()
    return copied


def _counter(show: Progress, words: str, keys: Collection[str]) -> Callable[[str], object]:
    """Counts pictures on a bar."""
    count = itertools.count(1)
    task = show.add_task(words, total=len(keys), amount="", visible=bool(keys))
    return lambda key: show.update(task, advance=1, amount=f"{next(count)} of {len(keys)}")


def _bytes(show: Progress) -> Callable[[int, int | None], object]:
    """Shows on a bar how much of a file is there."""
    task = show.add_task("downloading", total=None, amount="")

    def tick(have: int, size: int | None) -> None:
        of_all = f" of {size / 1e6:.1f}" if size else ""
        show.update(task, completed=have, total=size, amount=f"{have / 1e6:.1f}{of_all} MB")

    return tick


def _bars(console: Console) -> Progress:
    """Bars on a terminal, and nothing elsewhere."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[amount]}"))
    return Progress(
        *columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Lay out BSDS500 in a folder and verify it.")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--to", type=Path, metavar="FOLDER", help="the folder to fill")
    what.add_argument("--check", type=Path, metavar="FOLDER", help="only verify this folder")
    parser.add_argument(
        "--from", type=Path, dest="source", metavar="PATH", help="an archive or folder at hand"
    )
    parser.add_argument("--address", default=ADDRESS, help="where to download from otherwise")
    options = parser.parse_args(arguments)
    checksums = bsds500.checksums()
    everything = f"{len(checksums)} pictures verified ({right_text(checksums)})"
    try:
        with _bars(Console(stderr=True)) as show:
            if options.check is not None:
                layout = check(options.check, checksums, _counter(show, "checking", checksums))
                outcome = f"{options.check}: {everything}, {layout}"
            else:
                copied = fetch(options.to, options.source, options.address, show)
                outcome = f"{options.to}: {everything}, {copied} of them copied now"
    except (PnPReconError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    print(outcome)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

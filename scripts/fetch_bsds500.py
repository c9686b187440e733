"""Lay out BSDS500 in a folder, each picture checked against data/bsds500.sha256.

    python scripts/fetch_bsds500.py --to FOLDER                  from Berkeley
    python scripts/fetch_bsds500.py --to FOLDER --from PATH      from an archive or a folder at hand

The result is what `pnp_recon.datasets` reads: train/, val/, test/ and bsd68.json. Pictures that
lie there already and are right are left alone, so an interrupted run is continued.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tarfile
import tempfile
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # runs from a checkout, installed or not

from pnp_recon.datasets import BSD68  # noqa: E402
from pnp_recon.errors import InputError, PnPReconError  # noqa: E402
from pnp_recon.files import atomic_write, sha256_of  # noqa: E402

ADDRESS = "http://www.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/BSR/BSR_bsds500.tgz"
CHECKSUMS = ROOT / "data" / "bsds500.sha256"


def read_checksums(path: Path) -> dict[str, str]:
    """{"train/100075.jpg": sha256, ...} from lines "sha256  split/name.jpg"."""
    lines = path.read_text().splitlines()
    return {name: digest for digest, name in (line.split() for line in lines if line.strip())}


def key_of(path: str) -> str:
    """ "BSR/BSDS500/data/images/train/100075.jpg" -> "train/100075.jpg"."""
    return "/".join(path.replace("\\", "/").split("/")[-2:])


def pictures_of(source: Path, wanted: set[str]) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each wanted picture in a folder, a tar or a zip archive.

    Names inside an archive are only compared, never written to: a hostile path cannot escape.
    """
    if source.is_dir():
        for path in sorted(source.rglob("*.jpg")):
            if key_of(path.as_posix()) in wanted:
                yield key_of(path.as_posix()), path.read_bytes()
    elif zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive:
            for name in archive.namelist():
                if key_of(name) in wanted:
                    yield key_of(name), archive.read(name)
    elif source.is_file() and tarfile.is_tarfile(source):
        with tarfile.open(source) as archive:
            for member in archive:
                opened = archive.extractfile(member) if member.isfile() else None
                if opened is not None and key_of(member.name) in wanted:
                    yield key_of(member.name), opened.read()
    else:
        found = "is neither" if source.exists() else "does not exist; expected"
        raise InputError(f"{source} {found} a folder or a .tgz or .zip archive of BSDS500")


def lay_out(source: Path, target: Path, checksums: dict[str, str]) -> int:
    """Copy every picture whose SHA-256 is right; returns how many were copied.

    Raises:
        InputError: pictures are missing or other than expected; the right ones stay in place.
    """
    missing = {
        name
        for name, digest in checksums.items()
        if not (target / name).is_file() or sha256_of(target / name) != digest
    }
    copied, wrong = 0, []
    for name, data in pictures_of(source, missing) if missing else ():
        if name not in missing:
            continue  # a second copy in the same archive
        if hashlib.sha256(data).hexdigest() != checksums[name]:
            wrong.append(name)
            continue
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        atomic_write(target / name, data)
        missing.discard(name)
        copied += 1
    if missing:
        first = min(missing)
        kind = "differ from the expected SHA-256 or are missing" if wrong else "are missing"
        raise InputError(
            f"{len(missing)} of {len(checksums)} pictures {kind} in {source} (first: {first}); "
            "expected the original archive, get it again"
        )
    listing = {"bsd68": [f"val/{name}" for name in BSD68]}
    atomic_write(target / "bsd68.json", json.dumps(listing, indent=1) + "\n")
    return copied


def download(address: str, target: Path) -> None:
    try:
        with urllib.request.urlopen(address, timeout=30) as reply, target.open("wb") as handle:
            while block := reply.read(1 << 20):
                handle.write(block)
    except OSError as error:  # urllib's errors are OSErrors too
        raise InputError(
            f"{address} cannot be reached ({error}); download it by other means and pass it with "
            "--from PATH"
        ) from error


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Lay out BSDS500 in a folder and verify it.")
    parser.add_argument("--to", type=Path, required=True, help="the folder to fill")
    parser.add_argument("--from", type=Path, dest="source", help="an archive or folder at hand")
    parser.add_argument("--address", default=ADDRESS, help="where to download from otherwise")
    options = parser.parse_args(arguments)
    checksums = read_checksums(CHECKSUMS)
    try:
        with tempfile.TemporaryDirectory() as folder:
            source = options.source
            if source is None:
                source = Path(folder) / "BSR_bsds500.tgz"
                download(options.address, source)
            copied = lay_out(source, options.to, checksums)
    except (PnPReconError, OSError, tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{options.to}: {len(checksums)} pictures verified, {copied} of them copied now")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

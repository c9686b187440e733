"""The files of a report: where they lie now, and whether they are those that the run read.

Imported after parsing: it loads torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pnp_recon.files import sha256_of, split_frame
from pnp_recon.report.claims import Claim, claim, unchecked


def find(stated: str, folder: Path) -> Path | None:
    """A path of a report: as it stands, or from the folder of the report; None if there is none."""
    for place in (Path(stated), folder / stated):
        if split_frame(place)[0].is_file():
            return place
    return None


def places(
    report: Mapping[str, Any], folder: Path, moved: Mapping[str, Path]
) -> dict[str, Path | None]:
    """Role -> where the file lies now."""
    return {
        file["role"]: moved.get(file["role"]) or find(file["path"], folder)
        for file in report["inputs"]
    }


def file_claims(report: Mapping[str, Any], found: Mapping[str, Path | None]) -> list[Claim]:
    """That each input has the stated SHA-256."""
    claims = []
    for file in report["inputs"]:
        what, place = f"{file['role']} file", found[file["role"]]
        if place is None:
            reason = f"{file['path']} is not here; say --input {file['role']}=PATH"
            claims.append(unchecked(what, file["sha256"], reason))
        else:
            reason = f"{place} is not the file that went in"
            claims.append(claim(what, file["sha256"], sha256_of(place), reason))
    return claims


def output_claim(report: Mapping[str, Any], folder: Path) -> Claim:
    """That the picture that lies there is the one that was written."""
    what, stated = "output file", report["output_sha256"]
    place = None if report["output"] is None else find(report["output"], folder)
    if stated is None:
        return unchecked(what, stated, "the report holds no hash of it")
    if place is None:
        return unchecked(what, stated, f"{report['output']} is not here")
    return claim(what, stated, sha256_of(place), f"{place} is not what the run wrote")

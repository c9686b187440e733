"""Two reports of the same run: what one states, and what the repetition gave.

Imported after parsing: it loads torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pnp_recon.cli.verify.histories import ELSEWHERE, FACTOR, by_clock, curves, endings, same_length
from pnp_recon.pictures.files import read_picture
from pnp_recon.pictures.ranges import depth_of
from pnp_recon.report.claims import RELATIVE, Claim, claim, same_words, told, unchecked
from pnp_recon.report.reading import certificate_of

# Of numbers in remarks, which are measured and printed with two digits.
MEASURED = 0.15
# The same on another machine or with other libraries, as residuals are compared there.
HALF = 1 - 1 / FACTOR
# Of PSNR and SSIM, in dB and in parts.
QUALITY = {"psnr": 0.05, "ssim": 1e-3}
# What a picture may be off: half a grey level of 8 bit, or so little noise.
HALF_LEVEL, DECIBELS = 0.5 / 255, 60.0
FLAGS = ("simulated", "linear_light")
# What has to be the same for the same roundings.
SAME = ("python", "pnp_recon", "libraries", "platform", "device_name", "dtype", "threads")


def compare(
    stated: Mapping[str, Any],
    found: Mapping[str, Any],
    written: Path | None,
    target: Path,
) -> list[Claim]:
    """The claims about a run.

    Args:
        stated: the report.
        found: the report of the repetition.
        written: the picture of the report; None where it is not at hand, or not that of the run.
        target: the picture of the repetition, which ended after as many steps where the clock or
            a hand ended the run.
    """
    alike = all(stated["environment"][key] == found["environment"][key] for key in SAME)
    relative = RELATIVE if alike else ELSEWHERE
    claims = _problem(stated, found, relative)
    claims += _certificate(stated["certificate"], found["certificate"], relative)
    claims += endings(stated, found, alike=alike)
    if not same_length(stated, found) and by_clock(stated):
        # Parts that the clock ended each after a number of steps of their own.
        reason = "the repetition made other numbers of steps"
        return [*claims, unchecked("run: picture and history", stated["status"]["name"], reason)]
    claims.append(_quality(stated["metrics"], found["metrics"]))
    claims.append(curves(stated, found, alike=alike))
    if alike:
        parameters = (one["solver"]["parameters"] for one in (stated, found))
        claims += [
            _both("run: parameters of the solver", *parameters, relative=ELSEWHERE),
            _remarks(stated, found, MEASURED),
        ]
    else:
        # Of one picture they follow from the history, which is compared.
        if same_length(stated, found) and len(stated["history"]["picture_errors"]) > 1:
            claims.append(_remarks(stated, found, HALF))
        what = "run: parameters of the solver"
        claims.append(unchecked(what, None, "another machine or other libraries"))
    return [*claims, _picture(written, target)]


def _problem(stated: Mapping[str, Any], found: Mapping[str, Any], relative: float) -> list[Claim]:
    """Operator, noise, blur, prior and solver."""
    sides = (stated, found)
    one, other = (None if side["kernel"] is None else side["kernel"]["weights"] for side in sides)
    weights = _close_weights(one, other, relative)
    return [
        _both("run: operator", *(list(one["operator"].values()) for one in sides)),
        _both("run: noise level", *(one["noise"]["level"] for one in sides), relative=relative),
        _both("run: physics", *(_physics(one["physics"]) for one in sides), relative=relative),
        _both("run: inputs", *(_inputs(one) for one in sides)),
        _both("run: simulated, linear light", *(_picked(one, *FLAGS) for one in sides)),
        _both("run: noise is", *(one["noise"]["origin"] for one in sides)),
        _words("run: noise in words", *(one["noise"]["words"] for one in sides)),
        _both("run: kernel is", *(_made(one["kernel"]) for one in sides), relative=relative),
        Claim("run: kernel", "its weights", "so" if weights else "others", weights),
        _both("run: prior", *(_picked(one["denoiser"], "name", "kind", "sha256") for one in sides)),
        _both(
            "run: guarantee of the prior",
            *(
                _picked(one["denoiser"]["guarantee"], "holds", "averagedness", "lipschitz")
                for one in sides
            ),
        ),
        _both("run: solver", *(one["solver"]["name"] for one in sides)),
        _both(
            "run: strength",
            *(_picked(one["strength"] or {"value": None}, "value") for one in sides),
        ),
    ]


def _both(what: str, *sides: Any, relative: float = RELATIVE) -> Claim:
    stated, found = sides
    return claim(what, stated, found, relative=relative)


def _picked(block: Mapping[str, Any], *keys: str) -> list[Any]:
    return [block[key] for key in keys]


def _physics(block: Mapping[str, Any] | None) -> Any:
    """Name and numbers: words may hold the name of a file that has moved."""
    if block is None:
        return None
    numbers = {
        name: value for name, value in block["parameters"].items() if not isinstance(value, str)
    }
    return [block["name"], numbers]


def _inputs(report: Mapping[str, Any]) -> list[Any]:
    """What was read; the places where it lies are nobody's claim."""
    return [_picked(file, "role", "sha256", "shape", "bit_depth") for file in report["inputs"]]


def _made(kernel: Mapping[str, Any] | None) -> Any:
    """How a kernel came about; that of a file is called by the file."""
    if kernel is None:
        return None
    name = None if kernel["origin"] == "file" else kernel["name"]
    told = ("origin", "parameters", "confidence", "method", "given", "shape")
    return [name, *_picked(kernel, *told)]


def _words(what: str, *sides: str | None) -> Claim:
    """The same words, whose rounded numbers may differ in the last digit."""
    stated, found = sides
    holds = same_words(stated or "", found or "")
    return Claim(what, told(stated), told(found), holds)


def _close_weights(stated: Any, found: Any, relative: float) -> bool:
    if stated is None or found is None:
        return stated is found
    one, other = np.asarray(stated, float), np.asarray(found, float)
    return one.shape == other.shape and bool(np.abs(one - other).max() <= relative * other.max())


def _certificate(
    stated: Mapping[str, Any], found: Mapping[str, Any], relative: float
) -> list[Claim]:
    claims = [
        claim("run: verdict", certificate_of(stated).label, certificate_of(found).label),
        claim("run: kind of theorem", stated["kind"], found["kind"]),
        _words("run: theorem", stated["theorem"], found["theorem"]),
        _both("run: law of each step", stated["step_law"], found["step_law"]),
        _both("run: error bar", stated["error_bar"], found["error_bar"], relative=relative),
        _premises(stated["premises"], found["premises"]),
        claim(
            "run: numbers of the theorem", stated["numbers"], found["numbers"], relative=relative
        ),
    ]
    laws = [
        [[item[key] for key in ("law", "limit", "passed")] for item in one["observations"]]
        for one in (stated, found)
    ]
    claims.append(_both("run: observed laws", *laws))
    names, again = ([item["name"] for item in one["constants"]] for one in (stated, found))
    claims.append(claim("run: constants by name", names, again))
    if names != again:
        return claims
    for one, other in zip(stated["constants"], found["constants"], strict=True):
        what = f"run: constant {one['name']}"
        claims.append(claim(what, one["value"], other["value"], relative=relative))
        claims.append(_words(f"{what}, how it is known", one["how"], other["how"]))
    return claims


def _premises(stated: list[Any], found: list[Any]) -> Claim:
    sides = [[f"{one['words']} ({one['basis']})" for one in side] for side in (stated, found)]
    holds = len(stated) == len(found) and all(
        same_words(one, other) for one, other in zip(*sides, strict=True)
    )
    return Claim("run: premises", told(sides[0]), told(sides[1]), holds)


def _remarks(stated: Mapping[str, Any], found: Mapping[str, Any], printed: float) -> Claim:
    """What is said besides, such as the error bar of a contraction."""
    sides = [one["certificate"]["remarks"] for one in (stated, found)]
    holds = len(sides[0]) == len(sides[1]) and all(
        same_words(one, other, printed) for one, other in zip(*sides, strict=True)
    )
    return Claim("run: remarks", told(sides[0]), told(sides[1]), holds)


def _quality(stated: Mapping[str, Any], found: Mapping[str, Any]) -> Claim:
    """PSNR and SSIM before and after, against the reference."""
    holds = True
    for when in ("before", "after"):
        one, other = stated[when], found[when]
        if one is None or other is None:
            holds &= one is other
            continue
        for key, slack in QUALITY.items():
            near = None not in (one[key], other[key]) and abs(one[key] - other[key]) <= slack
            holds &= near or one[key] == other[key]
    return Claim("run: quality", told(dict(stated)), told(dict(found)), holds)


def _picture(written: Path | None, target: Path) -> Claim:
    what = "run: picture"
    if written is None:
        return unchecked(what, None, "the picture of the report is not here, or another one")
    if written.read_bytes() == target.read_bytes():
        return Claim(what, "as it lies there", "the same bytes")
    one, other = _values(written, target)
    if one.shape != other.shape:
        return Claim(what, f"of shape {one.shape}", f"of shape {other.shape}", False)
    width = 1.0
    if one.max() > 1 or one.min() < 0:  # slices in their own unit
        width = max(float(one.max() - one.min()), 1e-30)
    off = np.abs(one - other) / width
    most, mean = float(off.max()), float(np.square(off).mean())
    decibels = math.inf if mean == 0 else -10 * math.log10(mean)
    holds = most <= HALF_LEVEL or decibels >= DECIBELS
    return Claim(what, "the same", f"off by {255 * most:.3g}/255, {decibels:.1f} dB", holds)


def _values(*paths: Path) -> list[NDArray[np.float64]]:
    """What results of one format hold, in [0, 1] where they are stored in whole numbers."""
    suffix = paths[0].suffix.lower()
    if suffix == ".npy":
        return [np.load(path, allow_pickle=False).astype(np.float64) for path in paths]
    if suffix not in (".tif", ".tiff"):
        first = read_picture(paths[0], measured=True)
        others = [read_picture(path, like=first) for path in paths[1:]]
        return [picture.pixels.double().numpy() for picture in (first, *others)]
    import tifffile

    stored = [np.asarray(tifffile.imread(path)) for path in paths]
    return [values.astype(np.float64) / _top(stored[0]) for values in stored]


def _top(values: NDArray[Any]) -> float:
    """The number of white: 12 bit in 16 are no darker than others."""
    if not np.issubdtype(values.dtype, np.integer):
        return 1.0
    return 255.0 if values.dtype.itemsize == 1 else depth_of(float(values.max()))

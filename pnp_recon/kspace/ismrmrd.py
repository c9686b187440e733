"""k-space from an ISMRMRD file (Inati et al. 2017), by the library of that format.

    pip install "pnp-recon[mri]"

Cartesian, two-dimensional encodings: lines are put where their counters say, repeated ones are
averaged, a readout that was sampled more finely than the picture is cut to it. What was left out
is said.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pnp_recon.errors import InputError
from pnp_recon.files import sha256_of
from pnp_recon.kspace.arrays import as_complex
from pnp_recon.kspace.scan import KSpace
from pnp_recon.scans.arrays import readable

# Numbers of flags by which an acquisition says that it is no line of the picture.
_NOT_IMAGING = (
    "ACQ_IS_NOISE_MEASUREMENT",
    "ACQ_IS_NAVIGATION_DATA",
    "ACQ_IS_PHASECORR_DATA",
    "ACQ_IS_HPFEEDBACK_DATA",
    "ACQ_IS_DUMMYSCAN_DATA",
    "ACQ_IS_RTFEEDBACK_DATA",
    "ACQ_IS_SURFACECOILCORRECTIONSCAN_DATA",
)
# Modes of calibration whose lines are none of the picture's.
_APART = ("separate", "external")

# Samples beside the end of a partial echo that a cut of the field of view mixes with its zeros.
_MIXED = 4


def is_ismrmrd(file: Path) -> bool:
    """Whether an HDF5 file has a group with a header in XML or a table of acquisitions."""
    return _parts(file) is not None


def read_ismrmrd(file: Path, index: int | None = None) -> KSpace:
    """One slice of an ISMRMRD file; see `files.read_kspace`.

    Raises:
        InputError: the library is not installed; no header, or one that is not understood; the
            encoding is not Cartesian, or has three dimensions; no line of that slice; values that
            are not finite, or nothing but zeros.
    """
    library = _library(file)
    group = _group(file)
    with readable(file), library.Dataset(str(file), group, mode="r") as dataset:
        encoding = _encoding(library, dataset)
        trajectory = getattr(encoding.trajectory, "value", encoding.trajectory)
        size = encoding.encodedSpace.matrixSize
        if str(trajectory).lower() != "cartesian" or int(size.z) > 1:
            raise InputError(
                f"is encoded on a {trajectory} trajectory with {size.z} partitions; expected "
                "Cartesian lines of one plane"
            )
        lines, others = _imaging(library, dataset, _calibrated_apart(encoding))
        slices = 1 + max(int(line.idx.slice) for line in lines)
        chosen = slices // 2 if index is None else index
        ours = [line for line in lines if int(line.idx.slice) == chosen]
        if not ours:
            raise InputError(f"slice {chosen} has no lines; expected 0 to {slices - 1}")
        limits = encoding.encodingLimits.kspace_encoding_step_1
        middle = int(size.y) // 2 if limits is None else int(limits.center)
        data, columns, rows = _placed(ours, int(size.x), int(size.y), middle)
        data = as_complex(data, data.shape)
        width = int(encoding.reconSpace.matrixSize.x)
    samples = data.shape[-2]
    values = _cut(torch.from_numpy(data), width)
    measured = torch.from_numpy(_rows_of(rows, samples, values.shape[-2])[:, None] & columns)
    return KSpace(
        data=torch.where(measured, values, 0),
        coils=len(values) > 1,
        mask=measured,
        maps=None,
        reference=None,
        source=file,
        sha256=sha256_of(file),
        index=chosen,
        slices=slices,
        words=f"ISMRMRD: {len(ours)} lines of {len(values)} coils in slice {chosen} of {slices}",
        doubts=(*_left_out(others), *_short_echo(rows, samples)),
    )


def _encoding(library: Any, dataset: Any) -> Any:
    """The first encoding of the header.

    Raises:
        InputError: the header is none.
    """
    try:
        found = library.xsd.CreateFromDocument(dataset.read_xml_header()).encoding
    except Exception as error:  # of the parsers of XML and of this format
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise InputError(f"its ISMRMRD header is not understood ({reason})") from error
    if not found:
        raise InputError("its ISMRMRD header names no encoding, so that k-space has no size")
    return found[0]


def _left_out(others: int) -> tuple[str, ...]:
    if not others:
        return ()
    return (
        f"{others} lines of other contrasts, phases, repetitions, sets or encodings than the first "
        "(or of a calibration apart) are left out",
    )


def _short_echo(rows: slice, samples: int) -> tuple[str, ...]:
    if rows == slice(0, samples):
        return ()
    return (
        f"the echo is partial: {rows.stop - rows.start} of {samples} samples of the readout were "
        "measured, the others are missing",
    )


def _library(file: Path) -> Any:
    try:
        return import_module("ismrmrd")
    except ImportError:
        raise InputError(
            f"{file} is an ISMRMRD file, which needs the package ismrmrd; install it with "
            'pip install "pnp-recon[mri]", or export k-space as .npy'
        ) from None


def _parts(file: Path) -> tuple[str, bool, bool] | None:
    """The group of a data set, and whether it has a header in XML and a table of acquisitions."""
    import h5py

    with readable(file), h5py.File(file, "r") as handle:
        for name, group in handle.items():
            if not isinstance(group, h5py.Group):
                continue
            data = group.get("data")
            table = isinstance(data, h5py.Dataset) and "head" in (data.dtype.names or ())
            if table or "xml" in group:
                return name, "xml" in group, table
    return None


def _group(file: Path) -> str:
    """The group that holds the data set.

    Raises:
        InputError: it lacks its header or its lines.
    """
    found = _parts(file)
    assert found is not None  # see `is_ismrmrd`
    name, header, table = found
    if not (header and table):
        lacking = "no lines" if header else "no header (xml), which says the size of k-space"
        raise InputError(f"{file} is an ISMRMRD file with {lacking}; export it again")
    return name


def _calibrated_apart(encoding: Any) -> bool:
    """Whether the header says that coils were calibrated by a measurement of its own, which may
    have another contrast than the picture."""
    modes = getattr(encoding.parallelImaging, "calibrationMode", None) or ()
    return any(str(getattr(mode, "value", mode)) in _APART for mode in np.atleast_1d(modes))


def _imaging(library: Any, dataset: Any, apart: bool) -> tuple[list[Any], int]:
    """The lines of the picture, and how many others there are: of several contrasts, phases,
    repetitions and sets the first is taken, and of several encodings. Lines for calibration alone
    are another encoding where they were measured `apart`."""
    no_lines = [getattr(library, name) for name in _NOT_IMAGING]
    found: dict[tuple[int, ...], list[Any]] = {}
    for number in range(dataset.number_of_acquisitions()):
        line = dataset.read_acquisition(number)
        if any(line.is_flag_set(flag) for flag in no_lines):
            continue
        if line.is_flag_set(library.ACQ_IS_REVERSE):
            line.data[:] = line.data[:, ::-1]
            line.center_sample = line.data.shape[1] - line.center_sample
            line.discard_pre, line.discard_post = line.discard_post, line.discard_pre
        calibration = apart and line.is_flag_set(library.ACQ_IS_PARALLEL_CALIBRATION)
        if line.is_flag_set(library.ACQ_IS_PARALLEL_CALIBRATION_AND_IMAGING):
            calibration = False
        encoding = line.encoding_space_ref or int(calibration)
        counters = (line.idx.contrast, line.idx.phase, line.idx.repetition, line.idx.set)
        found.setdefault((encoding, *counters), []).append(line)
    if not found:
        raise InputError("holds no line of a picture")
    if min(found)[0]:
        raise InputError("holds no line of its first encoding")
    first = found.pop(min(found))
    return first, sum(map(len, found.values()))


def _placed(
    lines: list[Any], samples: int, steps: int, middle: int
) -> tuple[NDArray[np.complex64], NDArray[np.bool_], slice]:
    """(coils, samples, steps), which steps were measured, and which samples of the readout in
    every line; repeated lines are averaged."""
    data = np.zeros((lines[0].data.shape[0], samples, steps), np.complex64)
    count = np.zeros(steps, int)
    first, last = 0, samples
    for line in lines:
        column = int(line.idx.kspace_encode_step_1) - middle + steps // 2
        row = samples // 2 - int(line.center_sample)
        length = line.data.shape[1]
        if not (0 <= column < steps and row >= 0 and row + length <= samples):
            raise InputError(
                f"a line of {length} samples at step {column} does not fit into {samples}×{steps}"
            )
        begin, end = int(line.discard_pre), length - int(line.discard_post)
        first, last = max(first, row + begin), min(last, row + end)
        data[:, row + begin : row + end, column] += line.data[:, begin:end]
        count[column] += 1
    if first >= last:
        raise InputError("no sample of the readout was measured in every line")
    data /= np.maximum(count, 1).astype(np.float32)
    return data, count > 0, slice(first, last)


def _rows_of(rows: slice, samples: int, height: int) -> NDArray[np.bool_]:
    """Which of the `height` rows of a readout that was cut stem from measured samples.

    Cutting the field of view mixes samples within a few rows; rows at an end of what was measured
    are left out.
    """
    if rows == slice(0, samples):
        return np.ones(height, bool)
    margin = 0 if height == samples else _MIXED
    places = (np.arange(height) - height // 2) * (samples / height) + samples // 2
    low = rows.start + (margin if rows.start > 0 else -samples)
    high = rows.stop - 1 - (margin if rows.stop < samples else -samples)
    return np.asarray((places >= low) & (places <= high))


def _cut(data: Tensor, width: int) -> Tensor:
    """The readout cut to the `width` pixels of the picture; unitary transforms keep white noise."""
    samples = data.shape[-2]
    if not 0 < width < samples:
        return data
    images = torch.fft.ifft(torch.fft.ifftshift(data, dim=-2), dim=-2, norm="ortho")
    images = torch.fft.fftshift(images, dim=-2)
    first = samples // 2 - width // 2
    images = images[..., first : first + width, :]
    spectra = torch.fft.fft(torch.fft.ifftshift(images, dim=-2), dim=-2, norm="ortho")
    return torch.fft.fftshift(spectra, dim=-2)

"""k-space from an ISMRMRD file (Inati et al. 2017), by the library of that format.

    pip install "pnp-recon[mri]"

Cartesian, two-dimensional encodings: lines are put where their counters say, repeated ones are
averaged, a readout that was sampled more finely than the picture is cut to it.
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


def read_ismrmrd(file: Path, index: int | None = None) -> KSpace:
    """One slice of an ISMRMRD file; see `files.read_kspace`.

    Raises:
        InputError: the library is not installed; the encoding is not Cartesian, or has three
            dimensions; no line of that slice.
    """
    library = _library(file)
    with readable(file), library.Dataset(str(file), _group(file), mode="r") as dataset:
        encoding = library.xsd.CreateFromDocument(dataset.read_xml_header()).encoding[0]
        trajectory = getattr(encoding.trajectory, "value", encoding.trajectory)
        size = encoding.encodedSpace.matrixSize
        if str(trajectory).lower() != "cartesian" or int(size.z) > 1:
            raise InputError(
                f"is encoded on a {trajectory} trajectory with {size.z} partitions; expected "
                "Cartesian lines of one plane"
            )
        lines = _imaging(library, dataset)
        slices = 1 + max(int(line.idx.slice) for line in lines)
        chosen = slices // 2 if index is None else index
        ours = [line for line in lines if int(line.idx.slice) == chosen]
        if not ours:
            raise InputError(f"slice {chosen} has no lines; expected 0 to {slices - 1}")
        limits = encoding.encodingLimits.kspace_encoding_step_1
        middle = int(size.y) // 2 if limits is None else int(limits.center)
        data, mask = _placed(ours, int(size.x), int(size.y), middle)
        width = int(encoding.reconSpace.matrixSize.x)
    values = _cut(torch.from_numpy(data), width)
    measured = torch.from_numpy(mask).expand(values.shape[-2:]).clone()
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
    )


def _library(file: Path) -> Any:
    try:
        return import_module("ismrmrd")
    except ImportError:
        raise InputError(
            f"{file} is an ISMRMRD file, which needs the package ismrmrd; install it with "
            'pip install "pnp-recon[mri]", or export k-space as .npy'
        ) from None


def _group(file: Path) -> str:
    """The group that holds the data set."""
    import h5py

    with h5py.File(file, "r") as handle:
        return next(name for name, group in handle.items() if "xml" in group and "data" in group)


def _imaging(library: Any, dataset: Any) -> list[Any]:
    """The lines of the picture; of several contrasts, phases, repetitions and sets the first."""
    apart = [getattr(library, name) for name in _NOT_IMAGING]
    found = []
    for number in range(dataset.number_of_acquisitions()):
        line = dataset.read_acquisition(number)
        first = not any((line.idx.contrast, line.idx.phase, line.idx.repetition, line.idx.set))
        if first and not any(line.is_flag_set(flag) for flag in apart):
            if line.is_flag_set(library.ACQ_IS_REVERSE):
                line.data[:] = line.data[:, ::-1]
            found.append(line)
    if not found:
        raise InputError("holds no line of a picture")
    return found


def _placed(
    lines: list[Any], samples: int, steps: int, middle: int
) -> tuple[NDArray[np.complex64], NDArray[np.bool_]]:
    """(coils, samples, steps), and which steps were measured; repeated lines are averaged."""
    data = np.zeros((lines[0].data.shape[0], samples, steps), np.complex64)
    count = np.zeros(steps, int)
    for line in lines:
        column = int(line.idx.kspace_encode_step_1) - middle + steps // 2
        row = samples // 2 - int(line.center_sample)
        length = line.data.shape[1]
        if not (0 <= column < steps and row >= 0 and row + length <= samples):
            raise InputError(
                f"a line of {length} samples at step {column} does not fit into {samples}×{steps}"
            )
        data[:, row : row + length, column] += line.data
        count[column] += 1
    data /= np.maximum(count, 1).astype(np.float32)
    return data, count > 0


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

"""Small CT slices for the tests of training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

SIDE = 16


def slices(count: int, side: int = SIDE, seed: int = 0) -> Tensor:
    """Discs of water with bones here and there, (count, 1, side, side) in HU."""
    generator = torch.Generator().manual_seed(seed)
    t = torch.linspace(-1, 1, side)
    out = []
    for _ in range(count):
        one = torch.where(t[:, None] ** 2 + t**2 < 0.8, 40.0, -1000.0)
        for _ in range(3):
            y, x, r = (torch.rand(3, generator=generator) - 0.5).tolist()
            one[((t[:, None] - y) ** 2 + (t - x) ** 2).sqrt() < 0.1 + 0.3 * abs(r)] += 400
        out.append(one)
    return torch.stack(out)[:, None]


def save_archive(path: Path, count: int = 12, side: int = 32, **more: object) -> Path:
    """Slices in HU + 1024."""
    values = (slices(count, side) + 1024).squeeze(1).numpy().astype(np.uint16)
    np.savez(path, img=values, **more)
    return path


def write_dicom(path: Path, stored: np.ndarray, **changes: object) -> Path:
    """A CT slice as scanners write it; a change to None leaves the element out."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    elements = {
        "SOPClassUID": CTImageStorage,
        "SOPInstanceUID": "1.2.3",
        "Modality": "CT",
        "PhotometricInterpretation": "MONOCHROME2",
        "SamplesPerPixel": 1,
        "Rows": stored.shape[-2],
        "Columns": stored.shape[-1],
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": 1,
        "RescaleSlope": 2,
        "RescaleIntercept": -1000,
        "PixelSpacing": [0.75, 0.75],
        "PixelData": stored.astype("<i2").tobytes(),
        **changes,
    }
    for name, value in elements.items():
        if value is not None:
            setattr(dataset, name, value)
    dataset.save_as(path, enforce_file_format=True)
    return path

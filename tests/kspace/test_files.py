"""k-space from files: every format gives the same data, and every bad file one clear line."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from operators.mri import centred_fft
from pnp_recon.errors import InputError
from pnp_recon.files import sha256_of
from pnp_recon.kspace import read_kspace, read_maps, with_centred_picture

RNG = np.random.default_rng(0)
SHAPE = (2, 3, 8, 6)  # slices, coils, rows, columns
VOLUME = (RNG.standard_normal(SHAPE) + 1j * RNG.standard_normal(SHAPE)).astype(np.complex64)
LINES = np.array([1, 0, 1, 1, 0, 1], bool)
MEASURED = np.where(LINES, VOLUME, 0)


def write(path: Path, array: np.ndarray = MEASURED, **beside: Any) -> Path:
    if path.suffix == ".npy":
        np.save(path, array)
    elif path.suffix == ".npz":
        np.savez(path, kspace=array, **beside)
    else:
        import h5py

        with h5py.File(path, "w") as file:
            for name, values in {"kspace": array, **beside}.items():
                file[name] = values
    return path


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.h5"])
def test_every_format_gives_a_slice(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name)
    for index, chosen in ((0, 0), (None, 1)):
        scan = read_kspace(path, index)
        assert torch.equal(scan.data, torch.from_numpy(MEASURED[chosen]))
        assert (scan.index, scan.slices, scan.coils) == (chosen, 2, True)
        assert torch.equal(scan.mask, torch.from_numpy(LINES).expand(8, 6))
        assert scan.sha256 == sha256_of(path)
    with pytest.raises(InputError, match="--slice is 2"):
        read_kspace(path, 2)


def test_three_axes_are_coils_in_an_array_and_slices_in_fastmri(tmp_path: Path) -> None:
    coils = read_kspace(write(tmp_path / "a.npy", MEASURED[0]))
    assert coils.coils
    assert coils.data.shape == (3, 8, 6)
    single = read_kspace(write(tmp_path / "a.h5", MEASURED[0]), 2)
    assert not single.coils
    assert torch.equal(single.data, torch.from_numpy(MEASURED[0, 2:]))
    turned = np.ascontiguousarray(MEASURED[0].transpose(2, 1, 0))
    ordered = read_kspace(write(tmp_path / "b.npy", turned), order="xyc")
    assert torch.equal(ordered.data, coils.data)


def test_real_numbers_with_a_last_axis_of_two_are_complex(tmp_path: Path) -> None:
    parts = np.stack([MEASURED.real, MEASURED.imag], -1)
    assert torch.equal(
        read_kspace(write(tmp_path / "a.npz", parts)).data, torch.from_numpy(MEASURED[1])
    )


def test_what_lies_beside_the_array(tmp_path: Path) -> None:
    maps = VOLUME[0] / 3
    picture = RNG.random((2, 8, 6)).astype(np.float32)
    path = write(tmp_path / "a.h5", VOLUME, mask=LINES, sens=maps, reconstruction_rss=picture)
    scan = read_kspace(path, 1)
    assert torch.equal(scan.data, torch.from_numpy(MEASURED[1]))  # what was not measured is zero
    assert scan.maps is not None
    assert torch.equal(scan.maps, torch.from_numpy(maps))
    assert scan.reference is not None
    assert torch.equal(scan.reference, torch.from_numpy(picture[1]))
    assert torch.equal(read_maps(write(tmp_path / "m.npy", maps), (3, 8, 6)), scan.maps)
    with pytest.raises(InputError, match=r"have the shape \(3, 8, 6\)"):
        read_maps(tmp_path / "m.npy", (3, 8, 5))


def test_zero_frequency_in_the_corner(tmp_path: Path) -> None:
    swapped = np.fft.ifftshift(VOLUME[0], axes=(-2, -1))
    scan = read_kspace(write(tmp_path / "a.npy", swapped), corner=True)
    assert torch.equal(scan.data, torch.from_numpy(VOLUME[0]))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.ones((8, 6)), "real; expected complex"),
        (np.full((8, 6), np.nan + 0j), "48 of 48 values are not finite"),
        (np.zeros((8, 6), complex), "nothing but zeros"),
        (np.ones(6, complex), "two to four axes"),
        (np.ones((1, 1, 2, 8, 6), complex), "two to four axes"),
        (np.array([["a"]]), "complex"),
    ],
)
def test_what_is_no_k_space_is_refused(tmp_path: Path, array: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message) as found:
        read_kspace(write(tmp_path / "a.npy", array))
    assert "\n" not in str(found.value)


def test_bad_files_and_names_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_bytes(b"nothing")
    (tmp_path / "a.txt").write_text("nothing")
    several = write(tmp_path / "b.h5", VOLUME, mask=LINES)
    with pytest.raises(InputError, match="damaged"):
        read_kspace(tmp_path / "a.h5")
    with pytest.raises(InputError, match=r"expected k-space in \.npy"):
        read_kspace(tmp_path / "a.txt")
    with pytest.raises(InputError, match="found kspace, mask"):
        read_kspace(several, key="data")
    with pytest.raises(InputError, match="in the order 'scyz'"):
        read_kspace(several, order="scyz")
    wrong = write(tmp_path / "c.npz", VOLUME, mask=LINES[:4])
    with pytest.raises(InputError, match=r"the mask in .* has the shape \(4,\)"):
        read_kspace(wrong)


# ---- ISMRMRD ------------------------------------------------------------------------------------

HEADER = """<?xml version="1.0"?>
<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD">
 <experimentalConditions><H1resonanceFrequency_Hz>1</H1resonanceFrequency_Hz>
 </experimentalConditions>
 <encoding>
  <encodedSpace><matrixSize><x>16</x><y>6</y><z>1</z></matrixSize>
   <fieldOfView_mm><x>2</x><y>1</y><z>1</z></fieldOfView_mm></encodedSpace>
  <reconSpace><matrixSize><x>8</x><y>6</y><z>1</z></matrixSize>
   <fieldOfView_mm><x>1</x><y>1</y><z>1</z></fieldOfView_mm></reconSpace>
  <encodingLimits><kspace_encoding_step_1><minimum>0</minimum><maximum>5</maximum>
   <center>3</center></kspace_encoding_step_1></encodingLimits>
  <trajectory>{trajectory}</trajectory>
 </encoding>
</ismrmrdHeader>"""


def oversampled(data: np.ndarray) -> np.ndarray:
    """The readout (second last axis) of a picture that is padded with zeros to twice its height."""
    axes = {"axes": (-2,)}
    images = np.fft.fftshift(np.fft.ifft(np.fft.ifftshift(data, **axes), axis=-2), **axes)
    wide = np.zeros((*data.shape[:-2], 2 * data.shape[-2], data.shape[-1]), complex)
    wide[..., 4:12, :] = images
    spectra = np.fft.fft(np.fft.ifftshift(wide, **axes), axis=-2) / np.sqrt(2)
    return (np.fft.fftshift(spectra, **axes) * np.sqrt(2)).astype(np.complex64)


def write_ismrmrd(path: Path, trajectory: str = "cartesian") -> Path:
    library = pytest.importorskip("ismrmrd")
    wide = oversampled(VOLUME)
    with library.Dataset(str(path), "dataset", mode="w") as file:
        file.write_xml_header(HEADER.format(trajectory=trajectory).encode())
        for kind, times in (("noise", 1), ("line", 2)):
            for number in range(2):
                for column in np.flatnonzero(LINES):
                    for repeat in range(times):
                        away = 1 if repeat else -1
                        values = wide[number, ..., column] * (1 + 0.5 * away)
                        line = library.Acquisition.from_array(np.ascontiguousarray(values))
                        line.idx.kspace_encode_step_1 = int(column)
                        line.idx.slice = number
                        line.center_sample = 8
                        if kind == "noise":
                            line.set_flag(library.ACQ_IS_NOISE_MEASUREMENT)
                        file.append_acquisition(line)
    return path


def test_ismrmrd_puts_lines_where_they_belong(tmp_path: Path) -> None:
    scan = read_kspace(write_ismrmrd(tmp_path / "a.h5"), 1)
    # The readout is cut by orthonormal transforms: a plain one would be √2 of it.
    wanted = torch.from_numpy(MEASURED[1]) * 2**0.5
    assert torch.allclose(scan.data, wanted, atol=1e-5)
    assert torch.equal(scan.mask, torch.from_numpy(LINES).expand(8, 6))
    assert (scan.slices, scan.coils) == (2, True)
    with pytest.raises(InputError, match="expected 0 to 1"):
        read_kspace(tmp_path / "a.h5", 4)


def test_spirals_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="spiral trajectory"):
        read_kspace(write_ismrmrd(tmp_path / "a.h5", "spiral"))


def test_without_the_library_the_message_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import h5py

    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file.create_group("dataset")
        group["xml"], group["data"] = "x", [1]
    monkeypatch.setitem(sys.modules, "ismrmrd", None)
    with pytest.raises(InputError, match=r'pip install "pnp-recon\[mri\]"'):
        read_kspace(tmp_path / "a.h5")
    monkeypatch.setitem(sys.modules, "ismrmrd", SimpleNamespace())
    with pytest.raises(InputError, match="no lines"):
        read_kspace(tmp_path / "a.h5")


# ---- masks, maps and conventions that a file may get wrong ---------------------------------------


@pytest.mark.parametrize("shape", [(1, 6), (1, 1, 6, 1), (1, 8, 6), (8, 6)])
def test_a_mask_may_have_axes_of_one(tmp_path: Path, shape: tuple[int, ...]) -> None:
    mask = np.broadcast_to(LINES, (8, 6)) if 8 in shape else LINES
    scan = read_kspace(write(tmp_path / "a.npz", VOLUME, mask=255 * mask.reshape(shape)))
    assert torch.equal(scan.mask, torch.from_numpy(LINES).expand(8, 6))
    assert scan.doubts == ()


@pytest.mark.parametrize("mask", [np.linspace(0, 1, 6), np.full(6, np.nan), -1.0 * LINES])
def test_a_mask_that_is_not_binary_is_refused(tmp_path: Path, mask: np.ndarray) -> None:
    with pytest.raises(InputError, match="not binary"):
        read_kspace(write(tmp_path / "a.npz", VOLUME, mask=mask))


def test_zeros_that_a_mask_calls_measured_are_said(tmp_path: Path) -> None:
    scan = read_kspace(write(tmp_path / "a.npz", MEASURED, mask=np.ones(6)))
    assert "33.3% of the frequencies" in "".join(scan.doubts)


def test_maps_of_every_slice_of_one_coil_and_of_another_size(tmp_path: Path) -> None:
    every = read_kspace(write(tmp_path / "a.npz", VOLUME, maps=2 * VOLUME), 1)
    assert every.maps is not None
    assert torch.equal(every.maps, torch.from_numpy(2 * VOLUME[1]))
    one = read_kspace(write(tmp_path / "b.npz", VOLUME[0, 0], maps=VOLUME[0, 1]))
    assert one.coils  # the map of one coil has a phase
    assert one.maps is not None
    assert torch.equal(one.maps, torch.from_numpy(VOLUME[0, 1:2]))
    other = read_kspace(write(tmp_path / "c.npz", VOLUME, maps=VOLUME[0, :2]))
    assert other.maps is None
    assert "coil maps maps have the shape (2, 8, 6)" in "".join(other.doubts)
    assert torch.equal(read_maps(write(tmp_path / "m.npy", VOLUME[0, 1]), (1, 8, 6)), one.maps)


@pytest.mark.parametrize("size", [(8, 6), (7, 9), (9, 6)])
def test_a_picture_whose_transform_began_in_its_corner(size: tuple[int, int]) -> None:
    picture = RNG.standard_normal((2, *size)) + 1j * RNG.standard_normal((2, *size))
    plain = np.fft.fftshift(np.fft.fft2(picture, norm="ortho"), (-2, -1))
    centred = centred_fft(torch.from_numpy(picture))
    assert torch.allclose(with_centred_picture(torch.from_numpy(plain)), centred)
    assert not torch.allclose(torch.from_numpy(plain), centred)
    assert torch.allclose(torch.from_numpy(plain).abs(), centred.abs())  # masks stay


def test_coils_that_come_last_are_not_taken_for_columns(tmp_path: Path) -> None:
    last = np.moveaxis(np.tile(VOLUME[0], (4, 3, 4)), 0, -1)  # 24 rows, 24 columns, 12 coils
    path = write(tmp_path / "a.npy", last)
    with pytest.raises(InputError, match="24 coils of 24×12; give --order, such as yxc"):
        read_kspace(path)
    assert read_kspace(path, order="yxc").data.shape == (12, 24, 24)
    assert read_kspace(path, order="cyx").data.shape == (24, 24, 12)
    assert read_kspace(write(tmp_path / "b.npy", last.T)).data.shape == (12, 24, 24)

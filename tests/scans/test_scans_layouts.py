"""Links, NXtomo, Data Exchange, structs, folders, and slices that are read without the rest."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
import torch

from pnp_recon.errors import InputError
from pnp_recon.scans import read_scan
from support.pictures import assert_one_line

VIEWS, SLICES, DETECTORS = 24, 3, 20
RNG = np.random.default_rng(0)
COUNTS = RNG.integers(100, 900, (VIEWS, SLICES, DETECTORS)).astype(np.uint16)
FLAT = np.full((3, SLICES, DETECTORS), 1000, np.uint16)
DEGREES = np.arange(VIEWS) * 7.5
EXPECTED = torch.from_numpy(COUNTS.astype(np.float32)).transpose(0, 1)


def check(path: Path, **options: object) -> None:
    scan = read_scan(path, **options)  # type: ignore[arg-type]
    assert torch.equal(scan.data, EXPECTED)
    assert scan.angles is not None
    assert torch.allclose(scan.angles, torch.from_numpy(np.deg2rad(DEGREES)))
    assert scan.flat is not None
    assert bool((scan.flat == 1000).all())
    assert tuple(scan.flat.shape) == (3, SLICES, DETECTORS)


# ---- links and virtual data sets ---------------------------------------------------------------


@pytest.mark.parametrize("how", ["hard", "soft", "external"])
def test_links_are_followed(tmp_path: Path, how: str) -> None:
    store = tmp_path / "store.h5" if how == "external" else tmp_path / "a.h5"
    with h5py.File(store, "w") as file:
        file["entry/data"], file["entry/flat"], file["entry/angle"] = COUNTS, FLAT, DEGREES
    with h5py.File(tmp_path / "a.h5", "a") as file:
        file.create_group("exchange")["loop"] = h5py.SoftLink("/exchange")
        for name, where in (("data", "data"), ("data_white", "flat"), ("theta", "angle")):
            target = f"/entry/{where}"
            file[f"exchange/{name}"] = {
                "hard": lambda t: file[t],
                "soft": h5py.SoftLink,
                "external": lambda t: h5py.ExternalLink("store.h5", t),
            }[how](target)
    check(tmp_path / "a.h5")
    if how == "external":
        store.unlink()
        with pytest.raises(InputError) as caught:
            read_scan(tmp_path / "a.h5")
        assert_one_line(caught.value, "link to /entry/data in store.h5, which is not there")


def test_one_array_by_two_names_is_one(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["raw/stack"] = COUNTS
        file["link"] = file["raw/stack"]
        file["again"] = h5py.SoftLink("/raw/stack")
    assert torch.equal(read_scan(tmp_path / "a.h5", order="asd").data, EXPECTED)
    with h5py.File(tmp_path / "a.h5", "a") as file:
        file["other"] = COUNTS
    with pytest.raises(InputError, match="several arrays"):
        read_scan(tmp_path / "a.h5", order="asd")


def test_the_sinogram_among_other_arrays(tmp_path: Path) -> None:
    """As MATLAB structs keep it, among single numbers, and as simulations, beside the phantom."""
    from scipy.io import savemat

    lines = COUNTS[:, 0] / np.float32(1000)
    numbers = {"angles": np.deg2rad(DEGREES), "distance": 410.66, "sizes": np.ones((1, 5))}
    scan = {"type": "2D", "sinogram": lines, "parameters": numbers}
    savemat(tmp_path / "a.mat", {"CtDataFull": scan})
    savemat(tmp_path / "b.mat", {"m": lines, "pixel": 0.1, "angles": np.deg2rad(DEGREES)})
    np.savez(tmp_path / "c.npz", sinogram=lines, phantom=np.ones((8, 8)), theta=DEGREES)
    for path in tmp_path.iterdir():
        found = read_scan(path)
        assert np.array_equal(found.data[0].numpy(), lines)
        assert found.angles is not None
        assert np.allclose(found.angles.numpy(), np.deg2rad(DEGREES))


def test_a_virtual_data_set_without_its_source_is_refused(tmp_path: Path) -> None:
    """HDF5 would read zeros."""
    with h5py.File(tmp_path / "part.h5", "w") as file:
        file["data"] = COUNTS
    layout = h5py.VirtualLayout(COUNTS.shape, "u2")
    layout[:] = h5py.VirtualSource("part.h5", "data", COUNTS.shape)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_virtual_dataset("exchange/data", layout)
        file["exchange/data_white"], file["exchange/theta"] = FLAT, DEGREES
    check(tmp_path / "a.h5")
    (tmp_path / "part.h5").rename(tmp_path / "moved.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        assert int(file["exchange/data"][()].max()) == 0
    with pytest.raises(InputError) as caught:
        read_scan(tmp_path / "a.h5")
    assert_one_line(caught.value, "put together from other files", "part.h5", "would be zeros")


# ---- formats -----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [VIEWS, VIEWS + 2])
def test_data_exchange_with_a_rotation_in_steps(tmp_path: Path, number: int) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["exchange/data"], file["exchange/data_white"] = COUNTS, FLAT
        rotation = file.create_group("process/acquisition/rotation")
        rotation["rotation_start"], rotation["rotation_step"] = [0.0], [7.5]
        rotation["num_angles"] = number
    check(tmp_path / "a.h5")
    assert len(read_scan(tmp_path / "a.h5").doubts) == (number != VIEWS)


@pytest.mark.parametrize("old", [True, False])
def test_structs_of_matlab(tmp_path: Path, old: bool) -> None:
    path = tmp_path / "a.mat"
    sinogram = COUNTS[:, 0].astype(float) / 1000
    if old:
        from scipy.io import savemat

        inner = {"sinogram": sinogram, "parameters": {"anglesDeg": DEGREES, "name": "disc"}}
        savemat(path, {"CtData": inner})
    else:
        with h5py.File(path, "w") as file:
            file["CtData/sinogram"] = sinogram.T
            file["CtData/parameters/anglesDeg"] = DEGREES[:, None]
    scan = read_scan(path)
    assert scan.key == "CtData.sinogram"
    assert torch.allclose(scan.data[0], torch.from_numpy(sinogram).float())
    assert scan.angles is not None
    assert torch.allclose(scan.angles, torch.from_numpy(np.deg2rad(DEGREES)))


@pytest.mark.parametrize(
    ("name", "in_degrees"),
    [("anglesRad", False), ("angles_rad", False), ("thetaDeg", True), ("Theta", True),
     ("projection_angles", False), ("rotation_angles", True), ("angleDegrees", True)],
)  # fmt: skip
def test_names_of_angles(tmp_path: Path, name: str, in_degrees: bool) -> None:
    from scipy.io import savemat

    radians = np.deg2rad(DEGREES)
    savemat(tmp_path / "a.mat", {"m": COUNTS[:, 0] / 1e3, name: DEGREES if in_degrees else radians})
    scan = read_scan(tmp_path / "a.mat")
    assert scan.angles is not None
    assert torch.allclose(scan.angles, torch.from_numpy(radians))


def test_angles_by_another_name_and_two_that_differ(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    radians = np.deg2rad(DEGREES)
    np.savez(path, sinogram=COUNTS[:, 0] / 1e3, positions=radians, number=np.array(3.0))
    assert read_scan(path).angles is None
    found = read_scan(path, angles_key="positions").angles
    assert found is not None
    assert torch.allclose(found, torch.from_numpy(radians))
    with pytest.raises(InputError, match="no list of angles 'nothing'; choose one of: positions"):
        read_scan(path, angles_key="nothing")
    np.savez(path, sinogram=COUNTS[:, 0] / 1e3, angles=radians, angles_deg=DEGREES)
    assert read_scan(path).angles is not None  # the same in both units
    np.savez(path, sinogram=COUNTS[:, 0] / 1e3, angles=radians, angles_deg=DEGREES + 5)
    with pytest.raises(InputError, match="which differ; choose one with --angles-key"):
        read_scan(path)


def test_a_folder_of_projections(tmp_path: Path) -> None:
    folder = tmp_path / "scan"
    folder.mkdir()
    for kind, stack in (("proj_", COUNTS), ("flat", FLAT), ("dark", FLAT // 100)):
        for number, page in enumerate(stack):
            tifffile.imwrite(folder / f"{kind}{number}.tif", page)  # 10 comes after 9
    scan = read_scan(folder)
    assert torch.equal(scan.data, EXPECTED)
    assert scan.flat is not None
    assert scan.dark is not None
    assert (int(scan.flat[0, 0, 0]), int(scan.dark[0, 0, 0]), scan.kind) == (1000, 10, "counts")
    assert torch.equal(read_scan(folder, slices=slice(2, 3)).data, EXPECTED[2:])
    before = scan.sha256
    tifffile.imwrite(folder / "proj_3.tif", COUNTS[0])
    assert read_scan(folder).sha256 != before
    tifffile.imwrite(folder / "proj_4.tif", COUNTS[0, :, :5])
    with pytest.raises(InputError, match=r"proj_4\.tif has the shape \(3, 5\)"):
        read_scan(folder)
    (folder / "proj_4.tif").write_bytes(b"II*\0broken")
    with pytest.raises(InputError, match=r"proj_4\.tif "):
        read_scan(folder)
    tifffile.imwrite(folder / "other_1.tif", COUNTS[0])
    with pytest.raises(InputError, match="several names"):
        read_scan(folder)


@pytest.mark.parametrize("name", ["disk_", "reflex_", "diamond", "i0", "whitebread_", "iodine-"])
def test_projections_whose_name_begins_like_that_of_a_field(tmp_path: Path, name: str) -> None:
    for kind, stack in ((name, COUNTS), ("flat_", FLAT), ("di", FLAT // 100)):
        for number, page in enumerate(stack):
            tifffile.imwrite(tmp_path / f"{kind}{number:03}.tif", page)
    scan = read_scan(tmp_path)
    assert torch.equal(scan.data, EXPECTED)
    assert scan.flat is not None
    assert scan.dark is not None


@pytest.mark.parametrize("name", ["flatfield_", "Flat-before-", "white fields ", "i0_", "io", "ff"])
def test_every_name_of_a_field(tmp_path: Path, name: str) -> None:
    for kind, stack in (("proj", COUNTS), (name, FLAT)):
        for number, page in enumerate(stack):
            tifffile.imwrite(tmp_path / f"{kind}{number:03}.tif", page)
    scan = read_scan(tmp_path)
    assert torch.equal(scan.data, EXPECTED)
    assert scan.flat is not None


@pytest.mark.parametrize("pages", [2, 3, 4, 5])
def test_as_many_pages_as_a_picture_has_colours(tmp_path: Path, pages: int) -> None:
    """tifffile marks three float pages as planes of one RGB picture, unless it is told."""
    stack = np.arange(pages * 90 * 8, dtype=np.float32).reshape(pages, 90, 8)
    planes = {"photometric": "rgb", "planarconfig": "separate"} if pages in (3, 4) else {}
    tifffile.imwrite(tmp_path / "a.tif", stack, **planes)
    assert np.array_equal(read_scan(tmp_path / "a.tif").data.numpy(), stack)
    one = read_scan(tmp_path / "a.tif", slices=slice(1, 2))
    assert np.array_equal(one.data.numpy(), stack[1:2])
    tifffile.imwrite(tmp_path / "b.tif", np.ones((90, 8, 3), np.uint8), photometric="rgb")
    with pytest.raises(InputError, match="colour picture"):
        read_scan(tmp_path / "b.tif")


# ---- slices ------------------------------------------------------------------------------------


def test_a_slice_of_a_scan_that_no_memory_holds(tmp_path: Path) -> None:
    """15 GB in a file of a few kilobytes, never more than a slice of it in memory."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        for name, views, value in (("data", 1800, 500), ("data_white", 2, 1000)):
            file.create_dataset(
                f"exchange/{name}", (views, 2048, 2048), "u2", chunks=(1, 2048, 2048),
                fillvalue=value,
            )  # fmt: skip
        file["exchange/theta"] = np.arange(1800) * 0.1
    scan = read_scan(path, slices=slice(1000, 1001))
    assert tuple(scan.data.shape) == (1, 1800, 2048)
    assert scan.flat is not None
    assert tuple(scan.flat.shape) == (2, 1, 2048)
    assert (float(scan.data.max()), float(scan.flat.max())) == (500, 1000)
    with pytest.raises(InputError, match="of memory"):
        read_scan(path, slices=slice(0, 2000))
    with pytest.raises(InputError, match="holds 2048 slices, 0 to 2047") as refused:
        read_scan(path, slices=slice(2048, 2049))
    assert str(refused.value).count(path.name) == 1


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".mat", ".v73.mat", ".h5", ".tif"])
def test_slices_of_every_format(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    stack = COUNTS / np.float32(1000)
    if suffix == ".npy":
        np.save(path, stack)
    elif suffix == ".npz":
        np.savez(path, stack=stack)
    elif suffix == ".mat":
        from scipy.io import savemat

        savemat(path, {"stack": stack})
    elif suffix == ".tif":
        tifffile.imwrite(path, stack)
    else:
        with h5py.File(path, "w") as file:
            file["stack"] = stack.T if suffix == ".v73.mat" else stack
    for order in ("asd", "sad", "dsa"):
        whole = read_scan(path, order=order).data
        assert torch.equal(read_scan(path, order=order, slices=slice(1, 3)).data, whole[1:3])

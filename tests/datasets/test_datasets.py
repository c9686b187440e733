"""Which pictures are trained, tuned and measured on; shipped files; the fetch script."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import tarfile
import zipfile
from pathlib import Path

import pytest
import torch
from PIL import Image

from pnp_recon.datasets import splits
from pnp_recon.datasets.folders import load_float, load_stack
from pnp_recon.datasets.splits import BSD68, PictureFolder
from pnp_recon.errors import InputError
from pnp_recon.files import find_shipped, sha256_of, shipped
from pnp_recon.pictures.files import read_picture

ROOT = Path(__file__).resolve().parents[2]


def jpeg(value: int = 0) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 3), (value, 0, 0)).save(buffer, "JPEG")
    return buffer.getvalue()


def bsds_names() -> list[str]:
    """The 500 true names, as the checksum file lists them."""
    lines = (ROOT / "data" / "bsds500.sha256").read_text().splitlines()
    return [line.split()[1] for line in lines]


@pytest.fixture(scope="module")
def bsds(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("bsds500")
    for name in bsds_names():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(jpeg())
    return folder


def test_splits_of_bsds500(bsds):
    training = splits.training_pictures(bsds)
    validation = splits.validation_pictures(bsds)
    test = splits.test_pictures(bsds)
    bsd68 = splits.bsd68(bsds)
    assert [len(part) for part in (training, validation, test, bsd68)] == [232, 32, 200, 68]
    assert set(validation) < set(training)
    assert not set(training) & (set(test) | set(bsd68))
    assert {path.parent.name for path in bsd68} == {"val"}
    held = splits.training_pictures(bsds, hold_back=True)
    assert set(held) == set(training) - set(validation)
    assert training == sorted(training[:200]) + sorted(training[200:])
    assert len(PictureFolder(bsds, "bsd68")) == len(set(BSD68)) == 68


def test_a_missing_picture_and_a_false_list_are_noticed(bsds, tmp_path):
    copy = tmp_path / "copy"
    for name in bsds_names():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).symlink_to(bsds / name)
    listing = copy / "bsd68.json"
    listing.write_text(json.dumps({"bsd68": [f"val/{name}" for name in BSD68]}))
    assert len(splits.bsd68(copy)) == 68
    listing.write_text(json.dumps({"bsd68": ["val/101085"]}))
    with pytest.raises(InputError, match="other pictures"):
        splits.bsd68(copy)
    listing.write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        splits.training_pictures(copy)
    listing.unlink()
    (copy / "val" / f"{BSD68[0]}.jpg").rename(copy / "val" / "1.jpg")  # the number is still 100
    with pytest.raises(InputError, match="more missing"):
        splits.bsd68(copy)
    (copy / "test" / "2018.jpg").unlink()
    with pytest.raises(InputError, match="199 pictures; expected 200"):
        splits.test_pictures(copy)


def test_other_folders(bsds, tmp_path):
    for name in ("b.png", "a.jpg", "notes.txt"):
        (tmp_path / name).write_bytes(jpeg())
    found = splits.training_pictures(tmp_path, hold_back=True)
    assert [path.name for path in found] == ["a.jpg", "b.png"]
    with pytest.raises(InputError, match="is not BSDS500"):
        splits.validation_pictures(tmp_path)
    with pytest.raises(InputError, match=r"Berkeley.*fetch_bsds500"):
        splits.training_pictures(tmp_path / "none")
    with pytest.raises(InputError, match="split is 'tset'"):
        PictureFolder(tmp_path, "tset")
    with pytest.raises(InputError, match="test pictures"):
        splits.training_pictures(bsds / "test")
    assert len(splits.training_pictures(bsds / "train")) == 200


def test_load_stack_and_load_float():
    path = shipped("samples/coffee.png")
    colour = load_stack([path], grey=False)[0]
    assert (colour.dtype, tuple(colour.shape)) == (torch.uint8, (3, 320, 480))
    assert torch.equal(colour.float() / 255, load_float(path, grey=False)[0])
    grey = load_stack([path], grey=True)[0]
    exact = load_float(path, grey=True)[0]
    difference = (grey.float() / 255 - exact).abs().max()
    assert 0 < difference <= 0.5001 / 255
    spread = load_float(shipped("samples/camera.png"), grey=False)
    assert spread.shape == (1, 3, 384, 384)
    assert torch.equal(spread[:, 0], spread[:, 2])


# ---- Shipped files -------------------------------------------------------------------------


def test_samples_are_as_documented():
    readme = (ROOT / "data" / "README.md").read_text()
    names = sorted(path.name for path in shipped("samples").iterdir())
    assert names == ["camera.png", "chelsea.png", "coffee.png"]
    for name in names:
        path = shipped(f"samples/{name}")
        assert f"`{sha256_of(path)}`" in readme
        assert path.stat().st_size < 300_000
        assert read_picture(path).bit_depth == 8


def test_shipped_in_a_wheel_and_in_a_checkout(tmp_path):
    checkout = tmp_path / "checkout"
    wheel = tmp_path / "site-packages"
    for path in (
        checkout / "data/samples/a.png",
        checkout / "trained_models/m.json",
        wheel / "pnp_recon/_shipped/samples/a.png",
        wheel / "data/samples/foreign.png",  # somebody else's, no pyproject.toml beside it
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    (checkout / "pyproject.toml").touch()
    assert find_shipped("samples/a.png", checkout / "pnp_recon").parent.name == "samples"
    assert find_shipped("trained_models", checkout / "pnp_recon").is_dir()
    assert "_shipped" in str(find_shipped("samples/a.png", wheel / "pnp_recon"))
    with pytest.raises(InputError, match=r"samples holds a\.png"):
        find_shipped("samples/foreign.png", wheel / "pnp_recon")
    with pytest.raises(InputError, match="reinstall"):
        find_shipped("trained_models/m.json", wheel / "pnp_recon")
    for name in (
        "../errors.py",
        "samples/../../pyproject.toml",
        "samples//etc/passwd",
        "errors.py",
    ):
        with pytest.raises(InputError, match="not the name of a shipped file"):
            find_shipped(name, checkout / "pnp_recon")


def test_sha256_of(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_of(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()
    with pytest.raises(InputError, match="cannot read"):
        sha256_of(tmp_path / "b")


# ---- The fetch script ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def script():
    path = ROOT / "scripts" / "data" / "fetch_bsds500.py"
    spec = importlib.util.spec_from_file_location("fetch_bsds500", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("kind", ["folder", "tgz", "zip"])
def test_lay_out(script, tmp_path, kind):
    pictures = {"train/1.jpg": jpeg(1), "val/2.jpg": jpeg(2), "test/3.jpg": jpeg(3)}
    checksums = {name: hashlib.sha256(data).hexdigest() for name, data in pictures.items()}
    source = tmp_path / f"source.{kind}"
    inside = {f"BSR/BSDS500/data/images/{name}": data for name, data in pictures.items()}
    inside["BSR/BSDS500/data/images/train/Thumbs.db"] = b"x"
    if kind == "folder":
        for name, data in inside.items():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes(data)
    elif kind == "tgz":
        with tarfile.open(source, "w:gz") as archive:
            for name, data in {**inside, "../../train/1.jpg": jpeg(9)}.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    else:
        with zipfile.ZipFile(source, "w") as archive:
            for name, data in inside.items():
                archive.writestr(name, data)
    target = tmp_path / "target"
    assert script.lay_out(source, target, checksums) == 3
    files = sorted(path.relative_to(target).as_posix() for path in target.rglob("*.*"))
    assert files == ["bsd68.json", *sorted(pictures)]
    assert all((target / name).read_bytes() == data for name, data in pictures.items())
    assert script.lay_out(source, target, checksums) == 0

    (target / "val/2.jpg").write_bytes(b"damaged")
    assert script.lay_out(source, target, checksums) == 1
    wrong = {**checksums, "val/2.jpg": "0" * 64}
    with pytest.raises(InputError, match="differ from the expected SHA-256"):
        script.lay_out(source, target, wrong)


def test_fetch_explains_itself(script, tmp_path, capsys):
    (tmp_path / "a.tgz").write_bytes(b"no archive")
    (tmp_path / "void").mkdir()
    address = "http://127.0.0.1:9/BSR_bsds500.tgz"  # nothing listens there
    for more, word in (
        (["--from", str(tmp_path / "none")], "does not exist"),
        (["--from", str(tmp_path / "a.tgz")], "archive"),
        (["--from", str(tmp_path / "void")], "500 of 500 pictures are missing"),
        (["--address", address], "--from PATH"),
    ):
        assert script.main(["--to", str(tmp_path / "out"), *more]) == 2
        output = capsys.readouterr()
        assert output.out == ""
        assert word in output.err
        assert len(output.err.splitlines()) == 1

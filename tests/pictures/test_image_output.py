"""Pictures are written whole or not at all, and never over the input."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import torch

from pnp_recon import files
from pnp_recon.errors import InputError, OutputError
from pnp_recon.pictures.files import read_picture, write_picture
from support.pictures import assert_one_line


def test_existing_files_are_kept_unless_asked(tmp_path):
    path = tmp_path / "a.png"
    write_picture(path, torch.zeros(1, 1, 3, 3))
    before = path.read_bytes()
    with pytest.raises(OutputError, match="exists already"):
        write_picture(path, torch.ones(1, 1, 3, 3))
    assert path.read_bytes() == before
    write_picture(path, torch.ones(1, 1, 3, 3), overwrite=True)
    assert path.read_bytes() != before


@pytest.mark.parametrize("alias", ["same", "symbolic", "hard", "dots"])
def test_the_input_is_never_overwritten(tmp_path, alias):
    source = tmp_path / "a.png"
    write_picture(source, torch.zeros(1, 3, 3, 3))
    picture = read_picture(source)
    target = source
    if alias == "symbolic":
        target = tmp_path / "link.png"
        target.symlink_to(source)
    elif alias == "hard":
        target = tmp_path / "hard.png"
        os.link(source, target)
    elif alias == "dots":
        (tmp_path / "sub").mkdir()
        target = tmp_path / "sub" / ".." / "a.png"
    with pytest.raises(OutputError, match="input itself"):
        write_picture(target, picture.pixels + 1, picture, overwrite=True)
    assert files.sha256_of(source) == picture.sha256


def test_output_refusals(tmp_path, monkeypatch):
    pixels = torch.zeros(1, 3, 4, 4)
    (tmp_path / "folder.png").mkdir()
    for path, word in (
        (tmp_path / "missing" / "a.png", "does not exist"),
        (tmp_path / "folder.png", "is a folder"),
        (tmp_path / "a.gif", "'.gif'"),
        (tmp_path / "a", "no suffix"),
        (tmp_path / ("a" * 300 + ".png"), "too long"),
        ("/proc/picture.png", "cannot write"),  # no file can be made there, not even by root
    ):
        with pytest.raises(OutputError) as caught:
            write_picture(path, pixels)
        assert_one_line(caught.value, word)
    with pytest.raises(OutputError, match="not finite"):
        write_picture(tmp_path / "a.png", pixels * torch.nan)
    for shape in ((3, 4, 4), (2, 3, 4, 4), (1, 2, 4, 4), (1, 3, 0, 4)):
        with pytest.raises(InputError, match="expected"):
            write_picture(tmp_path / "a.png", torch.zeros(shape))
    with pytest.raises(InputError, match="quality"):
        write_picture(tmp_path / "a.jpg", pixels, quality=0)
    with pytest.raises(OutputError, match="16383"):
        write_picture(tmp_path / "a.webp", torch.zeros(1, 1, 1, 16384))
    with pytest.raises(OutputError, match="JPEG does not hold"):
        write_picture(tmp_path / "a.jpg", torch.zeros(1, 1, 1, 70000))
    assert [path.name for path in tmp_path.iterdir()] == ["folder.png"]


def test_devices_are_not_replaced():
    with pytest.raises(OutputError, match="not a regular file"):
        files.atomic_write("/dev/null", b"x")
    assert not Path("/dev/null").is_file()


def naive_write(path: Path, data: Callable[[BinaryIO], object]) -> None:
    with open(path, "wb") as handle:
        data(handle)


@pytest.mark.parametrize("old", [None, b"the old picture"])
@pytest.mark.parametrize("failure", ["full", "interrupt", "rename"])
def test_atomic_write_fails_whole(tmp_path, monkeypatch, old, failure):
    path = tmp_path / "result.bin"
    if old is not None:
        path.write_bytes(old)

    def half(handle: BinaryIO) -> None:
        handle.write(b"half of the new")
        handle.flush()
        if failure == "full":
            raise OSError(errno.ENOSPC, "No space left on device")
        if failure == "interrupt":
            raise KeyboardInterrupt

    if failure == "rename":

        def refuse(*names: Any) -> None:
            raise OSError(errno.EROFS, "Read-only file system")

        monkeypatch.setattr(os, "replace", refuse)
    expected = KeyboardInterrupt if failure == "interrupt" else OutputError
    with pytest.raises(expected) as caught:
        files.atomic_write(path, half)
    if failure == "full":
        assert_one_line(caught.value, "the disk is full", "result.bin")
    if failure == "rename":
        assert_one_line(caught.value, "read-only")

    def state() -> dict[str, bytes]:
        return {item.name: item.read_bytes() for item in tmp_path.iterdir()}

    untouched = {} if old is None else {"result.bin": old}
    assert state() == untouched
    if failure != "rename":  # the twin: a plain write is caught by the same check
        with pytest.raises((OSError, KeyboardInterrupt)):
            naive_write(path, half)
        assert state() != untouched


def test_picture_on_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="disk is full"):
        write_picture(tmp_path / "a.png", torch.zeros(1, 3, 4, 4))
    assert list(tmp_path.iterdir()) == []


def test_atomic_write_follows_links_and_keeps_permissions(tmp_path):
    target = tmp_path / "target.txt"
    target.write_text("old")
    target.chmod(0o640)
    link = tmp_path / "link.txt"
    link.symlink_to(target)
    files.atomic_write(link, "new ä")
    assert link.is_symlink()
    assert target.read_text(encoding="utf-8") == "new ä"
    assert target.stat().st_mode & 0o777 == 0o640
    mask = os.umask(0o027)
    try:
        files.atomic_write(tmp_path / "fresh", b"x")
    finally:
        os.umask(mask)
    assert (tmp_path / "fresh").stat().st_mode & 0o777 == 0o640

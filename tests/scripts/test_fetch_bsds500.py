"""The fetch script: from a server, an archive or a folder, and what it says of what is lacking."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pnp_recon.datasets import bsds500
from scripts.data import fetch_bsds500 as script
from support.broken_server import Server, serving

PICTURES = {f"{part}/{number}.jpg": bytes([number]) * 500
            for part, numbers in (("train", (1, 2, 3)), ("val", (4, 5)), ("test", (6, 7)))
            for number in numbers}  # fmt: skip


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "*")
    with serving() as state:
        yield state


@pytest.fixture
def seven(monkeypatch) -> None:
    """BSDS500 of seven pictures."""
    sums = {key: hashlib.sha256(data).hexdigest() for key, data in PICTURES.items()}
    monkeypatch.setattr(bsds500, "checksums", lambda: sums)


def packed(pictures: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=0) as archive:
        for key, data in pictures.items():
            member = tarfile.TarInfo(f"BSR/BSDS500/data/images/{key}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def laid(folder: Path, pictures: dict[str, bytes], flat: bool = False) -> Path:
    for key, data in pictures.items():
        path = folder / (Path(key).name if flat else key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def run(capsys, *arguments: object) -> tuple[int, str]:
    """Exit code and all that was printed."""
    code = script.main([str(argument) for argument in arguments])
    output = capsys.readouterr()
    assert bool(output.out) == (code == 0)
    return code, output.out + output.err


@pytest.mark.usefixtures("seven")
def test_fetch_from_a_server_that_breaks_off(server, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    server.content = packed(PICTURES)
    server.cuts = [3000]
    folder = tmp_path / "new" / "bsds500"
    code, said = run(capsys, "--to", folder, "--address", server.address)
    assert code == 0
    assert "3000 bytes are at hand, trying again in 2 s" in said
    assert "7 pictures verified (train 3 of 3, val 2 of 2, test 2 of 2), 7 of them copied" in said
    assert {path.name for path in folder.iterdir()} == {"train", "val", "test", "bsd68.json"}
    assert all((folder / key).read_bytes() == data for key, data in PICTURES.items())
    code, said = run(capsys, "--to", folder, "--address", server.address)
    assert (code, len(server.asked)) == (0, 2)  # nothing is lacking: nothing is downloaded
    assert "0 of them copied" in said


@pytest.mark.usefixtures("seven")
def test_the_server_has_something_else(server, tmp_path, capsys):
    for content, word in (
        (b"<html>moved</html>", "is not a folder or a .tgz"),
        (packed({**PICTURES, "val/4.jpg": b"other"}), "1 of 7 pictures differ"),
        (packed(PICTURES)[:2500], "is damaged"),
    ):
        server.content = content
        code, said = run(capsys, "--to", tmp_path / "out", "--address", server.address)
        assert code == 2
        assert "what http://127.0.0.1" in said
        assert word in said
        assert len(said.splitlines()) == 1
        assert not list((tmp_path / "out").glob("*.tgz*"))  # it is not taken again
    assert "right are train 3 of 3, val 1 of 2, test 2 of 2" in said  # what was right has stayed


@pytest.mark.usefixtures("seven")
def test_an_archive_that_was_left_is_used(server, tmp_path, capsys):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / script.ARCHIVE).write_bytes(packed(PICTURES))
    assert run(capsys, "--to", folder, "--address", server.address)[0] == 0
    assert server.asked == []
    assert not (folder / script.ARCHIVE).exists()


@pytest.mark.usefixtures("seven")
@pytest.mark.parametrize("flat", [False, True])
def test_from_a_folder_in_any_layout(tmp_path, capsys, flat):
    inside = tmp_path / "here" if flat else tmp_path / "here" / "BSR/BSDS500/data/images"
    laid(inside, PICTURES, flat)
    code, _ = run(capsys, "--to", tmp_path / "out", "--from", tmp_path / "here")
    assert code == 0
    assert all((tmp_path / "out" / key).read_bytes() == data for key, data in PICTURES.items())


@pytest.mark.usefixtures("seven")
def test_a_folder_is_completed_in_its_own_layout(tmp_path, capsys):
    half = {key: data for key, data in PICTURES.items() if key not in ("train/1.jpg", "test/6.jpg")}
    folder = laid(tmp_path / "flat", {**half, "val/4.jpg": b"damaged"}, flat=True)
    source = laid(tmp_path / "source", PICTURES)
    code, said = run(capsys, "--to", folder, "--from", source)
    assert (code, "3 of them copied" in said) == (0, True)
    assert {path.name for path in folder.iterdir()} == {
        *(Path(key).name for key in PICTURES),
        "bsd68.json",
    }
    assert run(capsys, "--check", folder)[0] == 0


@pytest.mark.usefixtures("seven")
@pytest.mark.parametrize("flat", [False, True])
def test_check(tmp_path, capsys, flat):
    folder = laid(tmp_path / "data", PICTURES, flat)
    before = sorted(folder.rglob("*"))
    code, said = run(capsys, "--check", folder)
    assert code == 0
    assert "7 pictures verified (train 3 of 3, val 2 of 2, test 2 of 2)" in said
    assert ("side by side" if flat else "as train/, val/, test/") in said
    assert sorted(folder.rglob("*")) == before

    (folder / ("1.jpg" if flat else "train/1.jpg")).unlink()
    (folder / ("6.jpg" if flat else "test/6.jpg")).write_bytes(b"damaged")
    code, said = run(capsys, "--check", folder)
    assert code == 2
    assert "1 of 7 pictures are missing (train/1.jpg)" in said
    assert "1 of 7 pictures differ from the expected SHA-256 (test/6.jpg)" in said
    assert "right are train 2 of 3, val 2 of 2, test 1 of 2" in said


@pytest.mark.usefixtures("seven")
def test_check_of_something_else(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    laid(tmp_path / "one", {"val/4.jpg": b"", "val/5.jpg": b""}, flat=True)
    for name, word in (
        ("none", "is not a folder"),
        ("empty", "train 0 of 3, val 0 of 2, test 0 of 2"),
        ("one", "train 0 of 3, val 2 of 2, test 0 of 2"),
    ):
        code, said = run(capsys, "--check", tmp_path / name)
        assert (code, word in said) == (2, True)


def test_arguments(tmp_path, capsys):
    for arguments in ([], ["--to", "a", "--check", "b"]):
        with pytest.raises(SystemExit) as stopped:
            script.main(arguments)
        assert stopped.value.code == 2
    capsys.readouterr()
    (tmp_path / "file").touch()
    code, said = run(capsys, "--to", tmp_path / "file")
    assert (code, "is a file; expected a folder" in said) == (2, True)

"""Fetching BSDS500 from a server that breaks off, cannot continue, or has something else."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fetch_bsds500 as script
import pytest
import resumable_download

from pnp_recon import bsds500
from pnp_recon.errors import InputError, OutputError

CONTENT = bytes(range(256)) * 1200  # several blocks


@dataclass
class Server:
    """What is served, how it misbehaves, and what it was asked.

    Attributes:
        content: the file.
        cuts: after so many bytes of each coming reply the connection ends; then none does.
        codes: the coming replies are these errors; then none is.
        ranges: whether it can continue; "wrong" answers with another range than asked for.
        asked: the Range header of each request.
    """

    content: bytes = CONTENT
    cuts: list[int] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    ranges: bool | str = True
    tag: str = '"one"'
    sizes: bool = True
    asked: list[str | None] = field(default_factory=list)
    address: str = ""

    def reply(self, handler: BaseHTTPRequestHandler) -> None:
        wanted = handler.headers.get("Range")
        self.asked.append(wanted)
        if self.codes:
            handler.send_error(self.codes.pop(0))
            return
        start = 0
        if wanted and self.ranges and handler.headers.get("If-Range", self.tag) == self.tag:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
        size = len(self.content)
        if start >= size:
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{size}")
            handler.end_headers()
            return
        body = self.content[start:]
        handler.send_response(206 if start else 200)
        if start:
            first = start + (self.ranges == "wrong")
            handler.send_header("Content-Range", f"bytes {first}-{size - 1}/{size}")
        if self.sizes:
            handler.send_header("Content-Length", str(len(body)))
        if self.tag:
            handler.send_header("ETag", self.tag)
        handler.end_headers()
        handler.wfile.write(body[: self.cuts.pop(0)] if self.cuts else body)


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "*")
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.reply(self)

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
        thread.start()
        state.address = f"http://127.0.0.1:{listening.server_port}/BSR_bsds500.tgz"
        yield state
        listening.shutdown()
        thread.join()


@pytest.fixture
def target(tmp_path) -> Path:
    return tmp_path / "file.tgz"


def fetched(server: Server, target: Path, **options) -> list[str]:
    """Downloads; what was said on the way."""
    said: list[str] = []
    resumable_download.download(server.address, target, pause=0, say=said.append, **options)
    return said


def alone(target: Path) -> bool:
    """Nothing but the file has stayed."""
    return [path.name for path in target.parent.iterdir()] == [target.name]


# ---- The download ----------------------------------------------------------------------------


def test_whole_at_once(server, target):
    seen: list[tuple[int, int | None]] = []
    assert fetched(server, target, tick=lambda *have: seen.append(have)) == []
    assert target.read_bytes() == CONTENT
    assert alone(target)
    assert server.asked == [None]
    assert seen == sorted(seen)
    assert len(seen) > 1
    assert seen[-1] == (len(CONTENT), len(CONTENT))


def test_continued_after_the_connection_was_cut(server, target):
    server.cuts = [100_000, 150_000]
    said = fetched(server, target)
    assert target.read_bytes() == CONTENT
    assert alone(target)
    assert server.asked == [None, "bytes=100000-", "bytes=250000-"]
    assert [words.partition(";")[2] for words in said] == [
        " 100000 bytes are at hand, trying again in 0 s",
        " 250000 bytes are at hand, trying again in 0 s",
    ]


def test_continued_by_the_next_run(server, target):
    server.cuts = [70_000, 0, 0]
    with pytest.raises(InputError, match=r"3 times in a row.*70000 bytes are kept.*continues"):
        fetched(server, target, attempts=3)
    assert not target.exists()
    assert target.with_name("file.tgz.part").read_bytes() == CONTENT[:70_000]
    assert fetched(server, target) == []
    assert server.asked[-1] == "bytes=70000-"
    assert target.read_bytes() == CONTENT
    assert alone(target)


def test_a_server_that_cannot_continue_starts_over(server, target):
    server.cuts, server.ranges = [100_000], False
    said = fetched(server, target)
    assert target.read_bytes() == CONTENT
    assert "cannot continue: starting from the beginning" in said[-1]
    server.cuts = [100_000] * 9  # never gets any further: that must end
    with pytest.raises(InputError, match="4 times in a row"):
        fetched(server, target)


@pytest.mark.parametrize("tag", ['"two"', ""])  # noticed by the tag, or by the length alone
@pytest.mark.parametrize("shorter", [True, False])
def test_another_file_since_the_last_run(server, target, tag, shorter):
    if not tag:
        server.tag = ""
    server.cuts = [100_000]
    with pytest.raises(InputError, match="1 times in a row"):
        fetched(server, target, attempts=1)
    server.content = CONTENT[::-1][:90_000] if shorter else CONTENT[::-1] + b"more"
    server.tag = tag
    said = fetched(server, target)
    assert target.read_bytes() == server.content
    assert alone(target)
    assert any("another file now" in words for words in said)


def test_a_part_of_something_at_another_address_is_not_continued(server, target):
    target.with_name("file.tgz.part").write_bytes(b"?" * 1000)  # of which nothing is known
    fetched(server, target)
    assert target.read_bytes() == CONTENT
    assert server.asked == [None]


def test_size_unknown(server, target):
    server.sizes, server.tag = False, ""
    fetched(server, target)
    assert target.read_bytes() == CONTENT
    part = target.replace(target.with_name("file.tgz.part"))  # whole, but not yet renamed
    note = resumable_download.Note(server.address, None, "")
    resumable_download._begin(target.with_name("other"), note)
    target.with_name("other.json").replace(part.with_name("file.tgz.part.json"))
    fetched(server, target)
    assert server.asked[-1] == f"bytes={len(CONTENT)}-"
    assert target.read_bytes() == CONTENT
    assert alone(target)


def test_a_range_that_was_not_asked_for_is_not_appended(server, target):
    server.cuts, server.ranges = [100_000], "wrong"
    fetched(server, target)
    assert target.read_bytes() == CONTENT


def test_errors_that_pass_and_errors_that_stay(server, target):
    server.codes = [503, 500]
    said = fetched(server, target)
    assert [words[:8] for words in said] == ["HTTP 503", "HTTP 500"]
    assert target.read_bytes() == CONTENT
    server.codes = [404]
    with pytest.raises(InputError, match=r"cannot be reached \(HTTP 404.*--from PATH"):
        fetched(server, target)
    assert len(server.asked) == 4  # a file that does not exist is asked for once


@pytest.mark.parametrize("address", ["file:///etc/passwd", "BSR_bsds500.tgz", "", "ftp://x/y"])
def test_no_address(target, address):
    with pytest.raises(InputError, match="is no address"):
        resumable_download.download(address, target)


@pytest.mark.parametrize("address", ["http://127.0.0.1:port/x", "http:///x"])
def test_malformed_address(target, address):
    with pytest.raises(InputError, match="cannot be reached"):
        resumable_download.download(address, target)


def test_the_folder_cannot_be_written(server, tmp_path):
    with pytest.raises(OutputError, match=r"the folder .* does not exist"):
        fetched(server, tmp_path / "none" / "file.tgz")
    assert len(server.asked) == 1  # not taken for a fault of the connection


# ---- The script ------------------------------------------------------------------------------

PICTURES = {f"{part}/{number}.jpg": bytes([number]) * 500
            for part, numbers in (("train", (1, 2, 3)), ("val", (4, 5)), ("test", (6, 7)))
            for number in numbers}  # fmt: skip


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

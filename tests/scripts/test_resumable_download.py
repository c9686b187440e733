"""A download that is continued, in the same run or in the next, and never from two files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pnp_recon.errors import InputError, OutputError
from scripts.data import resumable_download
from support.broken_server import CONTENT, Server, serving


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "*")
    with serving() as state:
        yield state


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

"""The server as a process: what it answers, its limits and refusals; without a browser."""

from __future__ import annotations

import http.client
import io
import json
import struct
import sys
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("starlette", reason="the extra web is not installed")
pytest.importorskip("uvicorn", reason="the extra web is not installed")

from pnp_recon.cli.run.case import EARLIER_START
from pnp_recon.cli.verify.files import output_claim
from pnp_recon.cli.verify.rerun import run_claims
from pnp_recon.report import validate_report
from support.served import Served, blurred, encoded, listened, served

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")

MEGABYTE = 10**6
KNOWN = {"length": 5, "angle": 0}
LONG_RUN = encoded(blurred(400))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    limits = ("--max-mb", "1", "--max-megapixels", "0.5")
    with served(tmp_path_factory.mktemp("served"), *limits) as running:
        yield running


def words(answer: tuple[int, bytes]) -> tuple[int, str]:
    return answer[0], json.loads(answer[1]).get("error", "")


def _not_repeated(archive: bytes, folder: Path) -> None:
    """A run from an earlier result is not repeated; taken for one of the command, it fails."""
    with zipfile.ZipFile(io.BytesIO(archive)) as report:
        stated = json.loads(report.read("report.json"))
    validate_report(stated)
    files = {"input": folder / "photo.png"}
    files["input"].write_bytes(encoded(blurred()))
    output = output_claim(stated, folder)
    (one,) = run_claims(stated, folder, files, output, live=False)
    assert one.holds is None
    assert "an earlier result" in one.reason
    broken = {**stated, "notes": [note for note in stated["notes"] if note != EARLIER_START]}
    claims = run_claims(broken, folder, files, output, live=False)
    assert any(one.holds is False for one in claims)


def test_a_picture_becomes_the_picture_of_the_command(server: Served, tmp_path: Path) -> None:
    job = server.upload(encoded(blurred()), "Mein Bild.png")
    seen = server.until(job, "ready", "failed")
    assert seen["picture"] == {"width": 48, "height": 48, "grey": True, "shown": [48, 48]}
    assert server.solve(job, "moved", numbers=KNOWN)[0] == 202
    assert server.when(job, lambda state: bool(state.get("preview")))["phase"] == "working"
    done = server.until(job, "done", "failed")
    found = done["result"]
    assert found["label"] == "certified", done
    assert found["file"] == "Mein_Bild_deblurred.png"
    assert "length 5" in done["facts"]["kernel"]["words"]
    assert "σ·255" in done["facts"]["noise"]

    status, picture = server.ask("GET", f"jobs/{job}/result")
    assert status == 200
    assert Image.open(io.BytesIO(picture)).size == (48, 48)
    for name in ("seen", "previewed", "preview", "before", "after", "kernel"):
        status, data = server.ask("GET", f"jobs/{job}/picture/{name}")
        assert status == 200
        Image.open(io.BytesIO(data)).verify()
    status, archive = server.ask("GET", f"jobs/{job}/report")
    with zipfile.ZipFile(io.BytesIO(archive)) as report:
        assert {"report.html", "report.json", "figure.png"} <= set(report.namelist())
        stated = json.loads(report.read("report.json"))
    validate_report(stated)
    assert stated["program"] == "pnp-deblur"
    # Unpacked beside the picture that was downloaded, the report is whole.
    assert [file["path"] for file in stated["inputs"]] == ["Mein_Bild.png"]
    assert stated["output"] == found["file"]
    (tmp_path / found["file"]).write_bytes(picture)
    assert output_claim(stated, tmp_path).holds
    assert output_claim({**stated, "output": f"out/{found['file']}"}, tmp_path).holds is None

    strength = 4 * done["found_strength"]
    assert server.solve(job, "moved", numbers=KNOWN, strength=strength)[0] == 202
    again = server.until(job, "done", "failed")
    assert again["result"]["strength"] == pytest.approx(strength)
    assert EARLIER_START in again["result"]["warnings"]
    _not_repeated(server.ask("GET", f"jobs/{job}/report")[1], tmp_path)
    assert server.ask("GET", f"jobs/{job}/result")[1] != picture
    assert again["found_strength"] == done["found_strength"]


def test_no_token_no_answer(server: Served) -> None:
    for token in ("", "x" * len(server.token), server.token[:-1]):
        for path in ("", "choices", "jobs/1/result", "page/page.js"):
            assert server.ask("GET", path, token=token)[0] == 403


def test_a_foreign_host_or_origin_is_refused(server: Served) -> None:
    assert server.ask("GET", "choices")[0] == 200
    assert server.ask("GET", "choices", headers={"Host": "evil.example"})[0] == 403
    foreign = {"Origin": "http://evil.example"}
    assert server.ask("POST", "jobs?name=x.png", b"x", foreign)[0] == 403


@pytest.mark.parametrize(
    "path",
    [
        "page/../__init__.py",
        "page/..%2f__init__.py",
        "page/%2e%2e/app.py",
        "page//etc/passwd",
        "../../etc/passwd",
        "jobs/../../etc/passwd",
        "jobs/{job}/picture/../../alive",
        "jobs/{job}/picture/..%2f..%2falive",
        "jobs/{job}/picture/last",
        "jobs/{job}/photo.png",
        "jobs/..%2f{job}/picture/seen",
    ],
)
def test_no_file_of_the_machine_is_read(server: Served, path: str) -> None:
    job = server.upload(encoded(blurred()))
    server.until(job, "ready")
    assert server.ask("GET", f"jobs/{job}/picture/seen")[0] == 200
    assert server.ask("GET", path.format(job=job))[0] == 404


def test_a_name_leads_nowhere(server: Served) -> None:
    job = server.upload(encoded(blurred()), "../../../outside.png")
    assert server.until(job, "ready")["name"] == "outside.png"
    found = [path.parent.name for path in server.temporary.rglob("outside.png")]
    assert found == [job]


def test_a_file_that_says_that_it_is_too_large_is_not_read(server: Served) -> None:
    # No more than this is sent: the answer comes, and what is still on its way is not waited for.
    length = {"Content-Length": str(MEGABYTE + 1)}
    status, said = words(server.ask("POST", "jobs?name=x.png", b"x", length))
    assert status == 413
    assert "--max-mb" in said


def test_a_file_that_does_not_say_is_cut_while_it_comes(server: Served) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while sent < 200 * MEGABYTE:
            sent += 65536
            yield b"x" * 65536

    # It may be hung up on before all is sent.
    with suppress(ConnectionError, http.client.HTTPException):
        assert server.ask("POST", "jobs?name=x.png", endless())[0] == 413
    assert sent < 100 * MEGABYTE
    kept = [path for path in server.temporary.rglob("*") if path.is_file()]
    assert max(path.stat().st_size for path in kept) <= MEGABYTE


def test_a_decompression_bomb_is_refused_by_its_size(server: Served) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    rows = zlib.compress(b"\0" * 10**7)  # far from all, which decoding would find out
    bomb = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    failed = server.until(server.upload(bomb, "bomb.png"), "ready", "failed")
    assert failed["error"].startswith("bomb.png")
    assert "60000×60000 pixels" in failed["error"]
    just_above = server.upload(encoded(np.zeros((1000, 501), np.uint8)), "wide.png")
    assert "at most 0.5 million" in server.until(just_above, "ready", "failed")["error"]
    just_below = server.upload(encoded(np.zeros((1000, 500), np.uint8)))
    assert server.until(just_below, "ready", "failed")["phase"] == "ready"


def test_a_result_that_would_be_too_large_is_refused(server: Served) -> None:
    job = server.upload(encoded(blurred(200)))
    server.until(job, "ready")
    server.solve(job, "small", numbers={"scale": 4})
    assert "0.64 million pixels" in server.until(job, "done", "failed")["error"]


@pytest.mark.parametrize("data", [b"no picture", encoded(blurred())[:300], b"\xff\xd8\xff\xe0"])
def test_a_broken_file_says_what_it_is(server: Served, data: bytes) -> None:
    failed = server.until(server.upload(data, "broken.png"), "ready", "failed")
    assert failed["phase"] == "failed"
    assert failed["error"].startswith("broken.png")
    assert "\n" not in failed["error"]
    assert str(server.temporary) not in failed["error"]


def test_requests_that_make_no_sense_are_refused_in_words(server: Served) -> None:
    job = server.upload(encoded(blurred()))
    server.until(job, "ready")
    assert words(server.ask("POST", "jobs?name=x.png", b""))[0] == 400
    assert words(server.ask("POST", f"jobs/{job}/solve", b"nothing"))[0] == 400
    assert words(server.ask("POST", f"jobs/{job}/solve", b" " * 10**6))[0] == 413
    assert "moved" in words(server.solve(job, "mowed"))[1]
    assert "How far it moved" in words(server.solve(job, "moved", numbers={"length": -1}))[1]
    for numbers in ([1], "many", 5, {"length": 10**400}):
        assert words(server.solve(job, "moved", numbers=numbers))[0] == 400
    assert words(server.ask("POST", f"jobs/{job}/solve", b"[" * 19_000))[0] == 400
    assert "another file" in words(server.solve(job, "holes"))[1]
    for strength in ("much", True, False, [1]):
        assert words(server.solve(job, "moved", strength=strength))[0] == 400
    assert words(server.ask("POST", f"jobs/{job}/attach?role=output&name=x", b"x"))[0] == 400
    assert server.ask("GET", f"jobs/{job}/result")[0] == 404
    assert server.ask("GET", "jobs/nothing/events")[0] == 404
    assert server.until(job, "ready")["phase"] == "ready"


def test_holes_are_filled_by_an_uploaded_mask(server: Served) -> None:
    picture = np.tile(np.linspace(20, 220, 40).astype(np.uint8), (40, 1))
    mask = np.full((40, 40), 255, np.uint8)
    mask[15:20, 10:30] = 0
    job = server.upload(encoded(np.where(mask > 0, picture, 0).astype(np.uint8)))
    server.until(job, "ready")
    path = f"jobs/{job}/attach?role=mask&name=mask.png"
    assert server.ask("POST", path, encoded(mask))[0] == 201
    assert server.solve(job, "holes")[0] == 202
    assert server.until(job, "done", "failed")["phase"] == "done"
    found = Image.open(io.BytesIO(server.ask("GET", f"jobs/{job}/result")[1]))
    assert np.abs(np.asarray(found).astype(int) - picture)[mask == 0].mean() < 10


def test_of_files_beside_the_picture_one_a_role_is_kept(server: Served) -> None:
    job = server.upload(encoded(blurred()), "mask-a.png")
    server.until(job, "ready")
    for name in ("b.png", "c.png", "a.png"):  # the last would be called as the picture is
        path = f"jobs/{job}/attach?role=mask&name={name}"
        assert server.ask("POST", path, encoded(blurred(16)))[0] == 201
    (folder,) = server.temporary.rglob(job)
    kept = sorted(file.name for file in folder.iterdir() if file.is_file())
    assert kept == ["mask-a.png", "mask-mask-a.png"]
    assert (folder / "mask-a.png").read_bytes() == encoded(blurred())
    assert words(server.ask("POST", path, b""))[0] == 400
    assert "needs another file" in words(server.solve(job, "holes"))[1]


def test_another_mask_of_the_same_name_is_another_run(server: Served) -> None:
    job, mask = server.upload(encoded(blurred(24))), np.full((24, 24), 255, np.uint8)
    server.until(job, "ready")
    for row in (4, 16):
        hole = mask.copy()
        hole[row] = 0
        assert (
            server.ask("POST", f"jobs/{job}/attach?role=mask&name=m.png", encoded(hole))[0] == 201
        )
        assert server.solve(job, "holes")[0] == 202
        done = server.until(job, "done", "failed")
        assert done["phase"] == "done"
        assert EARLIER_START not in done["result"]["warnings"]


def test_a_removed_picture_is_gone(server: Served) -> None:
    job = server.upload(encoded(blurred()))
    listening, told = listened(server, job)
    server.until(job, "ready")
    assert server.ask("DELETE", f"jobs/{job}")[0] == 200
    listening.join(20)
    assert told[-1]["phase"] == "gone"
    assert server.ask("GET", f"jobs/{job}/picture/seen")[0] == 404
    assert not list(server.temporary.rglob(job))

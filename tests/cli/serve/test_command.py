"""`pnp-recon serve` on the command line: what is missing or taken is said in one line."""

from __future__ import annotations

import socket
import sys
import tomllib
from pathlib import Path

import pytest

from pnp_recon.cli.listing import main
from pnp_recon.cli.serve import _is_local, _listen, _own_name
from support.cli import only_line

PAGE = Path(__file__).resolve().parents[3] / "pnp_recon" / "cli" / "serve" / "page"
PROJECT = PAGE.parents[3] / "pyproject.toml"


@pytest.mark.parametrize("package", ["starlette", "uvicorn"])
def test_without_the_extra_the_remedy_is_one_line(
    package: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [one for one in sys.modules if one.startswith("pnp_recon.cli.serve.")]:
        monkeypatch.delitem(sys.modules, name)
    for name in [one for one in sys.modules if one.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    assert main(["serve", "--no-open"]) == 2
    assert 'pip install "pnp-recon[web]"' in only_line("pnp-recon", capsys.readouterr().err)
    extras = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert any(line.startswith(package) for line in extras["web"])


def test_a_port_that_is_taken_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("starlette", reason="the extra web is not installed")
    pytest.importorskip("uvicorn", reason="the extra web is not installed")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "--no-open", "--port", str(port)]) == 2
    assert f"port {port}" in only_line("pnp-recon", capsys.readouterr().err)


def test_an_address_that_is_not_ours_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("starlette", reason="the extra web is not installed")
    pytest.importorskip("uvicorn", reason="the extra web is not installed")
    assert main(["serve", "--no-open", "--host", "192.0.2.1"]) == 2
    assert "--host" in only_line("pnp-recon", capsys.readouterr().err)


def test_the_page_names_no_other_machine() -> None:
    for path in PAGE.iterdir():
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "http:" not in text, path.name
        assert "https:" not in text, path.name
        assert 'src="//' not in text, path.name


@pytest.mark.parametrize(
    ("host", "local", "own"),
    [
        ("127.0.0.1", True, "127.0.0.1"),
        ("localhost", True, "localhost"),
        ("0.0.0.0", False, "127.0.0.1"),
    ],
)
def test_who_can_reach_the_page_is_known(host: str, local: bool, own: str) -> None:
    with _listen(host, 0) as listener:
        assert _is_local(listener) == local
    assert _own_name(host) == own


def test_addresses_of_six_are_written_in_brackets() -> None:
    assert (_own_name("::"), _own_name("::1"), _own_name("fe80::7")) == (
        "[::1]",
        "[::1]",
        "[fe80::7]",
    )

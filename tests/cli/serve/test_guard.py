"""What never reaches the page's routes: other hosts, other tokens, other pages."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("starlette", reason="the extra web is not installed")

from starlette.responses import PlainTextResponse

from pnp_recon.cli.serve.guard import Guard

TOKEN = "t0ken"


def answer(
    path: str,
    host: str = "127.0.0.1:8000",
    method: str = "GET",
    guard: Callable[..., Guard] = Guard,
    hosts: tuple[str, ...] = (),
    **headers: str,
) -> tuple[int, dict[str, str], str]:
    """Status, headers and body; what is behind the guard answers with the path that it saw."""

    async def inside(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse(f"inside {scope['path']}")(scope, receive, send)

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    named = {"host": host, **{key.replace("_", "-"): value for key, value in headers.items()}}
    raw = [(key.encode(), value.encode()) for key, value in named.items()]
    scope = {"type": "http", "method": method, "path": path, "headers": raw, "query_string": b""}
    asyncio.run(guard(inside, TOKEN, hosts)(scope, receive, send))
    found = {key.decode(): value.decode() for key, value in sent[0]["headers"]}
    return sent[0]["status"], found, b"".join(one.get("body", b"") for one in sent).decode()


def test_the_token_opens_the_page_and_is_taken_off_the_path() -> None:
    assert answer(f"/{TOKEN}/jobs/1/events")[::2] == (200, "inside /jobs/1/events")
    assert answer(f"/{TOKEN}/")[::2] == (200, "inside /")


@pytest.mark.parametrize("path", ["/", "", "/t0ke/", "/t0ken2/", f"/{TOKEN}", f"//{TOKEN}/", "/é/"])
def test_without_the_token_there_is_nothing(path: str) -> None:
    status, _, words = answer(path)
    assert status == 403
    assert "pnp-recon serve" in words


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:1", "localhost", "[::1]:80"])
def test_names_of_this_machine_are_answered(host: str) -> None:
    assert answer(f"/{TOKEN}/", host)[0] == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "", "localhost@evil.example",
     "10.0.0.1", "[::1", "localhost/x"],
)  # fmt: skip
def test_a_name_that_was_rebound_is_refused(host: str) -> None:
    assert answer(f"/{TOKEN}/", host)[0] == 403


def test_the_address_that_was_asked_for_is_answered() -> None:
    assert answer(f"/{TOKEN}/", "10.0.0.1:80", hosts=("10.0.0.1",))[0] == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [("10.0.0.7:80", 200), ("[fe80::7]:80", 200), (socket.gethostname(), 200),
     ("evil.example", 403), ("1.2.3.4.evil.example", 403), ("", 403)],
)  # fmt: skip
def test_all_addresses_are_answered_but_no_name_that_may_be_rebound(host: str, status: int) -> None:
    def every(inside: Any, token: str, _: Any) -> Guard:
        return Guard(inside, token, ("0.0.0.0",), every=True)

    assert answer(f"/{TOKEN}/", host, guard=every)[0] == status


FOREIGN = [
    {"origin": "http://evil.example"},
    {"origin": "http://127.0.0.1:9999"},
    {"origin": "null"},
    {"origin": "https://127.0.0.1:8000"},
    {"sec_fetch_site": "cross-site"},
    {"sec_fetch_site": "same-site"},
]


@pytest.mark.parametrize("headers", FOREIGN)
@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT"])
def test_what_another_page_sends_is_refused(method: str, headers: dict[str, str]) -> None:
    assert answer(f"/{TOKEN}/jobs", method=method, **headers)[0] == 403


def test_what_the_page_itself_sends_passes() -> None:
    own = {"origin": "http://127.0.0.1:8000", "sec_fetch_site": "same-origin"}
    assert answer(f"/{TOKEN}/jobs", method="POST", **own)[0] == 200


def test_a_guard_that_lets_everything_pass_is_caught() -> None:
    class Open(Guard):
        def refusal(self, scope: Any) -> str:
            return ""

    assert answer("/other/jobs", "evil.example", "POST", Open)[0] == 200
    assert answer(f"/{TOKEN}/jobs", method="POST", guard=Open, **FOREIGN[0])[0] == 200


@pytest.mark.parametrize("path", [f"/{TOKEN}/", "/"])
def test_nothing_may_be_loaded_from_elsewhere(path: str) -> None:
    _, headers, _ = answer(path)
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'self';")
    assert "http" not in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"  # the token is in the address
    assert headers["cache-control"] == "no-store"

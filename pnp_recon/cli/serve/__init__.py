"""`pnp-recon serve`: a page on the user's own machine that does what the commands do.

What computes is a process of its own (`worker`), which runs the commands' own path from a file to
its result and says in events how far it is: to cancel is to end that process, a crash or a want of
memory ends it alone, and what it keeps between two runs (priors, the last case and solution) makes
a new strength quick. The server (`app`, `workshop`, `store`, `guard`) loads no torch.
"""

from __future__ import annotations

import ipaddress
import os
import secrets
import signal
import socket
import sys
import webbrowser
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pnp_recon.errors import InputError

if TYPE_CHECKING:
    import uvicorn

LOCAL = "127.0.0.1"
# All addresses of this machine.
EVERY = ("0.0.0.0", "::")
OPEN_TO_OTHERS = (
    "this page can be reached by other machines, and what they send is not encrypted; they open "
    "it by the name or the address of this machine in place of the one above"
)
MEGAPIXELS, MEGABYTES = 40.0, 100.0
# Of the memory that is free when the server starts, what a job may take.
SHARE = 0.9


def serve(
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Listen on this port; 0 takes a free one.")
    ] = 0,
    host: Annotated[
        str,
        typer.Option(
            help="Listen on this address. Any but 127.0.0.1 lets other machines in that know the "
            "URL, and what they send is not encrypted.",
        ),
    ] = LOCAL,
    open_page: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page in the browser.")
    ] = True,
    max_megapixels: Annotated[
        float,
        typer.Option(min=0.001, max=150, help="Refuse pictures and results of more megapixels."),
    ] = MEGAPIXELS,
    max_mb: Annotated[
        float, typer.Option(min=0.001, max=4000, help="Refuse files of more megabytes.")
    ] = MEGABYTES,
) -> None:
    """Show a page in the browser that restores photographs and reconstructs scans, on this machine.

    The URL that is printed has a token; without it nothing is answered. Uploads and results lie in
    a private folder that is removed at the end, and an hour after their last use. Ctrl-C ends the
    server.
    """
    try:
        import uvicorn

        from pnp_recon.cli.serve.app import Pages
        from pnp_recon.cli.serve.guard import Guard
        from pnp_recon.cli.serve.once import Once
    except ImportError as error:
        raise InputError(
            f"pnp-recon serve needs the package {error.name}; install it with pip install "
            '"pnp-recon[web]"'
        ) from None
    from pnp_recon.cli.serve.store import Store
    from pnp_recon.cli.serve.workshop import Workshop

    listener = _listen(host, port)
    token = secrets.token_urlsafe(24)
    own = _own_name(host)
    server_url = f"http://{own}:{listener.getsockname()[1]}"
    store = Store(round(max_mb * 10**6))
    try:
        pages = Pages(store, Workshop(max_megapixels, _memory()), lambda: server.should_exit)
        app = Once(Guard(pages.app(), token, (host,), every=host in EVERY), f"/{token}/")
        config = uvicorn.Config(
            app, log_level="error", access_log=False, timeout_graceful_shutdown=2
        )
        server = uvicorn.Server(config)
        print(f"{server_url}/{token}/", flush=True)
        if not _is_local(listener):
            print(OPEN_TO_OTHERS, file=sys.stderr, flush=True)
        if open_page:
            webbrowser.open_new_tab(server_url + app.path)
        _serve(server, listener)
    finally:
        store.close()


def _serve(server: uvicorn.Server, listener: socket.socket) -> None:
    """Until Ctrl-C, which is how it is meant to end; what ends processes politely counts as it."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    hangup = getattr(signal, "SIGHUP", None)  # the terminal was closed; Windows has none
    if hangup is not None and signal.getsignal(hangup) is signal.SIG_DFL:
        signal.signal(hangup, lambda *_: signal.raise_signal(signal.SIGTERM))
    with suppress(KeyboardInterrupt):
        server.run(sockets=[listener])
    with suppress(OSError):  # a terminal that was closed
        print("ended", file=sys.stderr, flush=True)


def _listen(host: str, port: int) -> socket.socket:
    """A socket on this address.

    Raises:
        InputError: it is no address of this machine, or the port is taken.
    """
    listener = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        if os.name == "posix":  # elsewhere it would share a port that is taken
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)  # who opens the URL at once waits, and is not refused
    except OSError as error:
        if listener is not None:
            listener.close()
        raise InputError(
            f"cannot listen on {host}, port {port}: {error.strerror}; give another --host or --port"
        ) from error
    return listener


def _is_local(listener: socket.socket) -> bool:
    """Whether only this machine can reach it."""
    return ipaddress.ip_address(listener.getsockname()[0].partition("%")[0]).is_loopback


def _own_name(host: str) -> str:
    """What this machine's browser calls the address; that of all addresses is none to go to."""
    if host in EVERY:
        return "[::1]" if ":" in host else LOCAL
    return f"[{host}]" if ":" in host else host


def _memory() -> int:
    """Bytes that a job may allocate; 0 where the system does not say how many are free."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    free = next((line.split()[1] for line in lines if line.startswith("MemAvailable")), "0")
    return round(SHARE * 1024 * int(free))

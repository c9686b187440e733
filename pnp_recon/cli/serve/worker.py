"""The process that computes for the page: one request a line on stdin, events as lines on stdout.

It runs what the commands run (`run_job`), so that a picture of the page is the command's picture.
It stays between requests, so that torch and the priors are loaded once and a new strength may begin
at the last result. To cancel, the server kills it: whatever it was in, its memory is free at once,
and nothing but the job's own folder was touched. When the server is gone, stdin ends, and so does
this process.

Requests: {"what": "look" | "solve", "folder": ..., ...}, see `looking` and `solving`.
Events: {"event": "ready" | "picture" | "preview" | "facts" | "progress" | "line" | "done" |
"failed", ...}.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pnp_recon.cli.serve.telling import teller

# Of a file of arrays, for each pixel that a picture may have: three channels in float64.
BYTES = 24


def main(argv: list[str] | None = None) -> int:
    """Works until stdin ends; the arguments are the most megapixels and the most bytes."""
    megapixels, memory = (sys.argv[1:] if argv is None else argv)[:2]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's, who then ends this
    tell = teller()
    _bound_memory(int(memory))
    from operators._memory import resident_bytes
    from pnp_recon.cli.serve.looking import look
    from pnp_recon.cli.serve.solving import Solver
    from pnp_recon.cli.serve.unpacked import check_unpacked
    from pnp_recon.cli.serve.wording import for_the_page
    from pnp_recon.cli.serve.wrongs import WRONGS
    from pnp_recon.cli.shell import DEFECT, describe, exit_code_of
    from pnp_recon.pictures.samples import limit_pixels

    most = round(float(megapixels) * 10**6)
    limit_pixels(most)
    solver = Solver(most)
    tell("ready")
    for request in _requests():
        try:
            os.chdir(request["folder"])
            for name in (request["name"], *request.get("files", {}).values()):
                check_unpacked(Path(name), BYTES * most)
            done = (look if request["what"] == "look" else solver.solve)(request, tell)
            tell("done", held=resident_bytes(), **done)
        except Exception as error:
            if exit_code_of(error) == DEFECT:
                traceback.print_exception(error)  # in the server's terminal
            wrong = WRONGS[request["wrong"]] if "wrong" in request else None
            message = for_the_page(_words(error, describe), wrong)
            tell("failed", message=message, held=resident_bytes())
        os.chdir(os.path.sep)
    return 0


def _requests() -> Iterator[dict[str, Any]]:
    """What comes on stdin; its end ends the process, also in the middle of a run."""
    waiting: queue.Queue[str] = queue.Queue()

    def read() -> None:
        for line in sys.stdin:
            waiting.put(line)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    while True:
        yield json.loads(waiting.get())


def _bound_memory(most: int) -> None:
    """What takes more memory fails alone, in words, before the system ends whatever it likes."""
    try:
        import resource
    except ImportError:
        return  # Windows
    if most:
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _words(error: Exception, describe: Callable[[BaseException], str]) -> str:
    if "can't allocate memory" in str(error):
        return describe(MemoryError("torch could not allocate what it needs"))
    return describe(error)


if __name__ == "__main__":
    sys.exit(main())

"""curl as a client, for what a client of our own does not speak: TLS and HTTP/2."""

from __future__ import annotations

import signal
import subprocess
import threading

from harness import Server, wait_for


def curl(*arguments: str, data: bytes | None = None) -> bytes:
    """The body. CalledProcessError: what curl calls a failure; its words are in stderr."""
    command = ["curl", "--silent", "--show-error", "--max-time", "30", *arguments]
    return subprocess.run(command, check=True, capture_output=True, timeout=60, input=data).stdout


def failures_under_reloads(server: Server, *arguments: str) -> list[str]:
    """What two clients that ask without a pause have to complain about while HUP replaces the
    workers three times."""
    stop = threading.Event()
    failures: list[str] = []

    def load() -> None:
        while not stop.is_set():
            try:
                curl(*arguments)
            except subprocess.CalledProcessError as error:
                failures.append(error.stderr.decode())

    threads = [threading.Thread(target=load) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for turn in range(3):
            server.signal(signal.SIGHUP)
            wait_for(lambda turn=turn: server.log().count("workers replaced") > turn, "the reload")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    return failures

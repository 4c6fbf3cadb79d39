"""Load from several keep-alive connections; every request is accounted for."""

from __future__ import annotations

import http.client
import threading
import time
from types import TracebackType

from patience import pace

PAUSE_S = 0.005
ANSWER_S_MAX = 30.0


class Traffic:
    """A context manager: requests `paths` in turn until it is left. A request that was sent and
    got no whole answer of 2xx or 3xx is a failure; nothing is sent twice. A refused connection is
    one once `stopping` is not set."""

    def __init__(self, port: int, paths: list[str], connections: int = 4) -> None:
        self.port = port
        self.paths = paths
        self.answered = 0
        self.failures: list[str] = []
        self.stopping = False
        self._quit = False
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._run, args=(number,)) for number in range(connections)
        ]

    def __enter__(self) -> Traffic:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._quit = True
        for thread in self._threads:
            thread.join(ANSWER_S_MAX)

    def more(self, count: int, timeout_s: float = 60.0) -> None:
        """Returns when that many further requests have been answered."""
        goal = self.answered + count
        end = time.monotonic() + timeout_s
        while self.answered < goal:
            assert time.monotonic() < end, f"{self.answered} of {goal}: {self.failures[:5]}"
            pace(0.02, "until the deadline above")

    def _run(self, number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_S_MAX)
        turn = number
        while not self._quit:
            turn += 1
            path = self.paths[turn % len(self.paths)]
            if connection.sock is None and not self._connect(connection):
                if self.stopping:
                    return
                continue
            self._ask(connection, path)
            pace(PAUSE_S, "a user between two requests")
        connection.close()

    def _connect(self, connection: http.client.HTTPConnection) -> bool:
        try:
            connection.connect()
        except OSError as error:
            if not self.stopping:
                self._fail(f"connect: {error!r}")
                pace(0.1, "who cannot connect tries again")
            return False
        return True

    def _ask(self, connection: http.client.HTTPConnection, path: str) -> None:
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            self._fail(f"{path}: {error!r}")
            return
        if answer.status >= 400:
            self._fail(f"{path}: {answer.status} {body[:200]!r}")
        with self._lock:
            self.answered += 1

    def _fail(self, what: str) -> None:
        with self._lock:
            self.failures.append(what)

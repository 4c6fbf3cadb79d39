"""A small steady load, every request of which is accounted for."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType

from client import Address, Client, Gone
from harness import wait_for

TROUBLE = (Gone, OSError, AssertionError, ValueError)
ANSWER_S_MAX = 30.0
REFUSED_PAUSE_S = 0.1


@dataclass(frozen=True)
class Outcome:
    """One request: when it ran (monotonic seconds) and what became of it."""

    began: float
    ended: float
    body: bytes
    error: str

    def spans(self, moment: float) -> bool:
        """Whether it was in flight then; a little slack for the signal's delivery."""
        return self.began - 0.05 <= moment <= self.ended + 0.05


class Load:
    """`count` clients that ask for the targets in turn, each time on a connection of its own (or on
    one they keep, without a look whether it has ended) until the block ends. Nothing is sent twice.
    A request that got no whole answer of 200 (or of below 400) is a failure. A refused connection
    is one until `stopping` is set; then it is that client's end. A context manager."""

    def __init__(
        self,
        address: Address,
        *targets: str,
        count: int = 4,
        keep: bool = False,
        pause_s: float = 0.0,
        status_max: int = 200,
    ) -> None:
        self.stopping = False
        self.outcomes: list[Outcome] = []
        self._address = address
        self._targets = targets
        self._keep = keep
        self._pause_s = pause_s
        self._status_max = status_max
        # Some applications look at it.
        self._host = "testing" if isinstance(address, str) else "{}:{}".format(*address)
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._run, args=(number,)) for number in range(count)
        ]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Lets every client finish what it is at."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, number: int) -> None:
        client: Client | None = None
        first = number % len(self._targets)
        turns: Iterator[str] = itertools.cycle(self._targets[first:] + self._targets[:first])
        while not self._stop.wait(self._pause_s):
            began = time.monotonic()
            if client is None:
                try:
                    client = Client(self._address, timeout_s=ANSWER_S_MAX)
                except OSError as error:
                    if self.stopping:
                        return
                    self._note(Outcome(began, time.monotonic(), b"", f"connect: {error!r}"))
                    self._stop.wait(REFUSED_PAUSE_S)
                    continue
            client = self._ask(client, next(turns), began)
        if client is not None:
            client.sock.close()

    def _ask(self, client: Client, target: str, began: float) -> Client | None:
        """The client, if its connection goes on."""
        body, trouble, goes_on = b"", "", False
        headers = {"Host": self._host} | ({} if self._keep else {"Connection": "close"})
        try:
            response = client.ask(target, headers=headers)
            body = response.body
            if not 200 <= response.status <= self._status_max:
                trouble = f"{target}: status {response.status} {body[:200]!r}"
            goes_on = self._keep and (response.get("Connection") or "").lower() != "close"
        except TROUBLE as error:
            trouble = f"{target}: {type(error).__name__}: {error}"
        self._note(Outcome(began, time.monotonic(), body, trouble))
        if goes_on:
            return client
        client.sock.close()
        return None

    def _note(self, outcome: Outcome) -> None:
        with self._lock:
            self.outcomes.append(outcome)

    def failures(self) -> list[Outcome]:
        """What did not end in a whole good answer."""
        with self._lock:
            return [outcome for outcome in self.outcomes if outcome.error]

    def bodies(self, since: float = 0.0) -> set[bytes]:
        """Every body of requests that began at `since` or later."""
        with self._lock:
            return {outcome.body for outcome in self.outcomes if outcome.began >= since}

    def count(self) -> int:
        """Requests that are over."""
        with self._lock:
            return len(self.outcomes)

    def more(self, count: int, timeout_s: float = 60.0) -> None:
        """Returns when that many further requests are over."""
        goal = self.count() + count
        wait_for(lambda: self.count() >= goal, f"{goal} requests: {self.failures()[:5]}", timeout_s)

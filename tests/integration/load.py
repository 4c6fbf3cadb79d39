"""A small steady load, every request of which is accounted for."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from types import TracebackType

from client import Address, Client, Gone

TROUBLE = (Gone, OSError, AssertionError, ValueError)


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
    """`count` clients that ask one after the other, each time on a connection of its own
    (or on one they keep) until the block ends. A context manager."""

    def __init__(self, address: Address, target: str, count: int = 4, keep: bool = False) -> None:
        self._address = address
        self._target = target
        self._keep = keep
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.outcomes: list[Outcome] = []
        self._threads = [threading.Thread(target=self._run) for _ in range(count)]

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

    def _run(self) -> None:
        client: Client | None = None
        while not self._stop.is_set():
            began = time.monotonic()
            body, trouble = b"", ""
            try:
                if client is None:
                    client = Client(self._address, timeout_s=10)
                headers = {} if self._keep else {"Connection": "close"}
                response = client.ask(self._target, headers=headers)
                body = response.body
                if response.status != 200:
                    trouble = f"status {response.status}"
                if not self._keep or response.get("Connection") == "close":
                    client.sock.close()
                    client = None
            except TROUBLE as error:
                trouble = f"{type(error).__name__}: {error}"
                if client is not None:
                    client.sock.close()
                client = None
            with self._lock:
                self.outcomes.append(Outcome(began, time.monotonic(), body, trouble))
        if client is not None:
            client.sock.close()

    def failures(self) -> list[Outcome]:
        """What did not end in a whole 200."""
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

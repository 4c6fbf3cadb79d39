"""Rollout: which generation has proven itself, and which one a reload that fails goes back to.

Values and times only; reloads.py acts on them. The supervisor decides
(src/supervisor/rollout.cpp): "reload" reads the configuration, "commit" comes with the first worker
of it that serves, "roll_back" when that worker did not come to serve.
"""

from __future__ import annotations

import time

from monoceros import sock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from monoceros.master.generation import Generation
    from monoceros.sock import BaseSocket


class Rollout:
    """Made when the server listens."""

    def __init__(self, generation: Generation, workers: int | None) -> None:
        self.proven = generation.captured()  # the last one of which a worker served
        self.before = self.proven  # what the reload under way goes back to, if it fails
        self.workers_before = workers
        self._tries = 0
        self._try_at: float | None = None  # an address once more, monotonic seconds

    def begin(self, generation: Generation, workers: int | None) -> None:
        """A reload begins; this is what there is before it."""
        self.before = generation.captured()
        self.workers_before = workers
        self._tries = 0
        self._try_at = None

    def commit(self, generation: Generation) -> Generation:
        """A worker of it serves; returns the one that it follows."""
        former, self.proven = self.proven, generation.captured()
        return former

    def unused(self, listeners: list[BaseSocket], generation: Generation) -> list[BaseSocket]:
        """Which of them nobody has a use for any more, where that generation is in force."""
        used = [*generation.listeners, *self.proven.listeners]
        return [item for item in listeners if item not in used]

    def only_proven(self, generation: Generation) -> list[BaseSocket]:
        """Listeners that only the way back needs."""
        return [item for item in self.proven.listeners if item not in generation.listeners]

    # ---- an address that is in use

    def postpone(self, busy: sock.Busy, log: Any) -> None:
        """Another try in a moment. Raises once there have been enough."""
        self._tries += 1
        if self._tries == sock.BIND_ATTEMPTS:
            busy.give_up(log)
        busy.say_retry(log)
        self._try_at = time.monotonic() + sock.BIND_PAUSE_SECONDS

    def tried(self) -> None:
        self._try_at = None

    def wait_ms(self) -> int:
        """Until the next try is due; -1: nothing is tried."""
        if self._try_at is None:
            return -1
        return max(0, int((self._try_at - time.monotonic()) * 1000))

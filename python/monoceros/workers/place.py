"""Place: where a worker stands in its server: its slot of the scoreboard, the way to the master.

Made in the master before the fork, used in the worker's process. Any worker class has one, those
too that are built on an installed gunicorn.
"""

from __future__ import annotations

import os

from monoceros import _core
from monoceros.host import daemon

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from monoceros import _secure


class Place:
    __slots__ = ("black_box", "master_fd", "relay", "scoreboard", "slot", "tls")

    def __init__(
        self,
        scoreboard: _core.Scoreboard,
        slot: int,
        master_fd: int,
        relay: tuple[int, int],
        black_box: int,
        *,
        tls: _secure.TlsStore | None = None,
    ) -> None:
        self.scoreboard = scoreboard
        self.slot = slot
        self.master_fd = master_fd  # a byte wakes the master
        self.relay = relay  # over which workers hand requests to each other
        self.black_box = black_box  # a file in memory: what the master reads of a dead worker
        self.tls = tls  # what the master publishes of certificates; None: plain connections

    def fds(self) -> list[int]:
        """That forked children of the application must not have."""
        return [self.master_fd, *self.relay, self.black_box]

    def wake_master(self) -> None:
        """It looks at the scoreboard."""
        try:
            os.write(self.master_fd, b"\0")
        except OSError:
            pass  # a full pipe wakes the master as well

    def set_ready(self) -> None:
        """Requests are answered from now on: older workers may go."""
        daemon.let_go()
        self.scoreboard.set_ready(self.slot)
        self.wake_master()

    def withdraw(self) -> None:
        """No more requests are taken: the successor may start."""
        self.scoreboard.withdraw(self.slot)
        self.wake_master()

    def end_service(self) -> None:
        """Nothing beats any more."""
        self.scoreboard.end_service(self.slot)

    def stopping(self) -> bool:
        """Whether the master has said that nobody serves after us."""
        return self.scoreboard.stopping()

    def leaving(self) -> bool:
        """Whether the master has told this worker to leave, whoever has heard the signal."""
        return self.scoreboard.leaving(self.slot)

    def take_term(self) -> bool:
        """Whether TERM has come since the last call. From the first call on, handlers are called
        behind one that notes it; from any later one, those too that were set since."""
        self.scoreboard.note_senders(self.slot)
        return _core.take_term()

    def in_flight(self) -> list[tuple[Any, ...]]:
        """The requests that it holds."""
        return self.scoreboard.flights(self.slot)

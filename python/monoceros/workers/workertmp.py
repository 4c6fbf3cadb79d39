"""WorkerTmp: gunicorn's heartbeat file by name; the heartbeat itself is in shared memory."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from monoceros._core import Scoreboard


class WorkerTmp:
    """A worker's heartbeat. Without a scoreboard (before the fork) it does nothing."""

    __slots__ = ("_board", "_slot")

    def __init__(self) -> None:
        self._board: Scoreboard | None = None
        self._slot = 0

    def attach(self, board: Scoreboard, slot: int) -> None:
        self._board = board
        self._slot = slot

    def notify(self) -> None:
        if self._board is not None:
            self._board.beat(self._slot)

    def last_update(self) -> float:
        """When the worker was last alive, in seconds of the monotonic clock; 0.0: never."""
        return self._board.last_beat_ms(self._slot) / 1e3 if self._board is not None else 0.0

    def close(self) -> None:
        self._board = None

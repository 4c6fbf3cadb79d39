"""Child: the master's record of a process that it forked.

Apart from the object that serves in that process, which hooks and worker classes know: what is
here, the worker has no use for. Owned by the master, from the fork to the reaped end.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Child:
    __slots__ = ("black_box", "handover", "held", "slot", "worker")

    def __init__(self, worker: Any, slot: int, black_box: int, handover: Any) -> None:
        self.worker = worker
        self.slot = slot
        self.black_box = black_box  # a file in memory that is read when the process has died
        self.handover = handover  # of logs.files; None where the worker may open what we may
        self.held = ""  # the requests that it held when it was aborted

    def close(self) -> None:
        """Our ends of what it shares with us: when it is gone, and in its younger siblings."""
        if self.black_box >= 0:
            os.close(self.black_box)
            self.black_box = -1
        handover, self.handover = self.handover, None
        if handover is not None:
            handover.close()

"""Loop: what the master waits for: descriptors, each with the function that reads it.

The one place where the master's process blocks. Nothing else is called when a descriptor is ready
than who watches it: a new one (the pipe of signals, an older master's end, a channel to a child) is
one call of watch(). One thread.
"""

from __future__ import annotations

import select

from monoceros.workers import patching

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Loop:
    def __init__(self) -> None:
        self._poller = patching.original_poll()
        self._readers: dict[int, Callable[[], None]] = {}

    def watch(self, fd: int, reader: Callable[[], None]) -> None:
        """reader is called whenever fd is readable, or its other end is closed."""
        self._poller.register(fd, select.POLLIN)
        self._readers[fd] = reader

    def forget(self, fd: int) -> None:
        """Before fd is closed."""
        if self._readers.pop(fd, None) is not None:
            self._poller.unregister(fd)

    def wait(self, milliseconds: float | None) -> bool:
        """Calls the readers of what is ready within that time (None: sooner or later); whether
        there was any. A reader may forget descriptors, its own too."""
        ready = self._poller.poll(milliseconds)
        for fd, _ in ready:
            reader = self._readers.get(fd)
            if reader is not None:
                reader()
        return bool(ready)

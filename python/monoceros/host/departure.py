"""How the handler of a signal ends the process: by SystemExit in whatever the main thread runs.

Where Python drops exceptions it comes again, for the code behind (unraisable.py).
"""

from __future__ import annotations

import time

# As they are in the master: gevent's would not run beside a main thread that waits.
from _thread import get_ident, start_new_thread

from monoceros.host import unraisable

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

    Handler = Callable[[int, FrameType | None], None]
else:
    import _signal as signal  # signal itself imports enum and more

RING_SECONDS = 0.02
_sleep = time.sleep

_codes: dict[int, Any] = {}  # signal -> the exit that its handler has asked for
_raised = 0  # how often one was raised


class Exit(SystemExit):
    """Asked for by the handler of a signal."""

    signum = 0


def handler(function: Handler) -> Handler:
    """The handler that calls `function`, whose SystemExit is not lost. Once it has asked for that,
    it is not called again."""

    def handle(sig: int, frame: FrameType | None) -> None:
        if sig not in _codes:
            try:
                return function(sig, frame)
            except SystemExit as error:
                _codes[sig] = error.code
        _raise(sig)

    return handle


def _raise(sig: int) -> None:
    global _raised
    unraisable.guard()
    _raised += 1
    leave = Exit(_codes[sig])
    leave.signum = sig
    raise leave from None


def behind(error: BaseException | None) -> Exit | None:
    """The exit that what it interrupted has made an error of: __set_name__ does so before Python
    3.12, and so does an application that wraps whatever happens."""
    while error is not None and not isinstance(error, Exit):
        error = error.__cause__ or error.__context__
    return error


def arrive() -> None:
    """The process is on its way out: no signal comes again."""
    global _raised
    _raised += 1


def _lost(leave: Exit) -> None:
    """In the hook, which has the signal handled once more as soon as this has returned."""
    start_new_thread(_ring, (get_ident(), leave.signum, _raised))


unraisable.watch(Exit, _lost, 0)


def _ring(thread: int, sig: int, raised: int) -> None:
    """Until the handler has run again: what is behind may wait in a system call, which only a real
    signal ends."""
    while True:
        _sleep(RING_SECONDS)
        if raised != _raised:
            return
        signal.pthread_kill(thread, sig)

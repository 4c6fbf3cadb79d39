"""Processes that the application forks are neither workers nor masters (docs/adr/0018).

The core sees to that for every fork(2): src/os/fork_hook.hpp. Here is what only Python can do in
such a child, and how it ends when the application comes back to the server in it.
"""

from __future__ import annotations

import os
import posix
import sys

from monoceros import _core

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Iterable
    from typing import Any, NoReturn
else:
    import _signal as signal  # signal itself imports enum and more

# Whose signal handlers mean nothing in a child; the application's own stay.
SERVER_MODULES = ("monoceros", "asyncio", "uvloop")
FLUSH_S_MAX = 1.0

_keeps = False  # this process is the master or a worker
_signals: tuple[int, ...] = ()
_further: Callable[[], None] | None = None
_own_fork = False
_hooked = False


def keep(
    scoreboard: _core.Scoreboard | None,
    descriptors: Iterable[Any],
    signals: Iterable[int],
    epolls: Iterable[int] = (),
    further: Callable[[], None] | None = None,
) -> None:
    """Children of this process shall not share these: `descriptors` (numbers or what has a
    fileno(); negative ones do not count), handlers of `signals`, the epoll sets of event loops.
    `further`: called in each child."""
    global _keeps, _signals, _further, _hooked
    signals, epolls = tuple(signals), tuple(epolls)
    numbers = [fd if isinstance(fd, int) else fd.fileno() for fd in descriptors]
    _core.keep_from_children(scoreboard, [fd for fd in numbers if fd >= 0], epolls, signals)
    _keeps, _signals, _further = True, signals, further
    if not _hooked:
        _hooked = True
        os.register_at_fork(after_in_child=_in_child)


def fork() -> int:
    """os.fork() for the server's own processes, which inherit everything."""
    global _own_fork
    _core.begin_own_fork()
    _own_fork = True
    try:
        return posix.fork()  # gevent would watch the child, and reap it
    finally:
        _own_fork = False
        _core.end_own_fork()


def _in_child() -> None:
    global _keeps
    if _own_fork or not _keeps:
        return
    _keeps = False  # a grandchild has nothing of ours left
    signal.set_wakeup_fd(-1)
    # faulthandler puts back what was there before it: for SIGABRT that is Python's C handler, which
    # would note a signal for a handler that is gone when Python looks.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _signals)
    faulthandler = sys.modules.get("faulthandler")
    if faulthandler is not None:  # it writes to our black box
        faulthandler.disable()
    for number in _signals:
        _reset(number)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    if _further is not None:
        _further()


def _reset(number: int) -> None:
    handler: Any = signal.getsignal(number)
    if not callable(handler) or isinstance(handler, int):  # SIG_DFL, SIG_IGN, or C's
        return
    theirs = (getattr(handler, "__module__", None) or "").partition(".")[0] not in SERVER_MODULES
    signal.signal(number, handler if theirs else signal.SIG_DFL)


def within(function: Callable[..., Any], *args: Any) -> Any:
    """Calls what is the application's. It does not return in a child that was forked inside."""
    pid = os.getpid()
    error = None
    try:
        return function(*args)
    except BaseException as raised:
        error = raised
        raise
    finally:
        if os.getpid() != pid:
            leave(error)


def leave_if_forked(pid: int | str, error: BaseException) -> None:
    """Where the application has raised in the worker `pid`, or in a child of it."""
    if os.getpid() != pid:
        leave(error)


def leave(error: BaseException | None = None) -> NoReturn:
    """Ends this process as the interpreter would, but for what is the parent's: no atexit function
    and no hook runs, and nothing is waited for."""
    code = 0
    try:
        if isinstance(error, SystemExit):
            code = _exit_code(error)
        elif error is not None:
            code = 1
            sys.excepthook(type(error), error, error.__traceback__)
        _flush()
    finally:
        os._exit(code)


def _exit_code(error: SystemExit) -> int:
    if error.code is None or isinstance(error.code, int):
        return (error.code or 0) & 0xFF
    sys.stderr.write(f"{error.code}\n")
    return 1


def _flush() -> None:
    """A thread that is not here may have held a stream's lock: that is not waited for."""
    from _thread import allocate_lock, start_new_thread

    done = allocate_lock()
    done.acquire()

    def flush() -> None:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except Exception:
                pass  # closed, replaced, or broken
        done.release()

    start_new_thread(flush, ())
    done.acquire(timeout=FLUSH_S_MAX)


# ---- event loops


def epoll_of(loop: Any) -> list[int]:
    """The epoll set of an asyncio or uvloop loop; none where it cannot be told."""
    selector: Any = getattr(loop, "_selector", None)
    if hasattr(selector, "fileno"):
        return [selector.fileno()]
    return [loop._get_backend_id()] if hasattr(loop, "_get_backend_id") else []


def end_loop(loop: Any) -> None:
    """In a child that was forked inside of this loop: nothing that waits in it happens here, and
    when the application gives up the thread, the process ends."""
    for handle in _ready_handles(loop):
        handle.cancel()
    loop.call_soon(leave)


def _ready_handles(loop: Any) -> list[Any]:
    if hasattr(loop, "_ready"):
        return list(loop._ready)
    import gc

    kinds = ("Handle", "TimerHandle")
    module = type(loop).__module__
    return [
        thing
        for thing in gc.get_objects()
        if type(thing).__name__ in kinds and type(thing).__module__ == module
    ]

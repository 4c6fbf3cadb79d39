"""Requests whose time is over (docs/adr/0013): where each was is noted, then it is interrupted,
then the log is told, one event a request.

The engine rings by a signal, once for however many there are; its handler runs in the main thread,
anywhere. It imports nothing, waits for no lock of Python's, calls no logger, and lets nothing out
but RequestTimeout, where that is for the code it was called in. What goes wrong in it is tried
again: the engine goes on ringing for whom nobody has interrupted.
"""

from __future__ import annotations

import os
import sys
from collections import deque

from monoceros.errors import RequestTimeout
from monoceros.host import unraisable
from monoceros.workers import stacks
from monoceros.workers.base import OVERDUE

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from types import FrameType

    from monoceros import _core
    from monoceros.contracts import EngineWorker
    from monoceros.workers.place import Place
    from monoceros.workers.stacks import Stack
else:
    import _signal as signal  # signal itself imports enum and more

# In a copy of the process when nobody reacts to OVERDUE: every thread's stack into the black box.
STUCK = signal.SIGRTMIN + 6
FREE_THREADED = "free-threading" in sys.version  # where nobody reads others' frames while they run

RUNNING = 1  # Stage of the core
ENDINGS = ("had not begun", "is interrupted", "ended before it could be interrupted")


def numbers(black_box: int) -> tuple[int, int]:
    """The signals that the engine is to send and to have handled; 0: not this one."""
    return OVERDUE, 0 if FREE_THREADED or black_box < 0 else STUCK


class Story:
    """What the log is told of one request."""

    elsewhere: Elsewhere | None = None

    def __init__(self, head: str, request_id: str, stack: Stack | None) -> None:
        self.head = head
        self.request_id = request_id
        self.stack = stack

    def text(self, sources: bool = True) -> str:
        """sources: with lines of code, which are read from files."""
        text = self.head
        if self.stack is not None:
            text += f"\n{stacks.text(self.stack, sources)}"
        elsewhere = self.elsewhere.text(sources) if self.elsewhere is not None else ""
        if elsewhere:
            text += f"\nMeanwhile, elsewhere in this worker:\n{elsewhere}"
        return text


class Elsewhere:
    """Where what was not late was at that moment, as far as it is not where the late ones were."""

    def __init__(
        self, threads: dict[int, Stack], others: list[tuple[str, Stack]], late: list[Stack]
    ) -> None:
        self.threads = threads
        self.others = others
        self.late = late

    def text(self, sources: bool) -> str:
        named = stacks.of_threads(self.threads) + self.others
        return stacks.grouped(named, self.late, sources)


class Deadlines:
    """The overdue requests of one worker."""

    def __init__(self, worker: EngineWorker, place: Place, engine: _core.Engine) -> None:
        self._worker = worker
        self._place = place
        self._engine = engine
        self._stories: deque[Story] = deque()  # to be told
        self._at_it = False
        self._failure: Exception | None = None

    def open(self) -> None:
        """In the main thread, after the engine is there."""
        import linecache  # noqa: F401 - not while a request is told of
        import threading  # noqa: F401

        if numbers(self._place.black_box)[1]:
            import faulthandler

            box = self._place.black_box
            faulthandler.register(STUCK, file=box, all_threads=True, chain=False)
        unraisable.watch(RequestTimeout, self._engine.interrupt_again, OVERDUE)
        signal.signal(OVERDUE, self.handle)

    def close(self) -> None:
        """The end of the worker: what is late from now on is not interrupted any more."""
        signal.signal(OVERDUE, signal.SIG_IGN)
        self.tell()

    def handle(self, sig: int, frame: FrameType | None) -> None:
        """The signal's handler. While it runs, another one leaves the work to it."""
        here: RequestTimeout | None = None
        again = not self._at_it
        while again:
            self._at_it = True
            try:
                self._collect(frame)
                here = self._interrupt(frame) or here
            except Exception as error:
                self._failure = error
            finally:
                self._at_it = False
            again = self._failure is None and self._engine.has_overdue
        if here is not None:
            raise here

    def _collect(self, frame: FrameType | None) -> None:
        threads, late = self._engine.collect_overdue()
        if not self._stories:
            self._empty_box()  # of what the master has told when nobody came to run here
        if not late:
            return
        worker = self._worker
        stories = []
        for thread, exchange, stage, request_id, method, target, client, ran_ms in late:
            stack = None
            if stage == RUNNING and exchange is None:
                stack = threads.get(thread)
            elif stage == RUNNING and exchange is not None:
                stack = worker.stack_of(exchange, frame)
            head = (
                f"Request timed out: {method} {target} (request id {request_id}, client "
                f"{client or 'unix'}) had run for {ran_ms / 1000:.1f} s; it was answered with 504 "
                f"and {ENDINGS[stage]}"
            )
            stories.append(Story(head, request_id, stack))
        for thread, exchange, *_ in late:
            if exchange is None or (exchange.task and worker.is_running(exchange)):
                threads.pop(thread, None)
        others = worker.others([exchange for _, exchange, *_ in late if exchange is not None])
        told = [story.stack for story in stories if story.stack is not None]
        stories[0].elsewhere = Elsewhere(threads, others, told)
        self._stories.extend(stories)
        worker.wake_to_tell()
        self._note(stories)

    def _note(self, stories: list[Story]) -> None:
        """For the master, should the application not let us tell."""
        if self._place.black_box >= 0:
            text = "".join(f"{story.text(sources=False)}\n" for story in stories)
            os.write(self._place.black_box, text.encode("utf-8", "replace"))

    def _interrupt(self, frame: FrameType | None) -> RequestTimeout | None:
        """What is to be raised here."""
        unraisable.guard()
        mine, exchanges = self._engine.interrupt_overdue(RequestTimeout)
        here = RequestTimeout() if mine else None
        later = []
        for exchange in exchanges:
            if not self._worker.is_running(exchange):
                later.append(exchange)
            # Between our calls and the application's: next time.
            elif not stacks.is_ours(frame) and exchange.interrupt():
                here = RequestTimeout.of(exchange)
        if later:
            self._worker.interrupt_soon(later)
        return here

    def tell(self) -> None:
        """In the main thread. The master tells in our place when we cannot."""
        worker = self._worker
        place = self._place
        if self._failure is not None:
            failure, self._failure = self._failure, None
            worker.log.error("Requests that are late could not be looked at: %r", failure)
        told = bool(self._stories)
        while self._stories:
            story = self._stories.popleft()
            if place.scoreboard.tell(place.slot, story.request_id):
                worker.log.error("%s", story.text().rstrip())
        if told:
            self._empty_box()

    def _empty_box(self) -> None:
        box = self._place.black_box
        if box >= 0:
            os.ftruncate(box, 0)
            os.lseek(box, 0, os.SEEK_SET)

"""Performer: does what the supervisor asks for, in order, and tells it what became of that.

The supervisor names actions ("fork", "kill" ...: supervisor/event.hpp); each is a method here, or
one of Reloads. Owned by the arbiter, which hooks know as the server. One thread.
"""

from __future__ import annotations

import os
import posix  # what gevent does not patch

from monoceros import sock, systemd
from monoceros.errors import HaltServer
from monoceros.host import daemon, forked
from monoceros.master import children, death_report
from monoceros.master.reloads import Reloads, serve_text
from monoceros.workers import in_flight

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from typing import Any

    from monoceros.contracts import Master
    from monoceros.master.child import Child
else:
    import _signal as signal  # signal itself imports enum and more

LEVELS = {10: "debug", 20: "info", 30: "warning", 40: "error", 50: "critical"}


class Performer:
    def __init__(self, server: Master) -> None:
        self.server = server
        self.children: dict[int, Child] = {}  # by process id; server.WORKERS has their objects
        self.reloads = Reloads(server, self.do)
        self.busy = False
        self.halted: tuple[int, str] | None = None  # exit code and reason
        self.override: HaltServer | None = None  # what a hook wants to end with instead
        self._todo: list[tuple[Any, ...]] = []
        self._killed: set[int] = set()  # by ourselves
        self._oom = death_report.OomCount()

    def do(self, actions: list[tuple[Any, ...]]) -> None:
        """Performs actions in order; those that follow from their answers come after them."""
        self._todo.extend(actions)
        if self.busy:
            return
        self.busy = True
        try:
            while self._todo:
                name, *args = self._todo.pop(0)
                self._perform(name, args)
        finally:
            self.busy = False

    def verdict(self) -> tuple[int, str]:
        """The server's exit code, and why it ends."""
        if self.override is not None:
            return self.override.exit_status, self.override.reason or ""
        return self.halted or (0, "")

    def _perform(self, name: str, args: list[Any]) -> None:
        method = getattr(self, f"_do_{name}", None) or getattr(self.reloads, name)
        try:
            method(*args)
        except HaltServer as error:
            if self.override is None:
                self.override = error
            self._todo.extend(self.server.supervisor.signal(signal.SIGTERM))

    # ---- children

    def _do_fork(self, kind: str, slot: int, age: int, generation: int) -> None:
        server = self.server
        try:
            child = children.PREPARE[kind](server, server.generation, slot, age)
        except Exception as error:
            server.log.exception("The worker class failed")
            self.do(server.supervisor.fork_failed(slot, f"{type(error).__name__}: {error}"))
            return
        server.call_hook("pre_fork", server, child.worker)
        # A signal must reach the child only once it has handlers: until then it would be
        # written to the pipe that it shares with the master.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, [*server.SIGNALS, signal.SIGABRT])
        try:
            pid = forked.fork()
        except OSError as error:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            child.close()
            self.do(server.supervisor.fork_failed(slot, str(error)))
            return
        if pid == 0:
            children.live(server, child, mask)
        child.worker.pid = pid
        server.WORKERS[pid] = child.worker
        self.children[pid] = child
        if child.handover is not None:
            child.handover.keep_sender()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        self.do(server.supervisor.forked(slot, pid))

    def forget(self) -> None:
        """In a child: what only the master does and has."""
        daemon.forget_command()
        for sibling in self.children.values():
            sibling.close()
        self.children.clear()
        self.server.WORKERS.clear()
        self._todo.clear()
        self.reloads.close_others()
        self.reloads.forget()

    def reap(self) -> None:
        """Collects every process that has ended, ours or (as PID 1) anybody's."""
        server = self.server
        while True:
            try:
                pid, status = posix.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == server.reexec_pid:
                server.reexec_pid = 0
            self.do(server.supervisor.exited(pid, status))
            self._killed.discard(pid)
            self._bury(pid)

    def _bury(self, pid: int) -> None:
        self.server.WORKERS.pop(pid, None)
        child = self.children.pop(pid, None)
        if child is not None:
            self.server.scoreboard.clear(child.slot)
            child.close()

    def _do_child_exit(self, pid: int) -> None:
        child = self.children.get(pid)
        if child is None:
            return
        self.server.WORKERS.pop(pid, None)
        self.server.call_hook("child_exit", self.server, child.worker)
        child.worker.tmp.close()
        self._bury(pid)  # before its successor is forked, which would keep what it left

    def _do_kill(self, pid: int, number: int) -> None:
        child, scoreboard = self.children.get(pid), self.server.scoreboard
        if child is not None and number == signal.SIGABRT:
            # It may let go of them in time to exit: they were why.
            child.held = in_flight.describe(scoreboard.flights(child.slot))
        if child is not None and number in (signal.SIGTERM, signal.SIGQUIT):
            scoreboard.set_leaving(child.slot)
        if number == signal.SIGKILL:
            self._killed.add(pid)
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass

    def kill(self, pid: int, number: int) -> None:
        """For hooks, and where nothing else is left."""
        self._do_kill(pid, number)

    def _do_death(self, pid: int, status: int, level: int, text: str) -> None:
        child = self.children.get(pid)
        if child is not None:
            by_master = pid in self._killed
            board = self.server.scoreboard
            text += death_report.details(child, board, status, self._oom, by_master)
        self._do_log(level, text)

    # ---- the rest

    def _do_log(self, level: int, text: str) -> None:
        getattr(self.server.log, LEVELS[level])(text)

    def _do_workers_changed(self, new: int, old: int) -> None:
        self.server.workers_changed(new, old)

    def _do_reopen_logs(self) -> None:
        # The workers' signal comes after this.
        log = self.server.log
        log.reopen_files()
        files = log.open_files() if hasattr(log, "open_files") else {}
        for child in self.children.values():
            if child.handover is not None and not child.handover.give(files):
                log.warning("%s has not taken the log files of ten rotations", child.worker)

    def _do_ready(self) -> None:
        daemon.say_started()
        systemd.sd_notify(f"READY=1\nSTATUS={serve_text(self.server.supervisor)}", self.server.log)

    def _do_close_listeners(self) -> None:
        systemd.sd_notify("STOPPING=1\nSTATUS=Waiting for the workers", self.server.log)
        self.server.scoreboard.set_stopping()
        # The workers go on accepting for a moment: their addresses are removed at the end.
        sock.close_sockets(self.server.LISTENERS, unlink=False)

    def _do_halt(self, code: int, reason: str) -> None:
        self.halted = (code, reason)

    def _do_reexec(self) -> None:
        self.server.reexec()

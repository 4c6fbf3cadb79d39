"""SIGHUP: a new configuration on trial, and the way back to the last one that served.

The supervisor decides (src/supervisor/rollout.cpp): "reload" reads the configuration, "commit"
comes with the first worker of it that serves, "roll_back" when that worker did not come to serve.
"""

from __future__ import annotations

import os
import time

from monoceros import sock, systemd, util
from monoceros.workers import choose

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from monoceros.contracts import Master


class Snapshot:
    """All of the master that a configuration decides about."""

    def __init__(self, arbiter: Master) -> None:
        self.app = dict(vars(arbiter.app))  # cfg, and what the application keeps of it
        self.environ = os.environ.copy()
        self.directory = _directory()
        self.listeners = arbiter.LISTENERS
        self.relay = arbiter.relay

    def restore(self, arbiter: Master) -> None:
        if self.directory:
            os.chdir(self.directory)
        os.environ.clear()
        os.environ.update(self.environ)
        vars(arbiter.app).clear()
        vars(arbiter.app).update(self.app)
        cfg = arbiter.cfg = arbiter.app.cfg
        arbiter.worker_class = choose.runnable(cfg.worker_class)
        arbiter.address = cfg.address
        arbiter.timeout = cfg.timeout
        arbiter.proc_name = cfg.proc_name + (".2" if arbiter.master_pid else "")
        arbiter.LISTENERS = self.listeners
        arbiter.relay = self.relay
        try:
            arbiter.set_logger(cfg)
            if arbiter.pidfile is None or arbiter.pidfile.fname != arbiter.pidfile_name():
                arbiter.change_pidfile()
        except Exception:
            arbiter.log.exception("Not all of the old configuration could be restored")


def _directory() -> str:
    """Of this process; empty where it was removed meanwhile, as old releases are."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return ""


class Rollout:
    """Owned by the arbiter, from the moment it listens."""

    def __init__(self, arbiter: Master) -> None:
        self.arbiter = arbiter
        self.proven = Snapshot(arbiter)  # of the last configuration with which a worker served
        self._before = self.proven  # the reload under way, if it fails
        self._workers = arbiter.configured_workers
        self._tries = 0
        self._try_at: float | None = None  # an address once more, monotonic seconds

    def reload(self) -> None:
        """Reads the configuration and answers the supervisor: now, or once an address that is in
        use is free, or has been tried often enough."""
        arbiter = self.arbiter
        stamp = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        systemd.sd_notify(f"RELOADING=1\nMONOTONIC_USEC={stamp}", arbiter.log)
        self._before = Snapshot(arbiter)
        self._workers = arbiter.configured_workers
        self._tries = 0
        self._try(arbiter.reload)

    def go_back(self) -> None:
        """To the directory of the start: relative names mean what they meant then."""
        place = str(self.arbiter.START_CTX["cwd"])
        try:
            os.chdir(place)
        except FileNotFoundError:
            raise RuntimeError(
                f"The directory {place}, in which this server was started, is gone. Restart it "
                "where the application is now, or with --chdir and a link that stays."
            ) from None
        import importlib

        importlib.invalidate_caches()  # of the same names in what may be another directory

    def wait_ms(self) -> int:
        """Until try_again() is due; -1: nothing is tried."""
        if self._try_at is None:
            return -1
        return max(0, int((self._try_at - time.monotonic()) * 1000))

    def try_again(self) -> None:
        self._try(self.arbiter.finish_reload)

    def _try(self, step: Callable[[], None]) -> None:
        arbiter = self.arbiter
        self._try_at = None
        assert arbiter.supervisor is not None
        if arbiter.supervisor.phase != "reloading":
            return  # a stop came
        try:
            try:
                step()
            except sock.Busy as busy:
                self._wait_for(busy)
                return
        except (Exception, SystemExit) as error:
            self._fail(error)
            arbiter.answer_reload(False)
            return
        systemd.sd_notify("STATUS=A first worker of the new generation is tried", arbiter.log)
        arbiter.answer_reload(True)

    def _wait_for(self, busy: sock.Busy) -> None:
        self._tries += 1
        if self._tries == sock.BIND_ATTEMPTS:
            busy.give_up(self.arbiter.log)
        busy.say_retry(self.arbiter.log)
        self._try_at = time.monotonic() + sock.BIND_PAUSE_SECONDS

    def _fail(self, error: BaseException) -> None:
        """Everything is as it was."""
        arbiter = self.arbiter
        made = arbiter.LISTENERS
        self._before.restore(arbiter)
        self._close(made)
        arbiter.configured_workers = self._workers
        is_said = isinstance(error, sock.CannotListen)
        arbiter.log.error("The reload failed: the server goes on as before", exc_info=not is_said)
        self._show_failure()

    def change_listeners(self) -> None:
        """Opens what the new configuration wants. What a way back needs stays open."""
        arbiter = self.arbiter
        extra = [item for item in self.proven.listeners if item not in arbiter.LISTENERS]
        before = [*arbiter.LISTENERS, *extra]
        arbiter.LISTENERS, gone = sock.change_sockets(before, arbiter.cfg, arbiter.log)
        self._close(gone)
        arbiter.relay = sock.RelayPair()  # requests know their listeners by number
        arbiter.say_where()

    def close_others(self) -> None:
        """In a worker: listeners of a configuration that is not its own would stay open with it."""
        for item in self.proven.listeners:
            if item not in self.arbiter.LISTENERS:
                item.close()

    def commit(self) -> None:
        """A worker of the new generation serves."""
        before, self.proven = self.proven, Snapshot(self.arbiter)
        self._close(before.listeners)

    def roll_back(self, why: str) -> None:
        """The new generation does not come to serve: the former configuration is back."""
        arbiter = self.arbiter
        assert arbiter.supervisor is not None
        made = arbiter.LISTENERS
        self.proven.restore(arbiter)
        self._close(made)
        arbiter.configured_workers = arbiter.supervisor.target
        text = f"READY=1\nSTATUS={serve_text(arbiter)}: {why}"
        systemd.sd_notify(text, arbiter.log)
        self._show_failure()

    def _show_failure(self) -> None:
        util._setproctitle(f"master [{self.arbiter.proc_name}] (reload failed)")

    def _close(self, listeners: list[sock.BaseSocket]) -> None:
        """Closes those that nobody has a use for any more."""
        used = [*self.arbiter.LISTENERS, *self.proven.listeners]
        gone = [item for item in listeners if item not in used]
        sock.close_sockets(gone, self.arbiter.owns_files())


def share_of(text: str, workers: int) -> int:
    """How many workers "3" or "25%" mean, rounded up."""
    if text.endswith("%"):
        return -(-workers * int(text[:-1]) // 100)
    return int(text)


def serve_text(arbiter: Master) -> str:
    """The state of the server for a status line."""
    assert arbiter.supervisor is not None
    text = f"{arbiter.supervisor.serving} workers serve"
    return text + "; the last reload failed" if arbiter.supervisor.last_reload_failed else text

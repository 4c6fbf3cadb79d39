"""Reloads: performs "reload", "commit" and "roll_back" (rollout.py has the values).

Owned by the performer. A reload that fails, at whatever step, leaves everything as it was.
"""

from __future__ import annotations

import os
import time

from monoceros import sock, systemd, util
from monoceros.master import ending, notices
from monoceros.master.policy import policy
from monoceros.master.rollout import Rollout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from monoceros import _core
    from monoceros.contracts import Master
    from monoceros.master import certificates
    from monoceros.master.generation import Generation
    from monoceros.sock import BaseSocket


class Reloads:
    def __init__(self, server: Master, do: Callable[[list[tuple[Any, ...]]], None]) -> None:
        self.server = server
        self._do = do
        self._rollout: Rollout | None = None
        self._moved = False  # the configuration being read has other addresses
        self._watch: certificates.Watch | None = None  # of their files; made when there are some

    @property
    def rollout(self) -> Rollout:
        assert self._rollout is not None
        return self._rollout

    def start(self) -> None:
        """The server listens: this is what a first reload would go back to."""
        self._rollout = Rollout(self.server.generation, self.server.configured_workers)
        self._follow_certificates()

    # ---- actions

    def reload(self) -> None:
        """Reads the configuration and answers the supervisor: now, or once an address that is in
        use is free, or has been tried often enough."""
        server = self.server
        stamp = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        systemd.sd_notify(f"RELOADING=1\nMONOTONIC_USEC={stamp}", server.log)
        self.rollout.begin(server.generation, server.configured_workers)
        self._try(server.reload)

    def commit(self) -> None:
        """A worker of the new generation serves."""
        former = self.rollout.commit(self.server.generation)
        self._close(former.listeners)

    def roll_back(self, why: str) -> None:
        """The new generation does not come to serve: the former configuration is back."""
        server = self.server
        made = server.LISTENERS
        self._assign(self.rollout.proven)
        self._close(made)
        server.configured_workers = server.supervisor.target
        text = f"READY=1\nSTATUS={serve_text(server.supervisor)}: {why}"
        systemd.sd_notify(text, server.log)
        self._show_failure()

    # ---- steps of a reload

    def wait_ms(self) -> int:
        """Until an address is to be tried once more, or certificates be read; -1: neither."""
        waits = [self.rollout.wait_ms()]
        if self._watch is not None:
            waits.append(self._watch.wait_ms())
        return min((wait for wait in waits if wait >= 0), default=-1)

    def try_again(self) -> None:
        if self.rollout.wait_ms() == 0:
            self._try(self.finish)
        if self._watch is not None:
            self._watch.look_if_due()

    def _try(self, step: Callable[[], None]) -> None:
        server, rollout = self.server, self.rollout
        rollout.tried()
        if server.supervisor.phase != "reloading":
            return  # a stop came
        try:
            try:
                step()
            except sock.Busy as busy:
                rollout.postpone(busy, server.log)
                return
        except (Exception, SystemExit) as error:
            self._fail(error)
            self._do(server.supervisor.reload_failed())
            return
        systemd.sd_notify("STATUS=A first worker of the new generation is tried", server.log)
        self._do(server.supervisor.reloaded(**policy(server)))

    def read(self) -> None:
        """The new configuration. Raises, or exits, where it is wrong."""
        server = self.server
        old_addresses = server.cfg.address
        for name in server.cfg.env:
            if name in server.cfg.env_orig:
                os.environ[name] = server.cfg.env_orig[name]
            else:
                os.environ.pop(name, None)
        go_to(str(server.START_CTX["cwd"]))
        server.app.reload()
        server.directory.tell(server.app.cfg, server.log)
        server.setup(server.app)
        server.log.reopen_files()
        self._follow_certificates()
        self._moved = server.cfg.address != old_addresses and not server.systemd
        self.finish()

    def finish(self) -> None:
        """What follows once the configuration is read. sock.Busy: call it again later."""
        server = self.server
        if self._moved:
            self._change_listeners()
            server.keep_from_children()
        notices.say_what_binds(server)
        server.call_hook("on_reload", server)
        ending.change_pidfile(server)
        util._setproctitle(f"master [{server.proc_name}]")

    def _change_listeners(self) -> None:
        """Opens what the new configuration wants. What a way back needs stays open."""
        server = self.server
        before = [*server.LISTENERS, *self.rollout.only_proven(server.generation)]
        server.LISTENERS, gone = sock.change_sockets(before, server.cfg, server.log)
        self._close(gone)
        server.relay = sock.RelayPair()
        notices.say_where(server)

    def _follow_certificates(self) -> None:
        served = self.server.generation.certificates
        if served is not None and self._watch is None:
            from monoceros.master.certificates import Watch

            self._watch = Watch(self.server.loop, self.server.log)
        if self._watch is not None:
            self._watch.follow(served)

    def forget(self) -> None:
        """In a worker."""
        if self._watch is not None:
            self._watch.close()

    # ---- the way back

    def _fail(self, error: BaseException) -> None:
        """Everything is as it was."""
        server, rollout = self.server, self.rollout
        made = server.LISTENERS
        self._assign(rollout.before)
        self._close(made)
        server.configured_workers = rollout.workers_before
        is_said = isinstance(error, sock.CannotListen)
        server.log.error("The reload failed: the server goes on as before", exc_info=not is_said)
        self._show_failure()

    def _assign(self, generation: Generation) -> None:
        server = self.server
        generation.enter()
        server.generation = generation
        self._follow_certificates()
        if server.master_pid:
            server.proc_name = f"{generation.cfg.proc_name}.2"
        else:
            server.proc_name = generation.cfg.proc_name
        try:
            server.set_logger(server.cfg)
            if server.pidfile is None or server.pidfile.fname != ending.pidfile_name(server):
                ending.change_pidfile(server)
        except Exception:
            server.log.exception("Not all of the old configuration could be restored")

    def _show_failure(self) -> None:
        util._setproctitle(f"master [{self.server.proc_name}] (reload failed)")

    def _close(self, listeners: list[BaseSocket]) -> None:
        """Closes those that nobody has a use for any more."""
        gone = self.rollout.unused(listeners, self.server.generation)
        sock.close_sockets(gone, self.server.owns_files())

    def close_others(self) -> None:
        """In a worker: listeners of a configuration that is not its own would stay open with it."""
        for item in self.rollout.only_proven(self.server.generation):
            item.close()


def go_to(place: str) -> None:
    """The directory of the start: relative names mean what they meant then."""
    try:
        os.chdir(place)
    except FileNotFoundError:
        raise RuntimeError(
            f"The directory {place}, in which this server was started, is gone. Restart it "
            "where the application is now, or with --chdir and a link that stays."
        ) from None
    import importlib

    importlib.invalidate_caches()  # of the same names in what may be another directory


def serve_text(supervisor: _core.Supervisor) -> str:
    """The state of the server for a status line."""
    text = f"{supervisor.serving} workers serve"
    return text + "; the last reload failed" if supervisor.last_reload_failed else text

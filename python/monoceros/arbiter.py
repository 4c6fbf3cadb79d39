"""Arbiter: the master process. Keeps workers at their number and never knows a client.

This is its face, with gunicorn's names, which hooks and subclasses use. What is to be done is
decided by _core.Supervisor, a pure function of events, and performed by master/performer.py. One
thread, for ever: a second one would make fork() unsafe and parent-death signals unreliable.
"""

from __future__ import annotations

import os
import sys
import time

from monoceros import SERVER, __version__, _core, compat, sock, systemd, util
from monoceros.errors import HaltServer
from monoceros.host import forked
from monoceros.master import ending, notices, reexec, release
from monoceros.master.generation import Generation, View
from monoceros.master.loop import Loop
from monoceros.master.performer import Performer
from monoceros.master.policy import policy

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from types import FrameType
    from typing import Any

    from monoceros.contracts import Application
    from monoceros.pidfile import Pidfile
    from monoceros.workers.base import Worker
else:
    import _signal as signal  # signal itself imports enum and more

SLOTS = 1024  # of the scoreboard; half of it is the largest number of workers
STOPS = {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT}
PROMOTION_POLL_MS = 1000  # where the kernel does not tell of the older master's end


def _noted(sig: int, frame: FrameType | None) -> None:
    """Nothing: the interpreter has already written the number to the wake-up descriptor."""


def _secured(generation: Generation, log: Any) -> Generation:
    """With what TLS and HTTP/2 take, where they are spoken. ConfigError: they cannot be."""
    if generation.cfg.http2_cleartext != "off":
        from monoceros import _secure  # noqa: F401 - before the fork, so that workers share it
    if not generation.cfg.is_ssl:
        return generation.having(certificates=None)
    from monoceros.master import certificates

    return certificates.adopt(generation, log)


class Arbiter:
    """The master. run() returns by SystemExit only."""

    WORKER_BOOT_ERROR = 3
    APP_LOAD_ERROR = 4
    SIGNALS = [
        getattr(signal, f"SIG{name}")
        for name in ("HUP", "QUIT", "INT", "TERM", "TTIN", "TTOU", "USR1", "USR2", "WINCH", "CHLD")
    ]
    app = View()
    cfg = View()
    worker_class = View()
    address = View()
    timeout = View()
    proc_name = View()
    relay = View()
    LISTENERS = View("listeners")
    supervisor: _core.Supervisor

    def __init__(self, app: Application) -> None:
        os.environ["SERVER_SOFTWARE"] = compat.server_names()[1]
        self.START_CTX = reexec.start_context()
        self.generation = Generation(listeners=[], relay=sock.RelayPair())
        self.WORKERS: dict[int, Worker] = {}
        self.SIG_QUEUE: list[int] = []
        self.PIPE: list[int] = []
        self.log: Any = None
        self.pid = os.getpid()
        self.pidfile: Pidfile | None = None
        self.systemd = False
        self.reexec_pid = 0
        self.master_pid = reexec.older_master()
        self.master_name = "Master"
        self._running = False  # hooks that raise stop the start, not a running server
        self.loop = Loop()
        self._older = reexec.OlderMaster(self.loop)
        self._look_again_ms = -1  # at overdue requests
        self._watchdog_s: float | None = None
        self.configured_workers: int | None = None  # as hooks and signals have changed it since
        self.performer = Performer(self)
        self.setup(app)
        self.scoreboard = _core.Scoreboard(SLOTS)
        self.supervisor = _core.Supervisor(self.scoreboard, self.master_pid != 0, **policy(self))

    # ---- configuration

    def setup(self, app: Application) -> None:
        """Takes a configuration: the first one, or that of a reload."""
        self.generation = self.generation.having(app=app, cfg=app.cfg)
        self.set_logger(self.cfg)
        self.generation = _secured(self.generation.configured(), self.log)
        previous, self.configured_workers = self.configured_workers, self.cfg.workers
        self._nworkers_changed(self.configured_workers, previous)
        if self.cfg.loglevel.lower() == "debug":
            self.log.debug("Current configuration:\n%s", self.cfg)
        for name, value in self.cfg.env.items():
            os.environ[name] = value
        if self.cfg.preload_app:
            if hasattr(self.worker_class, "patch_master"):
                self.worker_class.patch_master()
            from monoceros.workers.base import load_heard

            load_heard(self.log, self.app.wsgi)

    def set_logger(self, cfg: Any) -> None:
        """One logger for the master's life, unless the configuration names another class."""
        logger_class = cfg.logger_class
        if type(self.log) is logger_class:
            self.log.setup(cfg)
            return
        is_first = self.log is None
        self.log = logger_class(cfg)
        if is_first and self.master_pid:
            self.log.reopen_files()

    @property
    def num_workers(self) -> int:
        """How many workers are wanted. Assigning it changes their number."""
        assert self.configured_workers is not None
        return self.configured_workers

    @num_workers.setter
    def num_workers(self, value: int) -> None:
        if not hasattr(self, "supervisor"):
            self.configured_workers = value
            return
        self.performer.do(self.supervisor.set_workers(value))

    @property
    def worker_age(self) -> int:
        return self.supervisor.age if hasattr(self, "supervisor") else 0

    # ---- hooks

    def call_hook(self, name: str, *args: Any) -> None:
        if self.cfg.is_default(name):
            return
        try:
            forked.within(getattr(self.cfg, name), *args)
        except Exception:
            if not self._running:
                raise
            self.log.exception("The hook %s failed; the server goes on", name)

    def workers_changed(self, new: int, old: int | None) -> None:
        self.configured_workers = new
        self._nworkers_changed(new, old)

    def _nworkers_changed(self, new: int, old: int | None) -> None:
        self.call_hook("nworkers_changed", self, new, old)
        metric = {"metric": "gunicorn.workers", "value": new, "mtype": "gauge"}
        self.log.debug("%s workers", new, extra=metric)

    # ---- start

    def start(self) -> None:
        """Everything before the first fork."""
        self.log.info("Starting %s %s", SERVER, __version__)
        if self.master_pid:
            self.proc_name += ".2"
            self.master_name = "Master.2"
            self._older.follow(self)
        before = _core.open_files_max()
        if _core.raise_open_files_max():
            self.log.debug("Open files: %s, raised from %s", _core.open_files_max(), before)
        self.directory = release.Directory()
        self.pid = os.getpid()
        ending.change_pidfile(self)
        self.call_hook("on_starting", self)
        self.init_signals()
        self._listen()
        self.keep_from_children()
        notices.say_where(self)
        notices.say_worker_class(self.generation, self.log)
        notices.say_what_binds(self)
        systemd.sd_notify("STATUS=Listening, workers are starting", self.log)
        self._watchdog_s = systemd.watchdog_seconds()
        notices.check_worker_class(self.generation, self.log)
        self.call_hook("when_ready", self)

    def init_signals(self) -> None:
        """Each signal becomes a byte in the wake-up pipe, which keeps their order."""
        self.PIPE = list(os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC))
        self.loop.watch(self.PIPE[0], self._read_signals)
        signal.set_wakeup_fd(self.PIPE[1], warn_on_full_buffer=False)
        for number in self.SIGNALS:
            signal.signal(number, _noted)

    def _read_signals(self) -> None:
        """A zero is no signal: somebody wants us to look at the scoreboard."""
        try:
            self.SIG_QUEUE += [byte for byte in os.read(self.PIPE[0], 65536) if byte]
        except BlockingIOError:
            pass

    def keep_from_children(self) -> None:
        """Hooks, and threads of a preloaded application, may fork."""
        mine = [*self.LISTENERS, *self.PIPE, *self.relay.ends()]
        forked.keep(self.scoreboard, mine, self.SIGNALS)

    def _listen(self) -> None:
        fds: list[int] = []
        count = systemd.listen_fds()
        if count:
            self.systemd = True
            first = systemd.SD_LISTEN_FDS_START
            fds = list(range(first, first + count))
        handed = reexec.inherited_fds()
        if self.master_pid and not fds:
            fds = handed
        self.LISTENERS = sock.create_sockets(self.cfg, self.log, fds, self._pause)

    def _pause(self, seconds: float) -> None:
        """Before there are workers: a stop does not wait for an address."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.loop.wait(left * 1000)
            if STOPS.intersection(self.SIG_QUEUE):
                raise HaltServer("Told to stop before it listened.", 0)

    # ---- the loop

    def run(self) -> None:
        """The master's life. Ends by SystemExit with the server's exit code."""
        try:
            self.start()
        except HaltServer as error:
            ending.abandon(self)
            self.performer.override = error
            ending.leave(self, *self.performer.verdict())
        except BaseException:
            ending.abandon(self)
            raise
        util._setproctitle(f"master [{self.proc_name}]")
        try:
            import gc

            # What is there now is never collected, nor looked at: pages stay shared with workers.
            gc.collect()
            gc.freeze()
            self.performer.reloads.start()
            self.performer.do(self.supervisor.start())
            self._running = True
            while self.performer.halted is None:
                self._pass()
        except SystemExit:
            raise  # a worker that ends, or a hook that leaves on purpose
        except Exception:
            self.log.exception("Unhandled exception in the master")
            self.kill_workers(signal.SIGKILL)  # what there is, ended by hand
            ending.abandon(self)
            sys.exit(255)
        ending.leave(self, *self.performer.verdict())

    def _pass(self) -> None:
        """One round: wait, reap, take signals in their order, let the supervisor look."""
        self.loop.wait(self._wait_ms())
        numbers, self.SIG_QUEUE = self.SIG_QUEUE, []
        # First what is so, then what is wanted: a stop must know whether another master lives.
        self.reap_workers()
        if self.master_pid and self.master_pid != os.getppid():
            self._older.promote(self)
            self.performer.do(self.supervisor.promoted())
        for number in numbers:
            self.performer.do(self.supervisor.signal(number))
        self.performer.reloads.try_again()
        self.manage_workers()
        if self.cfg.request_timeout:
            from monoceros.master import overdue

            children = self.performer.children.values()
            self._look_again_ms = overdue.tell(children, self.scoreboard, self.log)
        if self._watchdog_s is not None:
            systemd.sd_notify("WATCHDOG=1", self.log)
        if self.cfg.enable_backlog_metric and not self.scoreboard.stopping():
            notices.report_backlog(self)  # the listeners are open

    def _wait_ms(self) -> int | None:
        """Until something is due that no descriptor tells of."""
        if self.SIG_QUEUE:
            return 0
        waits = [self.supervisor.wake_in_ms(), self._look_again_ms]
        waits.append(self.performer.reloads.wait_ms())
        if self.master_pid or self.cfg.enable_backlog_metric:
            waits.append(PROMOTION_POLL_MS)
        if self._watchdog_s is not None:
            waits.append(int(self._watchdog_s * 1000))
        return min((wait for wait in waits if wait >= 0), default=None)

    def wakeup(self) -> None:
        """Ends the wait of the main loop."""
        try:
            os.write(self.PIPE[1], b"\0")
        except BlockingIOError:
            pass

    def reap_workers(self) -> None:
        """Collects every process that has ended, ours or (as PID 1) anybody's."""
        self.performer.reap()

    def owns_files(self) -> bool:
        """Whether unix sockets are this master's to remove."""
        return not (self.systemd or self.reexec_pid or self.master_pid)

    def forget_being_master(self) -> None:
        """In a worker."""
        os.close(self.PIPE[0])
        self._older.close()
        self.performer.forget()

    def reload(self) -> None:
        """Reads the configuration again. Raises, or exits, where it is wrong."""
        self.performer.reloads.read()

    # ---- binary upgrade

    def reexec(self) -> None:
        """Forks a child that becomes the new master; this one goes on."""
        pid = reexec.fork_new_master(self)
        if pid:
            self.reexec_pid = pid
            self.performer.do(self.supervisor.reexec_forked(pid))
        else:
            self.performer.do(self.supervisor.reexec_failed())

    # ---- the end

    def stop(self, graceful: bool = True) -> None:
        """Ends all workers, and waits for them as graceful_timeout says."""
        performer = self.performer
        performer.do(self.supervisor.signal(signal.SIGTERM if graceful else signal.SIGQUIT))
        while performer.halted is None and not performer.busy:
            self._pass()

    def halt(self, reason: str | None = None, exit_status: int = 0) -> None:
        """Stops the server, with an exit code."""
        self.performer.override = HaltServer(reason or "", exit_status)
        self.stop()
        if self.performer.halted is not None:
            ending.leave(self, *self.performer.verdict())

    # ---- gunicorn's methods for hooks and subclasses

    def manage_workers(self) -> None:
        """Brings the workers to their number."""
        self.performer.do(self.supervisor.tick())

    spawn_workers = murder_workers = manage_workers

    def kill_worker(self, pid: int, sig: int) -> None:
        self.performer.kill(pid, sig)

    def kill_workers(self, sig: int) -> None:
        for pid in list(self.WORKERS):
            self.performer.kill(pid, sig)

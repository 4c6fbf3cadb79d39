"""Arbiter: the master process. Keeps workers at their number and never knows a client.

What is to be done is decided by _core.Supervisor, a pure function of events; this file performs
it: it forks, signals, reaps, binds, and calls the hooks. One thread, for ever: a second one would
make fork() unsafe and parent-death signals unreliable.
"""

from __future__ import annotations

import os
import posix  # what gevent does not patch
import select
import sys
import time

from monoceros import SERVER, __version__, _core, compat, sock, systemd, util
from monoceros.errors import HaltServer
from monoceros.host import daemon, forked
from monoceros.master import children, death_report, overdue, reexec, release
from monoceros.master.rollout import Rollout, serve_text, share_of
from monoceros.pidfile import Pidfile
from monoceros.workers import choose, in_flight, patching

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from types import FrameType
    from typing import Any

    from monoceros.config import Config
    from monoceros.contracts import Application
    from monoceros.workers.base import Worker
else:
    import _signal as signal  # signal itself imports enum and more

SLOTS = 1024  # of the scoreboard; half of it is the largest number of workers
STOPS = {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT}
PROMOTION_POLL_MS = 1000  # where the kernel does not tell of the older master's end


def _noted(sig: int, frame: FrameType | None) -> None:
    """Nothing: the interpreter has already written the number to the wake-up descriptor."""


class Arbiter:
    """The master. run() returns by SystemExit only."""

    WORKER_BOOT_ERROR = 3
    APP_LOAD_ERROR = 4
    SIGNALS = [
        getattr(signal, f"SIG{name}")
        for name in ("HUP", "QUIT", "INT", "TERM", "TTIN", "TTOU", "USR1", "USR2", "WINCH", "CHLD")
    ]
    LEVELS = {10: "debug", 20: "info", 30: "warning", 40: "error", 50: "critical"}

    def __init__(self, app: Application) -> None:
        os.environ["SERVER_SOFTWARE"] = compat.server_names()[1]
        self.START_CTX = reexec.start_context()
        self.WORKERS: dict[int, Worker] = {}
        self.LISTENERS: list[sock.BaseSocket] = []
        self.SIG_QUEUE: list[int] = []
        self.PIPE: list[int] = []
        self.log: Any = None
        self.pid = os.getpid()
        self.pidfile: Pidfile | None = None
        self.systemd = False
        self.reexec_pid = 0
        self.master_pid = reexec.older_master()
        self._before = reexec.identity_before()
        self.master_name = "Master"
        self._running = False  # hooks that raise stop the start, not a running server
        self._busy = False
        self._todo: list[tuple[Any, ...]] = []
        self._halted: tuple[int, str] | None = None
        self._override: HaltServer | None = None
        self._poller = patching.original_poll()
        self._oom = death_report.OomCount()
        self.relay = sock.RelayPair()
        self._killed: set[int] = set()  # by ourselves
        self._look_again_ms = -1  # at overdue requests
        self._moved = False  # the configuration being read has other addresses
        self._watchdog_s: float | None = None
        self._old_master_fd = -1  # readable once the master that started this one has ended
        self.configured_workers: int | None = None  # as hooks and signals have changed it since
        self.supervisor: _core.Supervisor | None = None
        self.setup(app)
        self.scoreboard = _core.Scoreboard(SLOTS)
        self.supervisor = _core.Supervisor(self.scoreboard, self.master_pid != 0, **self._policy())

    # ---- configuration

    def setup(self, app: Application) -> None:
        """Takes a configuration: the first one, or that of a reload."""
        self.app = app
        self.cfg: Config = app.cfg
        self.set_logger(self.cfg)
        self.worker_class: type[Worker] = choose.runnable(self.cfg.worker_class)
        self.address = self.cfg.address
        previous, self.configured_workers = self.configured_workers, self.cfg.workers
        self._nworkers_changed(self.configured_workers, previous)
        self.timeout = self.cfg.timeout
        self.proc_name = self.cfg.proc_name
        if self.cfg.loglevel.lower() == "debug":
            self.log.debug("Current configuration:\n%s", self.cfg)
        for name, value in self.cfg.env.items():
            os.environ[name] = value
        if self.cfg.preload_app:
            if hasattr(self.worker_class, "patch_master"):
                self.worker_class.patch_master()
            util.load_heard(self.log, self.app.wsgi)

    def set_logger(self, cfg: Config) -> None:
        """One logger for the master's life, unless the configuration names another class."""
        logger_class = cfg.logger_class
        if type(self.log) is logger_class:
            self.log.setup(cfg)
            return
        is_first = self.log is None
        self.log = logger_class(cfg)
        if is_first and self.master_pid:
            self.log.reopen_files()

    def _policy(self) -> dict[str, Any]:
        """The part of the configuration that the supervisor decides by."""
        return {
            "workers": self.configured_workers,
            "timeout_ms": round(self.cfg.timeout * 1000),
            "graceful_timeout_ms": round(self.worker_grace() * 1000),
            "max_surge": self._surge(),
            "max_unavailable": share_of(self.cfg.max_unavailable, self.num_workers),
            "memory_limit_bytes": self.cfg.max_worker_memory,
            "private_memory": self.cfg.worker_memory_kind == "private",
            "lifetime_min_ms": self.cfg.worker_lifetime_min * 1000,
            "watch_requests": bool(self.cfg.request_kill_timeout),
            "daemon": bool(self.cfg.daemon),
        }

    def _surge(self) -> int:
        if self.cfg.max_surge != "auto":
            return share_of(self.cfg.max_surge, self.num_workers)
        from monoceros.host import sizing

        advice = sizing.surge(self.num_workers, list(self.WORKERS))
        if self.WORKERS and advice.workers < self.num_workers:
            self.log.info("%s", advice.reason)
        return advice.workers

    def worker_grace(self) -> float:
        """Seconds that a worker has from TERM to KILL."""
        cfg = self.cfg
        return float(cfg.drain_delay + cfg.graceful_timeout + cfg.stream_grace)

    @property
    def num_workers(self) -> int:
        """How many workers are wanted. Assigning it changes their number."""
        assert self.configured_workers is not None
        return self.configured_workers

    @num_workers.setter
    def num_workers(self, value: int) -> None:
        if self.supervisor is None:
            self.configured_workers = value
            return
        self._do(self.supervisor.set_workers(value))

    @property
    def worker_age(self) -> int:
        return self.supervisor.age if self.supervisor is not None else 0

    # ---- hooks

    def _hook(self, name: str, *args: Any) -> None:
        if self.cfg.is_default(name):
            return
        try:
            forked.within(getattr(self.cfg, name), *args)
        except Exception:
            if not self._running:
                raise
            self.log.exception("The hook %s failed; the server goes on", name)

    def _nworkers_changed(self, new: int, old: int | None) -> None:
        self._hook("nworkers_changed", self, new, old)
        metric = {"metric": "gunicorn.workers", "value": new, "mtype": "gauge"}
        self.log.debug("%s workers", new, extra=metric)

    # ---- start

    def start(self) -> None:
        """Everything before the first fork."""
        self.log.info("Starting %s %s", SERVER, __version__)
        if self.master_pid:
            self.log.info("After process %s: %s", self.master_pid, self._before or "gunicorn")
            self.log.info("This one is %s", release.identity())
            self.proc_name += ".2"
            self.master_name = "Master.2"
            self._old_master_fd = reexec.watch_older_master(self.master_pid)
            if self._old_master_fd >= 0:
                self._poller.register(self._old_master_fd, select.POLLIN)
        self.raise_file_limit()
        self.directory = release.Directory()
        self.pid = os.getpid()
        self.change_pidfile()
        self._hook("on_starting", self)
        self.init_signals()
        self._listen()
        self.keep_from_children()
        self.say_where()
        self.log.info("Using worker: %s", self.worker_name())
        self.say_what_binds()
        systemd.sd_notify("STATUS=Listening, workers are starting", self.log)
        self._watchdog_s = systemd.watchdog_seconds()
        if hasattr(self.worker_class, "check_config"):
            self.worker_class.check_config(self.cfg, self.log)
        if not self.worker_class.__module__.startswith("monoceros."):
            from monoceros.workers import overrides

            overrides.announce(self.worker_class, self.log)
        self._hook("when_ready", self)

    def say_where(self) -> None:
        urls = [*map(str, self.LISTENERS), *sock.own_urls(self.cfg)]
        self.log.info("Listening at: %s (%s)", ",".join(urls), self.pid)

    def worker_name(self) -> str:
        turns_asgi = getattr(self.worker_class, "turns_asgi", None)
        loaded = self.app.callable
        if turns_asgi and loaded is not None and turns_asgi(self.cfg, loaded):
            return "asgi"
        return self.cfg.worker_class_str

    def say_what_binds(self) -> None:
        """What the configuration asks for and does not get."""
        if self.num_workers == 0:
            self.log.warning("workers is 0: nobody serves until TTIN, or a HUP with another number")
        bound = _core.connections_bound()
        asked = self.cfg.worker_connections
        if bound < asked and "worker_connections" in self.cfg.sources:
            self.log.warning(
                "worker_connections is %s, but a worker holds about %s: it may open %s files, some "
                "of which are the application's. Raise ulimit -n (LimitNOFILE=).",
                asked, bound, _core.open_files_max(),
            )  # fmt: skip

    def raise_file_limit(self) -> None:
        before = _core.open_files_max()
        if _core.raise_open_files_max():
            self.log.debug("Open files: %s, raised from %s", _core.open_files_max(), before)

    def pidfile_name(self) -> str | None:
        name: str | None = self.cfg.pidfile
        return name + ".2" if name is not None and self.master_pid else name

    def change_pidfile(self) -> None:
        """Writes the file that the configuration names, in the place of a former one."""
        if self.pidfile is not None:
            self.pidfile.unlink()
            self.pidfile = None
        name = self.pidfile_name()
        if name is not None:
            self.pidfile = Pidfile(name)
            self.pidfile.create(self.pid)
            if self.pidfile.foreign:
                self.log.warning("%s named %s. It is written anew.", name, self.pidfile.foreign)

    def init_signals(self) -> None:
        """Each signal becomes a byte in the wake-up pipe, which keeps their order."""
        self.PIPE = list(os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC))
        self._poller.register(self.PIPE[0], select.POLLIN)
        signal.set_wakeup_fd(self.PIPE[1], warn_on_full_buffer=False)
        for number in self.SIGNALS:
            signal.signal(number, _noted)

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
            if not self._poller.poll(left * 1000):
                return
            numbers = [byte for byte in os.read(self.PIPE[0], 65536) if byte]
            if STOPS.intersection(numbers):
                raise HaltServer("Told to stop before it listened.", 0)
            self.SIG_QUEUE += numbers

    # ---- the loop

    def run(self) -> None:
        """The master's life. Ends by SystemExit with the server's exit code."""
        try:
            self.start()
        except HaltServer as error:
            self._abandon_start()
            self._override = error
            self._leave()
        except BaseException:
            self._abandon_start()
            raise
        util._setproctitle(f"master [{self.proc_name}]")
        assert self.supervisor is not None
        try:
            import gc

            # What is there now is never collected, nor looked at: pages stay shared with workers.
            gc.collect()
            gc.freeze()
            self.rollout = Rollout(self)
            self._do(self.supervisor.start())
            self._running = True
            while self._halted is None:
                self._pass()
        except SystemExit:
            raise  # a worker that ends, or a hook that leaves on purpose
        except Exception:
            self.log.exception("Unhandled exception in the master")
            self._last_resort()
            sys.exit(255)
        self._leave()

    def _abandon_start(self) -> None:
        sock.close_sockets(self.LISTENERS, self.owns_files())
        if self.pidfile is not None:
            self.pidfile.unlink()

    def _pass(self) -> None:
        """One round: wait, reap, take signals in their order, let the supervisor look."""
        assert self.supervisor is not None
        numbers = self._wait()
        # First what is so, then what is wanted: a stop must know whether another master lives.
        self.reap_workers()
        if self.master_pid and self.master_pid != os.getppid():
            self._promote()
        for number in numbers:
            self._do(self.supervisor.signal(number))
        if self.rollout.wait_ms() == 0:
            self.rollout.try_again()
        self._do(self.supervisor.tick())
        if self.cfg.request_timeout:
            workers = list(self.WORKERS.values())
            self._look_again_ms = overdue.tell(workers, self.scoreboard, self.log)
        if self._watchdog_s is not None:
            systemd.sd_notify("WATCHDOG=1", self.log)
        if self.cfg.enable_backlog_metric and not self.scoreboard.stopping():
            self._report_backlog()  # the listeners are open

    def _wait(self) -> list[int]:
        """Signals that came, in order; empty at a wake-up by time or by a worker."""
        assert self.supervisor is not None
        numbers, self.SIG_QUEUE = self.SIG_QUEUE, []
        waits = [0] if numbers else [self.supervisor.wake_in_ms(), self._look_again_ms]
        waits.append(self.rollout.wait_ms())
        if self.master_pid or self.cfg.enable_backlog_metric:
            waits.append(PROMOTION_POLL_MS)
        if self._watchdog_s is not None:
            waits.append(int(self._watchdog_s * 1000))
        limits = [wait for wait in waits if wait >= 0]
        if self._poller.poll(min(limits) if limits else None):
            try:
                numbers += [byte for byte in os.read(self.PIPE[0], 65536) if byte]
            except BlockingIOError:
                pass
        return numbers

    def wakeup(self) -> None:
        """Ends the wait of the main loop."""
        try:
            os.write(self.PIPE[1], b"\0")
        except BlockingIOError:
            pass

    def reap_workers(self) -> None:
        """Collects every process that has ended, ours or (as PID 1) anybody's."""
        assert self.supervisor is not None
        while True:
            try:
                pid, status = posix.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self.reexec_pid:
                self.reexec_pid = 0
            self._do(self.supervisor.exited(pid, status))
            self._killed.discard(pid)
            left = self.WORKERS.pop(pid, None)
            if left is not None:
                self._bury(left)

    def _bury(self, worker: Worker) -> None:
        if worker.slot is not None:
            self.scoreboard.clear(worker.slot)
        if worker.black_box >= 0:
            os.close(worker.black_box)
            worker.black_box = -1
        handover, worker.handover = getattr(worker, "handover", None), None
        if handover is not None:
            handover.close()

    def _report_backlog(self) -> None:
        for waiting in sock.waiting_connections(self.LISTENERS):
            metric = {"metric": "gunicorn.backlog", "value": waiting, "mtype": "histogram"}
            self.log.debug("socket backlog: %s", waiting, extra=metric)

    # ---- performing the supervisor's actions

    def _do(self, actions: list[tuple[Any, ...]]) -> None:
        """Performs actions in order; those that follow from their answers come after them."""
        self._todo.extend(actions)
        if self._busy:
            return
        self._busy = True
        try:
            while self._todo:
                name, *args = self._todo.pop(0)
                self._perform(name, args)
        finally:
            self._busy = False

    def _perform(self, name: str, args: list[Any]) -> None:
        assert self.supervisor is not None
        try:
            getattr(self, f"_do_{name}")(*args)
        except HaltServer as error:
            if self._override is None:
                self._override = error
            self._todo.extend(self.supervisor.signal(signal.SIGTERM))

    def _do_log(self, level: int, text: str) -> None:
        getattr(self.log, self.LEVELS[level])(text)

    def _do_death(self, pid: int, status: int, level: int, text: str) -> None:
        worker = self.WORKERS.get(pid)
        if worker is not None:
            by_master = pid in self._killed
            text += death_report.details(worker, self.scoreboard, status, self._oom, by_master)
        self._do_log(level, text)

    def _do_kill(self, pid: int, number: int) -> None:
        worker = self.WORKERS.get(pid)
        if number == signal.SIGABRT and worker is not None and worker.slot is not None:
            # It may let go of them in time to exit: they were why.
            worker.held = in_flight.describe(self.scoreboard.flights(worker.slot))
        leave = number in (signal.SIGTERM, signal.SIGQUIT)
        if leave and worker is not None and worker.slot is not None:
            self.scoreboard.set_leaving(worker.slot)
        if number == signal.SIGKILL:
            self._killed.add(pid)
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass

    def _do_workers_changed(self, new: int, old: int) -> None:
        self.configured_workers = new
        self._nworkers_changed(new, old)

    def _do_child_exit(self, pid: int) -> None:
        worker = self.WORKERS.pop(pid, None)
        if worker is None:
            return
        self._hook("child_exit", self, worker)
        worker.tmp.close()
        self._bury(worker)  # before its successor is forked, which would keep what it left

    def _do_reopen_logs(self) -> None:
        # The workers' signal comes after this.
        self.log.reopen_files()
        files = self.log.open_files() if hasattr(self.log, "open_files") else {}
        for worker in self.WORKERS.values():
            if worker.handover is not None and not worker.handover.give(files):
                self.log.warning("%s has not taken the log files of ten rotations", worker)

    def _do_ready(self) -> None:
        daemon.say_started()
        systemd.sd_notify(f"READY=1\nSTATUS={serve_text(self)}", self.log)

    def _do_close_listeners(self) -> None:
        systemd.sd_notify("STOPPING=1\nSTATUS=Waiting for the workers", self.log)
        self.scoreboard.set_stopping()
        # The workers go on accepting for a moment: their addresses are removed at the end.
        sock.close_sockets(self.LISTENERS, unlink=False)

    def _do_halt(self, code: int, reason: str) -> None:
        self._halted = (code, reason)

    def owns_files(self) -> bool:
        """Whether unix sockets are this master's to remove."""
        return not (self.systemd or self.reexec_pid or self.master_pid)

    # ---- fork

    def _do_fork(self, slot: int, age: int, generation: int) -> None:
        assert self.supervisor is not None
        try:
            worker = children.new_worker(self, slot, age)
        except Exception as error:
            self.log.exception("The worker class failed")
            self._do(self.supervisor.fork_failed(slot, f"{type(error).__name__}: {error}"))
            return
        self._hook("pre_fork", self, worker)
        # A signal must reach the child only once it has handlers: until then it would be
        # written to the pipe that it shares with the master.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, [*self.SIGNALS, signal.SIGABRT])
        try:
            pid = forked.fork()
        except OSError as error:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            self._do(self.supervisor.fork_failed(slot, str(error)))
            return
        if pid == 0:
            children.live(self, worker, mask)
        worker.pid = pid
        self.WORKERS[pid] = worker
        if worker.handover is not None:
            worker.handover.keep_sender()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        self._do(self.supervisor.forked(slot, pid))

    def forget_being_master(self) -> None:
        """In a worker."""
        daemon.forget_command()
        os.close(self.PIPE[0])
        if self._old_master_fd >= 0:
            os.close(self._old_master_fd)
        for sibling in self.WORKERS.values():
            if sibling.black_box >= 0:
                os.close(sibling.black_box)
            if sibling.handover is not None:
                sibling.handover.close()
        self.WORKERS.clear()
        self._todo.clear()
        self.rollout.close_others()

    # ---- reload (rollout.py)

    def _do_reload(self) -> None:
        self.rollout.reload()

    def answer_reload(self, good: bool) -> None:
        assert self.supervisor is not None
        if good:
            self._do(self.supervisor.reloaded(**self._policy()))
        else:
            self._do(self.supervisor.reload_failed())

    def _do_commit(self) -> None:
        self.rollout.commit()

    def _do_roll_back(self, why: str) -> None:
        self.rollout.roll_back(why)

    def reload(self) -> None:
        """Reads the configuration again. Raises, or exits, where it is wrong."""
        old_addresses = self.cfg.address
        for name in self.cfg.env:
            if name in self.cfg.env_orig:
                os.environ[name] = self.cfg.env_orig[name]
            else:
                os.environ.pop(name, None)
        self.rollout.go_back()
        self.app.reload()
        self.directory.tell(self.app.cfg, self.log)
        self.setup(self.app)
        self.log.reopen_files()
        self._moved = self.cfg.address != old_addresses and not self.systemd
        self.finish_reload()

    def finish_reload(self) -> None:
        """What follows once the configuration is read. sock.Busy: call it again later."""
        if self._moved:
            self.rollout.change_listeners()
            self.keep_from_children()
        self.say_what_binds()
        self._hook("on_reload", self)
        self.change_pidfile()
        util._setproctitle(f"master [{self.proc_name}]")

    # ---- binary upgrade

    def _do_reexec(self) -> None:
        self.reexec()

    def reexec(self) -> None:
        """Forks a child that becomes the new master; this one goes on."""
        assert self.supervisor is not None
        pid = reexec.fork_new_master(self)
        if pid:
            self.reexec_pid = pid
            self._do(self.supervisor.reexec_forked(pid))
        else:
            self._do(self.supervisor.reexec_failed())

    def _promote(self) -> None:
        assert self.supervisor is not None
        if self._old_master_fd >= 0:
            self._poller.unregister(self._old_master_fd)
            os.close(self._old_master_fd)
            self._old_master_fd = -1
        self.log.info("%s has been promoted", self.master_name)
        self.master_name = "Master"
        self.master_pid = 0
        self.proc_name = self.cfg.proc_name
        os.environ.pop("GUNICORN_PID", None)
        if self.pidfile is not None:
            self.pidfile.rename(self.cfg.pidfile)
        util._setproctitle(f"master [{self.proc_name}]")
        systemd.sd_notify(f"MAINPID={self.pid}", self.log)
        self._do(self.supervisor.promoted())

    # ---- the end

    def stop(self, graceful: bool = True) -> None:
        """Ends all workers, and waits for them as graceful_timeout says."""
        assert self.supervisor is not None
        self._do(self.supervisor.signal(signal.SIGTERM if graceful else signal.SIGQUIT))
        while self._halted is None and not self._busy:
            self._pass()

    def halt(self, reason: str | None = None, exit_status: int = 0) -> None:
        """Stops the server, with an exit code."""
        self._override = HaltServer(reason or "", exit_status)
        self.stop()
        if self._halted is not None:
            self._leave()

    def _leave(self) -> None:
        if self.owns_files():
            sock.unlink_sockets(self.LISTENERS)
        # Workers that do without our engine tell nobody what they have served.
        by_engine = getattr(self.worker_class, "counts_requests", False)
        if by_engine or self.scoreboard.totals()["accepted"]:
            self.log.info("%s", self.ledger())
        code, reason = self._halted or (0, "")
        if self._override is not None:
            code, reason = self._override.exit_status, self._override.reason
        log = self.log.error if code else self.log.info
        log("Shutting down: %s", self.master_name)
        if reason:
            log("Reason: %s", reason)
        if self.pidfile is not None:
            self.pidfile.unlink()
        self._hook("on_exit", self)
        sys.exit(code)

    def ledger(self) -> str:
        """What became of every request that was taken in."""
        sums = self.scoreboard.totals()
        return (
            "Requests: accepted {accepted} = answered {answered} + refused {refused} + "
            "aborted {aborted}".format(**sums)
        )

    def _last_resort(self) -> None:
        """The main loop itself failed: end what there is, by hand."""
        for pid in list(self.WORKERS):
            self._do_kill(pid, signal.SIGKILL)
        sock.close_sockets(self.LISTENERS, self.owns_files())
        if self.pidfile is not None:
            self.pidfile.unlink()

    # ---- gunicorn's methods for hooks and subclasses

    def manage_workers(self) -> None:
        """Brings the workers to their number."""
        assert self.supervisor is not None
        self._do(self.supervisor.tick())

    spawn_workers = murder_workers = manage_workers

    def kill_worker(self, pid: int, sig: int) -> None:
        self._do_kill(pid, sig)

    def kill_workers(self, sig: int) -> None:
        for pid in list(self.WORKERS):
            self._do_kill(pid, sig)

"""A worker's process, from the fork to its end: what the master does in its child."""

from __future__ import annotations

import os
import sys

from monoceros import _core, sock, util
from monoceros.errors import AppImportError
from monoceros.host import forked
from monoceros.workers import leaving

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from types import FrameType
    from typing import Any, NoReturn

    from monoceros.contracts import Master
    from monoceros.workers.base import Worker
else:
    import _signal as signal  # signal itself imports enum and more


def new_worker(arbiter: Master, slot: int, age: int) -> Worker:
    """Before the fork, in the master."""
    arbiter.scoreboard.clear(slot)
    cfg = arbiter.cfg
    worker: Worker = arbiter.worker_class(
        age, arbiter.pid, arbiter.LISTENERS, arbiter.app, cfg.timeout / 2.0, cfg, arbiter.log
    )
    worker.attach(arbiter.scoreboard, slot, arbiter.PIPE[1], arbiter.relay.ends())
    worker.black_box = os.memfd_create("monoceros-stacks", os.MFD_CLOEXEC)
    if cfg.uid != os.geteuid():
        from monoceros.logs.files import Handover

        worker.handover = Handover()
    return worker


def live(arbiter: Master, worker: Worker, mask: Any) -> NoReturn:
    """The worker's whole life; leaves by SystemExit, so that atexit functions run."""
    worker.pid = os.getpid()
    signal.set_wakeup_fd(-1)

    def leave(sig: int, frame: FrameType | None) -> None:
        """Told to stop before the worker has handlers of its own."""
        worker.alive = False
        sys.exit(0)

    def reopen(sig: int, frame: FrameType | None) -> None:
        arbiter.log.reopen_files()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, leave)
    signal.signal(signal.SIGUSR1, reopen)
    handover = getattr(worker, "handover", None)
    if handover is not None:
        handover.keep_receiver()
        arbiter.log.handover = handover
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        _core.set_parent_death_signal(signal.SIGKILL)
        if os.getppid() != worker.ppid:
            sys.exit(0)
        arbiter.forget_being_master()
        forked.within(_serve, arbiter, worker)
    except SystemExit:
        raise
    except BaseException:
        # Even the log failed. The master's handlers further up are not for a worker.
        sys.excepthook(*sys.exc_info())
        sys.exit(255)
    finally:
        # It is on its way: a second TERM must not cut its last steps short, and a USR1 has
        # nothing to reopen. (The interpreter puts default actions in the place of handlers
        # when it ends, but leaves SIG_IGN.)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1):
            signal.signal(number, signal.SIG_IGN)
        arbiter.log.info("Worker exiting (pid: %s)", worker.pid)
        try:
            worker.tmp.close()
            arbiter.cfg.worker_exit(arbiter, worker)
        except Exception:
            arbiter.log.warning("The hook worker_exit failed", exc_info=True)
        leaving.end_service(worker)
    sys.exit(0)


def _serve(arbiter: Master, worker: Worker) -> None:
    try:
        util._setproctitle(f"worker [{arbiter.proc_name}]")
        arbiter.log.info("Booting worker with pid: %s", worker.pid)
        if arbiter.cfg.reuse_port:
            own = sock.create_own_sockets(arbiter.cfg, arbiter.log)
            worker.sockets = [*worker.sockets, *own]
        _keep_from_children(arbiter, worker)
        forked.within(arbiter.cfg.post_fork, arbiter, worker)
        worker.init_process()
    except Exception as error:
        if not worker.alive and (exit_ := _exit_behind(error)):
            raise exit_ from None
        _boot_failed(arbiter, worker, error)


def _keep_from_children(arbiter: Master, worker: Worker) -> None:
    """What worker classes add to, as soon as they have more: Worker.keep_from_children."""
    ends = [arbiter.PIPE[1], *arbiter.relay.ends(), worker.black_box]
    forked.keep(arbiter.scoreboard, [*worker.sockets, *ends], arbiter.SIGNALS)


def _exit_behind(error: BaseException | None) -> SystemExit | None:
    """The exit that a signal's handler asked for and that what it interrupted made an error of:
    __set_name__ does so before Python 3.12, and so does an application that wraps whatever
    happens while it loads."""
    while error is not None and not isinstance(error, SystemExit):
        error = error.__cause__ or error.__context__
    return error


def _boot_failed(arbiter: Master, worker: Worker, error: Exception) -> NoReturn:
    if isinstance(error, AppImportError):
        arbiter.log.debug("Exception while loading the application", exc_info=True)
        sys.stderr.write(f"{error}\n")
        sys.stderr.flush()
        sys.exit(arbiter.APP_LOAD_ERROR)
    arbiter.log.exception("Exception in worker process")
    sys.exit(255 if worker.booted else arbiter.WORKER_BOOT_ERROR)

"""The processes that serve: how one is made, and its life from the fork to its end."""

from __future__ import annotations

import os
import sys

from monoceros import _core, sock, util
from monoceros.errors import AppImportError
from monoceros.host import departure, forked
from monoceros.master.child import Child
from monoceros.workers import leaving
from monoceros.workers.place import Place

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from types import FrameType
    from typing import Any, NoReturn

    from monoceros.contracts import Master
    from monoceros.master.generation import Generation
else:
    import _signal as signal  # signal itself imports enum and more


def prepare(server: Master, generation: Generation, slot: int, age: int) -> Child:
    """Before the fork: the object that will serve, and our record of its process."""
    server.scoreboard.clear(slot)
    cfg = generation.cfg
    worker = generation.worker_class(
        age, server.pid, generation.listeners, generation.app, cfg.timeout / 2.0, cfg, server.log
    )
    black_box = os.memfd_create("monoceros-stacks", os.MFD_CLOEXEC)
    ends = generation.relay.ends()
    served = generation.certificates
    tls = None if served is None else served.store
    worker.attach(Place(server.scoreboard, slot, server.PIPE[1], ends, black_box, tls=tls))
    handover = None
    if cfg.uid != os.geteuid():
        from monoceros.logs.files import Handover

        handover = Handover()
    return Child(worker, slot, black_box, handover)


# By the kind of the pool (supervisor/event.hpp): who makes its processes.
PREPARE = {"worker": prepare}


def live(server: Master, child: Child, mask: Any) -> NoReturn:
    """The process's whole life; leaves by SystemExit, so that atexit functions run."""
    worker, log = child.worker, server.log
    worker.pid = os.getpid()
    signal.set_wakeup_fd(-1)

    def leave(sig: int, frame: FrameType | None) -> None:
        """Told to stop before the worker has handlers of its own."""
        worker.alive = False
        sys.exit(0)

    def reopen(sig: int, frame: FrameType | None) -> None:
        log.reopen_files()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, departure.handler(leave))
    signal.signal(signal.SIGUSR1, reopen)
    if child.handover is not None:
        child.handover.keep_receiver()
        log.handover = child.handover
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        _core.set_parent_death_signal(signal.SIGKILL)
        if os.getppid() != worker.ppid:
            sys.exit(0)
        server.forget_being_master()
        forked.within(_serve, server, worker)
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
        departure.arrive()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1):
            signal.signal(number, signal.SIG_IGN)
        log.info("Worker exiting (pid: %s)", worker.pid)
        try:
            worker.tmp.close()
            server.cfg.worker_exit(server, worker)
        except Exception:
            log.warning("The hook worker_exit failed", exc_info=True)
        leaving.end_service(worker)
    sys.exit(0)


def _serve(server: Master, worker: Any) -> None:
    cfg, log = server.cfg, server.log
    try:
        util._setproctitle(f"worker [{server.proc_name}]")
        log.info("Booting worker with pid: %s", worker.pid)
        if cfg.reuse_port:
            worker.sockets = [*worker.sockets, *sock.create_own_sockets(cfg, log)]
        # What worker classes add to, as soon as they have more: Worker.keep_from_children.
        place = worker.place
        forked.keep(place.scoreboard, [*worker.sockets, *place.fds()], server.SIGNALS)
        forked.within(cfg.post_fork, server, worker)
        worker.init_process()
    except Exception as error:
        if leave := departure.behind(error):
            raise leave from None
        _boot_failed(server, worker, error)


def _boot_failed(server: Master, worker: Any, error: Exception) -> NoReturn:
    if isinstance(error, AppImportError):
        server.log.debug("Exception while loading the application", exc_info=True)
        sys.stderr.write(f"{error}\n")
        sys.stderr.flush()
        sys.exit(server.APP_LOAD_ERROR)
    server.log.exception("Exception in worker process")
    sys.exit(255 if worker.booted else server.WORKER_BOOT_ERROR)

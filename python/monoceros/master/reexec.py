"""USR2: starting a new master from this one's child, with the listening sockets."""

from __future__ import annotations

import os
import sys

from monoceros import config, systemd, util
from monoceros.host import forked
from monoceros.master import release

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from typing import NoReturn

    from monoceros.contracts import Master
    from monoceros.master.loop import Loop
else:
    import _signal as signal  # signal itself imports enum and more

BEFORE = "MONOCEROS_BEFORE"  # environment of a new master: what the older one is


def start_context() -> dict[str | int, object]:
    """How this process was started: the interpreter, its whole command line, the directory.

    The configuration may have gone elsewhere since (chdir); config remembers where it began. Hooks
    may change it; where nobody has, the server is started as it was named (release.py).
    """
    args = [sys.executable, *sys.orig_argv[1:]]
    return {0: sys.executable, "args": args, "cwd": config.LAUNCH_DIR}


def command_of(arbiter: Master) -> tuple[str, list[str]]:
    """Program and arguments of the new master."""
    context = arbiter.START_CTX
    if context == start_context():
        return release.command()
    return str(context[0]), context["args"]  # type: ignore[return-value]


def fork_new_master(arbiter: Master) -> int:
    """The process id of a child that becomes the new master; 0: it could not be forked."""
    program = command_of(arbiter)[0]
    arbiter.log.info("Starting a new master: %s. This one is %s", program, release.identity())
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, arbiter.SIGNALS)
    try:
        pid = forked.fork()
    except OSError as error:
        arbiter.log.error("The new master cannot be started: %s", error)
        pid = 0
    else:
        if pid == 0:
            _become_new_master(arbiter)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return pid


def _become_new_master(arbiter: Master) -> NoReturn:
    try:
        arbiter.cfg.pre_exec(arbiter)
        exec_new_master(arbiter)
    except BaseException:
        arbiter.log.exception("The new master cannot be started")
    os._exit(1)  # nothing of the old master may run twice


def exec_new_master(arbiter: Master) -> None:
    """In the forked child: becomes the new master. Returns only by raising OSError."""
    environ = dict(arbiter.cfg.env_orig)
    environ["GUNICORN_PID"] = str(arbiter.pid)
    environ[BEFORE] = release.identity()
    fds = [listener.fileno() for listener in arbiter.LISTENERS]
    if arbiter.systemd:
        fds = _from_three(fds)
        environ["LISTEN_PID"] = str(os.getpid())
        environ["LISTEN_FDS"] = str(len(fds))
        environ["GUNICORN_FD"] = ""  # present: the new master is in the background already
    else:
        # With reuse_port the workers bind for themselves, and the list is empty.
        environ["GUNICORN_FD"] = ",".join(map(str, fds))
    for fd in fds:
        os.set_inheritable(fd, True)
    _default_signals()
    os.chdir(str(arbiter.START_CTX["cwd"]))
    program, args = command_of(arbiter)
    os.execvpe(program, args, environ)


def _from_three(fds: list[int]) -> list[int]:
    """The same sockets as descriptors 3, 4 ...: where socket activation has them."""
    first = systemd.SD_LISTEN_FDS_START
    import fcntl

    # Out of the way first: a target may be another one's source.
    above = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, first + len(fds)) for fd in fds]
    return [os.dup2(fd, first + index) for index, fd in enumerate(above)]


def _default_signals() -> None:
    """Blocked signals would stay blocked after exec; one that came meanwhile acts by default."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def inherited_fds() -> list[int]:
    """The descriptors that an older master left in GUNICORN_FD, which is consumed."""
    text = os.environ.pop("GUNICORN_FD", "")
    return [int(fd) for fd in text.split(",") if fd.strip()]


def older_master() -> int:
    """The process id of the master that started this one by USR2; 0: there is none."""
    try:
        return int(os.environ.get("GUNICORN_PID", "0"))
    except ValueError:
        return 0


class OlderMaster:
    """The master that started this one by USR2, as long as it lives. Owned by the arbiter."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._identity = os.environ.pop(BEFORE, "")
        self._fd = -1  # readable once it has ended; by then this process has another parent

    def follow(self, server: Master) -> None:
        """This process is new beside it."""
        log = server.log
        log.info("After process %s: %s", server.master_pid, self._identity or "gunicorn")
        log.info("This one is %s", release.identity())
        try:
            self._fd = os.pidfd_open(server.master_pid)
        except (AttributeError, OSError):  # Python was built on, or runs on, a kernel before 5.3
            return
        self._loop.watch(self._fd, self._forget)

    def _forget(self) -> None:
        self._loop.forget(self._fd)
        self.close()

    def close(self) -> None:
        """In a worker too, which has a copy."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def promote(self, server: Master) -> None:
        """It has ended: its names are this master's now."""
        if self._fd >= 0:
            self._forget()
        server.log.info("%s has been promoted", server.master_name)
        server.master_name = "Master"
        server.master_pid = 0
        server.proc_name = server.cfg.proc_name
        os.environ.pop("GUNICORN_PID", None)
        if server.pidfile is not None:
            server.pidfile.rename(server.cfg.pidfile)
        util._setproctitle(f"master [{server.proc_name}]")
        systemd.sd_notify(f"MAINPID={server.pid}", server.log)

"""Standard streams and --daemon: what a process is attached to.

The command that was typed waits for its daemon: until every worker serves, or the daemon has
ended, whose exit code is then the command's. Until that moment the daemon's standard error, which
nobody would ever see, is a file in memory; if it fails, the command prints it.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

WAIT_SECONDS = 60  # then the command returns, and the daemon goes on starting
WORDS_BYTES_MAX = 64 * 1024

_report_fd = -1  # in a daemon that is starting: its end of the pipe
_captured = False  # standard error is the file in memory


def open_standard_streams() -> None:
    """Descriptors 0 to 2 that are closed become /dev/null: or the first files and sockets that
    anybody opens would get their numbers, and whatever is printed."""
    for fd, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(fd)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
            os.set_inheritable(null, True)
        if getattr(sys, name) is None:
            setattr(sys, name, open(fd, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def detach(keep_output: bool) -> None:
    """Goes on in a grandchild without a terminal, umask 022. The command itself leaves here.

    With keep_output, output that is no terminal stays. A master that took over sockets from
    another (GUNICORN_FD) is in the background already.
    """
    global _report_fd
    if "GUNICORN_FD" in os.environ:
        return
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    words = os.memfd_create("monoceros-start", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    reading, writing = os.pipe2(os.O_CLOEXEC)
    command = os.fork()
    if command:
        os.close(writing)
        _, status = os.waitpid(command, 0)
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
    os.setsid()
    daemon = os.fork()
    if daemon:
        os.close(writing)
        _wait_for(daemon, reading, words)
    os.close(reading)
    os.umask(0o22)
    _report_fd = writing
    _redirect(words, keep_output)
    os.close(words)


def _redirect(words: int, keep_output: bool) -> None:
    global _captured
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    if not keep_output or os.isatty(1):
        os.dup2(null, 1)
    if not keep_output or os.isatty(2):
        os.dup2(words, 2)
        _captured = True
    os.close(null)


def _wait_for(daemon: int, reading: int, words: int) -> NoReturn:
    """The command's other half, which is the daemon's parent and gets its exit code."""
    import select

    poll = select.poll()
    poll.register(reading, select.POLLIN)
    if not poll.poll(WAIT_SECONDS * 1000):
        said = f"Still starting after {WAIT_SECONDS} s: the error log tells how it goes on.\n"
        os.write(2, said.encode())
        os._exit(0)
    if os.read(reading, 1):
        os._exit(0)
    _, status = os.waitpid(daemon, 0)
    code = os.waitstatus_to_exitcode(status)
    if code:
        os.write(2, os.pread(words, WORDS_BYTES_MAX, 0))
        said = f"\nError: the daemon did not start (it ended with {code}).\n"
        os.write(2, said.encode())
    os._exit(code & 0xFF)


def let_go() -> None:
    """This process has started: nobody reads what it prints any more."""
    global _captured
    if not _captured:
        return
    _captured = False
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 2)
    os.close(null)


def say_started() -> None:
    """In the master: the command may return."""
    if _report_fd < 0:
        return
    if _captured:
        import fcntl

        # Whoever still holds it, a child of the application or a log, cannot fill the memory.
        fcntl.fcntl(2, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW)
    let_go()
    os.write(_report_fd, b"1")
    forget_command()


def forget_command() -> None:
    """Closes what the command waits for. In a worker too: it may live longer than its master."""
    global _report_fd
    if _report_fd >= 0:
        os.close(_report_fd)
        _report_fd = -1

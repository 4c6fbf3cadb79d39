"""Log files: opening them in folders that others may write to, and handing them to workers.

The master may open what its workers, as another user, may not. It makes the files theirs, and
passes the descriptors of new ones on before it passes SIGUSR1 on.
"""

from __future__ import annotations

import _socket
import errno
import os
import stat
import sys

FILES_MAX = 250  # of one message; SCM_MAX_FD is 253
BYTES_MAX = 256 * 1024


def opener(path: str, flags: int) -> int:
    """For open(): a FIFO keeps nobody waiting, and a stranger's link leads nowhere. OSError."""
    flags |= os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        return os.open(path, flags | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENXIO):
            raise
        # Root's own links are followed (/dev/stdout); who is not root may follow anybody's.
        if error.errno == errno.ELOOP and os.geteuid() == 0 and os.lstat(path).st_uid != 0:
            why = "it is a symbolic link that another user has made; root does not follow it"
            raise OSError(errno.ELOOP, why, path) from error
    try:
        return os.open(path, flags, 0o666)
    except OSError as error:
        if error.errno != errno.ENXIO or not stat.S_ISFIFO(os.stat(path).st_mode):
            raise
    # Nobody reads the FIFO yet. Opened for both, it keeps what is written until then.
    return os.open(path, (flags & ~os.O_WRONLY) | os.O_RDWR, 0o666)


def give_away(fd: int, uid: int, gid: int) -> None:
    """To whom the workers run as. Only a file that has no other name: a link may be a trap."""
    found = os.fstat(fd)
    if (found.st_uid, found.st_gid) == (uid, gid):
        return
    if stat.S_ISREG(found.st_mode) and found.st_nlink == 1:
        try:
            os.fchown(fd, uid, gid)
        except OSError:
            pass  # not the superuser: the file is ours already


class Handover:
    """A socket pair from the master to one worker; made before the fork."""

    def __init__(self) -> None:
        kind = _socket.SOCK_SEQPACKET | _socket.SOCK_NONBLOCK
        self._sender, self._receiver = _socket.socketpair(_socket.AF_UNIX, kind)

    def keep_sender(self) -> None:
        # In the master, after the fork.
        self._receiver.close()

    def keep_receiver(self) -> None:
        # In the worker.
        self._sender.close()

    def close(self) -> None:
        self._sender.close()
        self._receiver.close()

    def give(self, files: dict[str, int]) -> bool:
        """Path: descriptor. False: the worker has not taken what it was given long ago."""
        some = list(files.items())[:FILES_MAX]
        if not some:
            return True
        numbers = b"".join(fd.to_bytes(4, sys.byteorder) for _, fd in some)
        rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, numbers)]
        names = "\0".join(path for path, _ in some)
        try:
            self._sender.sendmsg([os.fsencode(names)], rights)
        except BlockingIOError:
            return False
        except OSError:
            pass  # it has gone
        return True

    def take(self) -> dict[str, int]:
        # What was given last; the descriptors are the caller's.
        taken: dict[str, int] = {}
        while True:
            try:
                data, rights, *_ = self._receiver.recvmsg(
                    BYTES_MAX, _socket.CMSG_SPACE(4 * FILES_MAX), _socket.MSG_CMSG_CLOEXEC
                )
            except OSError:
                return taken  # no more
            if not data:
                return taken  # the master has gone
            close_all(taken)
            numbers = b"".join(part for _, _, part in rights)
            fds = [
                int.from_bytes(numbers[i : i + 4], sys.byteorder) for i in range(0, len(numbers), 4)
            ]
            taken = dict(zip(os.fsdecode(data).split("\0"), fds, strict=True))


def close_all(files: dict[str, int]) -> None:
    for fd in files.values():
        os.close(fd)

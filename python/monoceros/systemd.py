"""What systemd gives and wants to hear: socket activation and notification."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from monoceros.glogging import Logger

SD_LISTEN_FDS_START = 3


def listen_fds(unset_environment: bool = True) -> int:
    """How many listening sockets, from descriptor 3 on, were given to this very process."""
    count = _number("LISTEN_FDS")
    if _number("LISTEN_PID") != os.getpid():
        return 0
    if unset_environment:
        os.environ.pop("LISTEN_PID", None)
        os.environ.pop("LISTEN_FDS", None)
        os.environ.pop("LISTEN_FDNAMES", None)
    for fd in range(SD_LISTEN_FDS_START, SD_LISTEN_FDS_START + count):
        os.set_inheritable(fd, False)
    return count


def sd_notify(state: str, logger: Logger | None, unset_environment: bool = False) -> None:
    """Sends state, such as "READY=1", to the supervisor of this service if there is one."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    import _socket

    try:
        sock = _socket.socket(
            _socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK
        )
        try:
            sock.connect(address)
            sock.send(state.encode())
        finally:
            sock.close()
    except OSError as error:
        if logger is not None:
            logger.debug("NOTIFY_SOCKET could not be written: %s", error)
    finally:
        if unset_environment:
            os.environ.pop("NOTIFY_SOCKET", None)


def watchdog_seconds() -> float | None:
    """How often systemd is to be told that the master lives: half of WATCHDOG_USEC."""
    usec = _number("WATCHDOG_USEC")
    if usec <= 0 or "NOTIFY_SOCKET" not in os.environ:
        return None
    if "WATCHDOG_PID" in os.environ and _number("WATCHDOG_PID") != os.getpid():
        return None
    return usec / 2e6


def _number(name: str) -> int:
    try:
        return int(os.environ.get(name, "0"))
    except ValueError:
        return 0

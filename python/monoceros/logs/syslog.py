"""A handler for syslog that never waits, and says once that syslog is away."""

from __future__ import annotations

import logging
import socket
from logging.handlers import SysLogHandler

from monoceros.logs.remote import Remote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def remote_for(address: Any, socktype: Any) -> Remote:
    """Shared by the handlers of one address."""
    if isinstance(address, str):
        kinds = (socket.SOCK_DGRAM, socket.SOCK_STREAM) if socktype is None else (socktype,)
    else:
        kinds = (socktype or socket.SOCK_DGRAM,)
    return Remote("syslog", "lines", address, tuple(int(kind) for kind in kinds))


class SyslogHandler(SysLogHandler):
    """logging's, over a Remote: what finds no way is lost, as datagrams are."""

    def __init__(self, remote: Remote, facility: int) -> None:
        logging.Handler.__init__(self)  # the one above would connect
        self.address = remote.address
        self.facility = facility
        self.socket = None
        self.remote = remote

    def is_down(self) -> bool:
        return self.remote.is_down

    def createSocket(self) -> None:
        """The remote does."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            priority = self.encodePriority(self.facility, self.mapPriority(record.levelname))
            end = "\0" if self.append_nul else ""
            line = f"<{priority}>{self.ident}{self.format(record)}{end}"
            data = line.encode("utf-8", "backslashreplace")
        except Exception:
            self.handleError(record)
            return
        self.remote.send(data)

    def close(self) -> None:
        """Not when an application configures logging, which closes every handler: end() does."""

    def end(self) -> None:
        self.remote.close()
        super().close()

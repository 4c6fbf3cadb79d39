"""A handler for syslog that never waits."""

from __future__ import annotations

import socket
import sys
from logging.handlers import SysLogHandler

TYPE_CHECKING = False
if TYPE_CHECKING:
    from logging import LogRecord
    from typing import Any


class SyslogHandler(SysLogHandler):
    """Over a datagram socket that never waits: what finds no room is lost, as datagrams are."""

    def _connect_unixsocket(self, address: Any) -> None:
        # A name of logging's own; where it is no more, sockets simply stay as they are.
        super()._connect_unixsocket(address)  # type: ignore[misc]
        self._never_wait()

    def createSocket(self) -> None:
        super().createSocket()  # type: ignore[misc]
        self._never_wait()

    def _never_wait(self) -> None:
        opened = getattr(self, "socket", None)
        if opened is not None and opened.type == socket.SOCK_DGRAM:
            opened.setblocking(False)

    def handleError(self, record: LogRecord) -> None:
        if not isinstance(sys.exc_info()[1], BlockingIOError):
            super().handleError(record)

"""Listening sockets: made, inherited, named and cleaned up.

The module socket is imported only when somebody asks for a real socket object: the core needs
nothing but descriptors.
"""

from __future__ import annotations

import _socket
import errno
import os
import stat
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable
    from typing import Any

    from monoceros.config import Config
    from monoceros.glogging import Logger

BIND_ATTEMPTS = 5
BIND_PAUSE_SECONDS = 1.0
DEFER_SECONDS = 1  # a connection that says nothing for that long is accepted all the same


class BaseSocket:
    """One listening socket. Owns its descriptor; str() is how the boot lines name it."""

    FAMILY: int = _socket.AF_INET

    def __init__(self, address: Any, conf: Config, log: Logger, fd: int | None = None) -> None:
        self.log = log
        self.conf = conf
        self.cfg_addr = address
        self._sock: socket.socket | None = None
        if fd is None:
            self._raw = _socket.socket(self.FAMILY, _socket.SOCK_STREAM)
        else:
            self._raw = _socket.socket(fileno=fd)
            os.set_inheritable(fd, False)
        try:
            self.set_options(self._raw, bound=fd is not None)
        except BaseException:
            self._raw.close()
            raise

    def set_options(self, sock: Any, bound: bool = False) -> Any:
        """Makes the socket a non-blocking listener; binds it unless it is bound."""
        sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
        if self.conf.reuse_port and hasattr(_socket, "SO_REUSEPORT"):
            try:
                sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEPORT, 1)
            except OSError as error:
                if error.errno not in (errno.ENOPROTOOPT, errno.EINVAL, errno.EOPNOTSUPP):
                    raise
        if not bound:
            self.bind(sock)
        sock.setblocking(False)
        # A listener that was handed over keeps its queue: listen() again could shrink it.
        if not sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_ACCEPTCONN):
            sock.listen(self.conf.backlog)
        return sock

    def bind(self, sock: Any) -> None:
        sock.bind(self.cfg_addr)

    @property
    def sock(self) -> socket.socket:
        """The real socket object, made from the same descriptor on first use."""
        if self._sock is None:
            import socket

            raw = self._raw
            family, kind, proto = raw.family, raw.type, raw.proto
            self._sock = socket.socket(family, kind, proto, fileno=raw.detach())
        return self._sock

    def fileno(self) -> int:
        return (self._sock or self._raw).fileno()

    def getsockname(self) -> Any:
        return (self._sock or self._raw).getsockname()

    def close(self) -> None:
        (self._sock or self._raw).close()

    def unlink(self) -> None:
        """Removes what the address leaves in the file system."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.sock, name)

    def __str__(self, scheme: str = "http") -> str:
        return f"<socket {self.fileno()}>"

    def url_scheme(self) -> str:
        return "https" if self.conf.is_ssl else "http"


class TCPSocket(BaseSocket):
    """A listener on an IPv4 address and port."""

    FAMILY = _socket.AF_INET

    def set_options(self, sock: Any, bound: bool = False) -> Any:
        sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        if hasattr(_socket, "TCP_DEFER_ACCEPT"):  # docs/adr/0009
            sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_DEFER_ACCEPT, DEFER_SECONDS)
        return super().set_options(sock, bound=bound)

    def __str__(self, scheme: str = "") -> str:
        host, port = self.getsockname()[:2]
        return f"{scheme or self.url_scheme()}://{host}:{port}"


class TCP6Socket(TCPSocket):
    """A listener on an IPv6 address and port."""

    FAMILY = _socket.AF_INET6

    def __str__(self, scheme: str = "") -> str:
        host, port = self.getsockname()[:2]
        return f"{scheme or self.url_scheme()}://[{host}]:{port}"


class UnixSocket(BaseSocket):
    """A listener on a path, or on an abstract name (its first character is NUL)."""

    FAMILY = _socket.AF_UNIX

    def __init__(self, address: Any, conf: Config, log: Logger, fd: int | None = None) -> None:
        # The socket stays removable after a chdir; the name given to bind() stays short.
        self._path = "" if _is_abstract(address) else os.path.abspath(os.fspath(address))
        self._identity: tuple[int, int] | None = None
        if fd is None and self._path:
            self._remove_stale()
        super().__init__(address, conf, log, fd=fd)

    def _remove_stale(self) -> None:
        try:
            mode = os.lstat(self._path).st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(mode):
            raise ValueError(f"{self._path} exists and is not a socket: it is left alone.")
        os.unlink(self._path)

    def bind(self, sock: Any) -> None:
        if not self._path:
            sock.bind(self.cfg_addr)
            return
        before = os.umask(self.conf.umask)
        try:
            sock.bind(self.cfg_addr)
        finally:
            os.umask(before)
        uid, gid = self.conf.uid, self.conf.gid
        if uid != os.geteuid() or gid != os.getegid():
            os.chown(self._path, uid, gid)
        found = os.lstat(self._path)
        self._identity = (found.st_dev, found.st_ino)

    def unlink(self) -> None:
        """Removes the file, unless another server has put its own there meanwhile."""
        if not self._path:
            return
        try:
            found = os.lstat(self._path)
            if self._identity in (None, (found.st_dev, found.st_ino)):
                os.unlink(self._path)
        except OSError:
            pass

    def __str__(self, scheme: str = "unix") -> str:
        name = self.cfg_addr
        text = name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
        return "unix:" + text.replace("\0", "@", 1) if _is_abstract(name) else "unix:" + text


def _is_abstract(address: str | bytes) -> bool:
    return address[:1] in ("\0", b"\0")


def _class_for(address: Any) -> type[BaseSocket]:
    if isinstance(address, (str, bytes)):
        return UnixSocket
    if isinstance(address, tuple):
        return TCP6Socket if ":" in address[0] else TCPSocket
    raise TypeError(f"{address!r} is no address to bind to")


def _inherit(fd: int, conf: Config, log: Logger) -> BaseSocket:
    """A listener around a descriptor that is bound already. OSError: it is no such socket."""
    probe = _socket.socket(fileno=fd)
    try:
        family, address = probe.family, probe.getsockname()
    finally:
        probe.detach()
    kinds = {_socket.AF_INET: TCPSocket, _socket.AF_INET6: TCP6Socket, _socket.AF_UNIX: UnixSocket}
    return kinds[family](address, conf, log, fd=fd)


def create_sockets(conf: Config, log: Logger, fds: Iterable[int] | None = None) -> list[BaseSocket]:
    """The listeners of a configuration: from fds if given, else from its addresses.

    SystemExit(1) after five attempts, one second apart; ValueError for a missing certificate
    or a path that is taken.
    """
    for name in ("certfile", "keyfile"):
        path = getattr(conf, name)
        if path and not os.path.exists(path):
            raise ValueError(f"{name} {path!r} does not exist.")
    addresses = list(dict.fromkeys(conf.address))
    numbers = list(fds or ()) or [addr for addr in addresses if isinstance(addr, int)]
    made: list[BaseSocket] = []
    try:
        for number in numbers:
            made.append(_take_over(number, conf, log))
        for address in () if numbers else addresses:
            made.append(open_socket(address, conf, log))
    except BaseException:
        close_sockets(made)
        raise
    return made


def _take_over(fd: int, conf: Config, log: Logger) -> BaseSocket:
    try:
        return _inherit(fd, conf, log)
    except (OSError, KeyError) as error:
        log.error("The descriptor %s is not a socket to listen on: %s", fd, error)
        sys.exit(1)


def open_socket(address: Any, conf: Config, log: Logger) -> BaseSocket:
    """Binds and listens; waits for an address in use as create_sockets says."""
    kind = _class_for(address)
    in_use = False
    for _ in range(BIND_ATTEMPTS):
        try:
            return kind(address, conf, log)
        except OSError as error:
            in_use = error.errno == errno.EADDRINUSE
            if in_use:
                log.error("Connection in use: %s", address)
            elif error.errno == errno.EADDRNOTAVAIL:
                log.error("Invalid address: %s", address)
            else:
                log.error("Cannot listen on %s: %s", address, error)
                sys.exit(1)
        log.error("Retrying in %g second.", BIND_PAUSE_SECONDS)
        time.sleep(BIND_PAUSE_SECONDS)
    shown = address if isinstance(address, str) else "{}:{}".format(*address[:2])
    if in_use:
        log.error(
            "Cannot listen on %s: another program does. Stop that one, or --bind elsewhere.", shown
        )
    else:
        log.error("Cannot listen on %s: this machine does not have that address.", shown)
    sys.exit(1)


def change_sockets(
    listeners: list[BaseSocket], conf: Config, log: Logger
) -> tuple[list[BaseSocket], list[BaseSocket]]:
    """The listeners of a new configuration, and those that it has no use for.

    What stays is the very same socket: nobody waiting in its queue is lost.
    """
    wanted = list(dict.fromkeys(conf.address))
    kept = {item.cfg_addr: item for item in listeners if item.cfg_addr in wanted}
    made: dict[Any, BaseSocket] = {}
    try:
        for address in wanted:
            if address not in kept:
                made[address] = open_socket(address, conf, log)
    except BaseException:
        close_sockets(made.values())
        raise
    gone = [item for item in listeners if item.cfg_addr not in wanted]
    return [kept[addr] if addr in kept else made[addr] for addr in wanted], gone


def waiting_connections(listeners: Iterable[BaseSocket]) -> list[int]:
    """How many connections wait for accept() in each TCP listener's queue."""
    counts = []
    for listener in listeners:
        if listener.FAMILY != _socket.AF_UNIX:
            # struct tcp_info, tcpi_unacked: its meaning for a listener.
            info = listener.sock.getsockopt(_socket.IPPROTO_TCP, _socket.TCP_INFO, 28)
            counts.append(int.from_bytes(info[24:28], sys.byteorder))
    return counts


class RelayPair:
    """The socket pair over which the workers of one set of listeners hand requests to each other;
    every process of the server holds both ends (docs/adr/0012)."""

    def __init__(self) -> None:
        kind = _socket.SOCK_SEQPACKET | _socket.SOCK_NONBLOCK
        self._pair = _socket.socketpair(_socket.AF_UNIX, kind)

    def ends(self) -> tuple[int, int]:
        """Sender and receiver."""
        return self._pair[0].fileno(), self._pair[1].fileno()


def unlink_sockets(listeners: Iterable[BaseSocket]) -> None:
    """Removes what the listeners' addresses have left in the file system."""
    for listener in listeners:
        listener.unlink()


def close_sockets(listeners: Iterable[BaseSocket], unlink: bool = True) -> None:
    """Closes this process's descriptors; with unlink, removes the files of unix sockets."""
    for listener in listeners:
        listener.close()
        if unlink:
            listener.unlink()

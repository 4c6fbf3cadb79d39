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
    from collections.abc import Callable, Iterable
    from typing import Any, NoReturn

    from monoceros.config import Config
    from monoceros.glogging import Logger

BIND_ATTEMPTS = 5
BIND_PAUSE_SECONDS = 1.0
UNIX_PATH_BYTES_MAX = 107  # struct sockaddr_un
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
        if fd is None and self._path:
            lock = _lock_folder(os.path.dirname(self._path))
            try:
                _make_room(self._path)
                super().__init__(address, conf, log)
            finally:
                if lock >= 0:
                    os.close(lock)
        else:
            super().__init__(address, conf, log, fd=fd)
        self._identity = _identity(self._path)

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
        if uid == os.geteuid() and gid == os.getegid():
            return
        try:
            _give_away(self._path, uid, gid)
        except OSError:
            os.unlink(self._path)
            raise

    def unlink(self) -> None:
        """Removes the file, unless another server has put its own there meanwhile."""
        if self._identity is None or _identity(self._path) != self._identity:
            return
        try:
            os.unlink(self._path)
        except OSError:
            pass

    def __str__(self, scheme: str = "unix") -> str:
        name = self.cfg_addr
        text = name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
        return "unix:" + text.replace("\0", "@", 1) if _is_abstract(name) else "unix:" + text


def _give_away(path: str, uid: int, gid: int) -> None:
    """The socket itself, even where somebody has put something else in its place meanwhile."""
    fd = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if stat.S_ISSOCK(os.fstat(fd).st_mode):
            os.chown(f"/proc/self/fd/{fd}", uid, gid)
    finally:
        os.close(fd)


def _is_abstract(address: str | bytes) -> bool:
    return address[:1] in ("\0", b"\0")


def _identity(path: str) -> tuple[int, int] | None:
    """Which socket file is there; None: none is."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISSOCK(found.st_mode) else None


def _lock_folder(folder: str) -> int:
    """Of two servers that start at the same moment, the second must see that the first listens:
    between a look at the path and listen() nobody else does the same here. -1: no lock can be had,
    or none is needed. Closing the descriptor ends it."""
    import fcntl

    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return -1  # bind() will say what is wrong, unless it may be written and not read
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise OSError(errno.EADDRINUSE, "another server is about to listen here") from None
    except OSError:
        pass  # a file system without locks
    return fd


def _make_room(path: str) -> None:
    """Removes the socket file of a server that has ended. OSError EADDRINUSE: it lives; EEXIST:
    it is another kind of file."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise OSError(errno.EEXIST, "it exists and is not a socket")
    probe = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_NONBLOCK)
    try:
        probe.connect(path)
    except ConnectionRefusedError:
        os.unlink(path)
        return
    except FileNotFoundError:
        return
    except OSError as error:
        # EAGAIN: its queue is full. EPROTOTYPE: somebody receives datagrams there.
        if error.errno not in (errno.EAGAIN, errno.EPROTOTYPE):
            raise
    finally:
        probe.close()
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


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


class CannotListen(SystemExit):
    """A process without its address leaves. The log has said why."""


class Busy(Exception):
    """An address that cannot be had now, and perhaps a moment later."""

    def __init__(self, address: Any, in_use: bool) -> None:
        super().__init__(address)
        self.address = address
        self.in_use = in_use

    def say_retry(self, log: Logger) -> None:
        log.error("%s: %s", "Connection in use" if self.in_use else "Invalid address", self.address)
        log.error("Retrying in %g second.", BIND_PAUSE_SECONDS)

    def give_up(self, log: Logger) -> NoReturn:
        why = "this machine does not have that address."
        if self.in_use:
            why = "another program does. Stop that one, or --bind elsewhere."
        log.error("Cannot listen on %s: %s", _shown(self.address), why)
        raise CannotListen(1)


def shared_addresses(conf: Config) -> list[Any]:
    """Those that the master opens. With reuse_port each worker opens TCP addresses by itself."""
    found = dict.fromkeys(conf.address)
    return [item for item in found if not (conf.reuse_port and isinstance(item, tuple))]


def create_sockets(
    conf: Config,
    log: Logger,
    fds: Iterable[int] | None = None,
    pause: Callable[[float], None] = time.sleep,
) -> list[BaseSocket]:
    """The master's listeners: from fds if given, else from the addresses.

    CannotListen, after a line in the log, where that is impossible: an address in use is tried
    five times, and pause(1.0) called after each. ValueError for a missing certificate.
    """
    for name in ("certfile", "keyfile"):
        path = getattr(conf, name)
        if path and not os.path.exists(path):
            raise ValueError(f"{name} {path!r} does not exist.")
    addresses = shared_addresses(conf)
    numbers = list(fds or ()) or [addr for addr in addresses if isinstance(addr, int)]
    made: list[BaseSocket] = []
    try:
        for number in numbers:
            made.append(_take_over(number, conf, log))
        if not numbers:
            _open_all(addresses, conf, log, pause, made)
    except BaseException:
        close_sockets(made)
        raise
    return made


def create_own_sockets(conf: Config, log: Logger) -> list[BaseSocket]:
    """The listeners that a worker opens for itself (reuse_port)."""
    shared = shared_addresses(conf)
    made: list[BaseSocket] = []
    own = [item for item in dict.fromkeys(conf.address) if item not in shared]
    _open_all(own, conf, log, time.sleep, made)
    return made


def own_urls(conf: Config) -> list[str]:
    """How the boot line names what workers open for themselves."""
    shared = shared_addresses(conf)
    scheme = "https" if conf.is_ssl else "http"
    own = [item for item in dict.fromkeys(conf.address) if item not in shared]
    return [f"{scheme}://{_shown(address)}" for address in own]


def _open_all(
    addresses: list[Any],
    conf: Config,
    log: Logger,
    pause: Callable[[float], None],
    made: list[BaseSocket],
) -> None:
    for address in addresses:
        for attempt in range(1, BIND_ATTEMPTS + 1):
            try:
                made.append(open_socket(address, conf, log))
                break
            except Busy as busy:
                busy.say_retry(log)
                pause(BIND_PAUSE_SECONDS)
                if attempt == BIND_ATTEMPTS:
                    busy.give_up(log)


def _take_over(fd: int, conf: Config, log: Logger) -> BaseSocket:
    try:
        return _inherit(fd, conf, log)
    except (OSError, KeyError) as error:
        log.error("The descriptor %s is not a socket to listen on: %s", fd, error)
        raise CannotListen(1) from None


def open_socket(address: Any, conf: Config, log: Logger) -> BaseSocket:
    """Binds and listens. Busy: try again; CannotListen: that would not help."""
    try:
        return _class_for(address)(address, conf, log)
    except OSError as error:
        if error.errno in (errno.EADDRINUSE, errno.EADDRNOTAVAIL):
            raise Busy(address, error.errno == errno.EADDRINUSE) from None
        log.error("Cannot listen on %s: %s", _shown(address), _explain(address, conf, error))
        raise CannotListen(1) from None


def _shown(address: Any) -> str:
    if isinstance(address, tuple):
        host, port = address[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    text = os.fsdecode(address)
    return "unix:" + text.replace("\0", "@", 1) if _is_abstract(text) else "unix:" + text


def _explain(address: Any, conf: Config, error: OSError) -> str:
    """What is wrong, and what to do."""
    denied = error.errno in (errno.EACCES, errno.EPERM)
    if isinstance(address, tuple):
        if not denied:
            return f"{error.strerror or error}."
        return (
            f"{_user()} may not open a port below {_first_free_port()}. Choose a higher one (a "
            "proxy can forward to it), or grant the capability CAP_NET_BIND_SERVICE "
            "(AmbientCapabilities= in systemd, setcap)."
        )
    path = os.path.abspath(os.fsdecode(address))
    folder = os.path.dirname(path)
    if denied:
        return _explain_denial(path, folder, conf)
    return {
        errno.EEXIST: f"{path} exists and is not a socket. It is left alone: name another path.",
        errno.ENOENT: f"the folder {folder} does not exist. Make it (RuntimeDirectory= in systemd "
        "does).",
        errno.ENOTDIR: f"{folder} is not a folder.",
        None: f"it is too long: a unix socket's path has at most {UNIX_PATH_BYTES_MAX} bytes.",
    }.get(error.errno, f"{error.strerror}.")


def _explain_denial(path: str, folder: str, conf: Config) -> str:
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"{_user()} may not create files in {folder}."
    if os.path.lexists(path):
        return f"{path} is another user's, and {_user()} may not ask who listens there. Remove it."
    return f"{_user()} may not give the socket to user {conf.uid} and group {conf.gid}."  # chown


def _user() -> str:
    from monoceros.host.users import user_name

    name = user_name(os.geteuid())
    return f"the user {name}" if name else f"the user {os.geteuid()}"


def _first_free_port() -> int:
    try:
        with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", encoding="utf-8") as file:
            return int(file.read())
    except (OSError, ValueError):
        return 1024


def _place(address: Any) -> Any:
    """The same for two names of one path."""
    if not isinstance(address, str | bytes) or _is_abstract(address):
        return address
    folder, name = os.path.split(os.path.abspath(os.fsdecode(address)))
    return os.path.join(os.path.realpath(folder), name)


def change_sockets(
    listeners: list[BaseSocket], conf: Config, log: Logger
) -> tuple[list[BaseSocket], list[BaseSocket]]:
    """The listeners of a new configuration, and those that it has no use for. Raises as
    open_socket does.

    What stays is the very same socket: nobody waiting in its queue is lost.
    """
    wanted = {_place(address): address for address in shared_addresses(conf)}
    kept = {_place(item.cfg_addr): item for item in listeners}
    made: dict[Any, BaseSocket] = {}
    try:
        for place, address in wanted.items():
            if place not in kept:
                made[place] = open_socket(address, conf, log)
    except BaseException:
        close_sockets(made.values())
        raise
    gone = [item for place, item in kept.items() if place not in wanted]
    return [kept.get(place) or made[place] for place in wanted], gone


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

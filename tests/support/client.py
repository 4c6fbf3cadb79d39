"""A plain HTTP/1 client over a raw socket, so that tests decide about every byte."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass, field
from types import TracebackType

from patience import pace

Address = tuple[str, int] | str
TIMEOUT_S = 15.0
STEP_BYTES = 64 * 1024
BODILESS = (204, 304)


class Gone(Exception):
    """The peer closed (or reset) before what was expected had come; `.got` is what did come."""

    def __init__(self, got: bytes) -> None:
        super().__init__(f"connection closed after {got[-200:]!r}")
        self.got = got


@dataclass
class Response:
    """One response as it was on the wire."""

    version: str
    status: int
    reason: str
    headers: list[tuple[str, str]]
    head: bytes
    body: bytes = b""
    chunks: list[bytes] = field(default_factory=list)
    trailers: list[bytes] = field(default_factory=list)

    def all(self, name: str) -> list[str]:
        """Every value of a field."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def get(self, name: str) -> str | None:
        """The only value of a field; None without one."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} repeated: {values}"
        return values[0] if values else None

    @property
    def text(self) -> str:
        """The body as UTF-8."""
        return self.body.decode()


def connect(address: Address, timeout_s: float = TIMEOUT_S) -> socket.socket:
    """A connected TCP (v4, v6) or unix socket."""
    if isinstance(address, str):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(timeout_s)
        sock.connect(address)
        return sock
    sock = socket.create_connection(address, timeout_s)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def parse_head(head: bytes) -> Response:
    """A head with its empty line. Strict: what a server sends must be well-formed."""
    assert head.endswith(b"\r\n\r\n")
    lines = head[:-4].split(b"\r\n")
    assert not any(b"\n" in line or b"\r" in line for line in lines), head
    version, _, rest = lines[0].decode("latin-1").partition(" ")
    code, _, reason = rest.partition(" ")
    headers = []
    for line in lines[1:]:
        name, colon, value = line.decode("latin-1").partition(":")
        assert colon and name == name.strip() and name, line
        headers.append((name, value.strip()))
    return Response(version, int(code), reason, headers, head)


class Client:
    """One connection. Reading raises Gone when the server closes in the middle."""

    def __init__(self, address: Address, timeout_s: float = TIMEOUT_S) -> None:
        self.sock = connect(address, timeout_s)
        self.buffer = b""

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.sock.close()

    def send(self, *parts: bytes) -> None:
        """Sends the parts as one write."""
        self.sock.sendall(b"".join(parts))

    def trickle(self, data: bytes, pause_s: float = 0.0) -> None:
        """Sends byte by byte."""
        for index in range(len(data)):
            self.sock.sendall(data[index : index + 1])
            if pause_s:
                pace(pause_s, "a slow client")

    def drip(self, seconds_max: float, pause_s: float = 0.2) -> None:
        """Sends a byte at a time until something comes back, or the time is over."""
        self.sock.settimeout(pause_s)
        end = time.monotonic() + seconds_max
        while time.monotonic() < end and not self.buffer:
            self.send(b"x")
            try:
                self.fill()
            except TimeoutError:
                pass

    def fill(self) -> None:
        """Receives something more."""
        try:
            data = self.sock.recv(STEP_BYTES)
        except ConnectionResetError:
            data = b""
        if not data:
            got, self.buffer = self.buffer, b""
            raise Gone(got)
        self.buffer += data

    def until(self, mark: bytes) -> bytes:
        """Everything up to and including `mark`."""
        while mark not in self.buffer:
            self.fill()
        end = self.buffer.index(mark) + len(mark)
        got, self.buffer = self.buffer[:end], self.buffer[end:]
        return got

    def exactly(self, count: int) -> bytes:
        """The next `count` bytes."""
        parts, have = [self.buffer], len(self.buffer)
        self.buffer = b""
        while have < count:
            try:
                self.fill()
            except Gone as gone:
                raise Gone(b"".join(parts) + gone.got) from None
            parts.append(self.buffer)
            have += len(self.buffer)
            self.buffer = b""
        data = b"".join(parts)
        self.buffer = data[count:]
        return data[:count]

    def rest(self) -> bytes:
        """Everything until the server closes."""
        parts = [self.buffer]
        self.buffer = b""
        while True:
            try:
                self.fill()
            except Gone:
                return b"".join(parts)
            parts.append(self.buffer)
            self.buffer = b""

    def closed(self) -> bool:
        """Waits for the server to close; False when it says something instead."""
        return self.rest() == b""

    def head(self) -> Response:
        """The next response head, 1xx included."""
        return parse_head(self.until(b"\r\n\r\n"))

    def response(self, method: str = "GET") -> Response:
        """The next final response, whole, framed as RFC 9112 section 6.3 says."""
        response = self.head()
        while 100 <= response.status < 200:
            response = self.head()
        if method == "HEAD" or response.status in BODILESS:
            return response
        coding = response.get("Transfer-Encoding")
        length = response.get("Content-Length")
        assert coding is None or length is None, "both length and chunked"
        if coding is not None:
            assert coding == "chunked"
            self._read_chunks(response)
        elif length is not None:
            assert length.isdigit(), length
            response.body = self.exactly(int(length))
        else:
            response.body = self.rest()
        return response

    def _read_chunks(self, response: Response) -> None:
        while True:
            line = self.until(b"\r\n")
            size = int(line.split(b";")[0], 16)
            if size == 0:
                break
            response.chunks.append(self.exactly(size))
            assert self.exactly(2) == b"\r\n"
        while (line := self.until(b"\r\n")) != b"\r\n":
            response.trailers.append(line)
        response.body = b"".join(response.chunks)

    def ask(
        self,
        target: str,
        method: str = "GET",
        headers: dict[str, str] | None = None,
        body: bytes = b"",
    ) -> Response:
        """One usual exchange on this connection."""
        self.send(request(target, method, headers, body))
        return self.response(method)


def request(
    target: str,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    body: bytes = b"",
    version: str = "1.1",
) -> bytes:
    """The bytes of a request; Host and Content-Length are added where they are due."""
    fields = {"Host": "testing", **(headers or {})}
    if body and not any(name.lower() == "transfer-encoding" for name in fields):
        fields.setdefault("Content-Length", str(len(body)))
    lines = [f"{method} {target} HTTP/{version}"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def chunked(*parts: bytes, trailers: bytes = b"") -> bytes:
    """A chunked body with one chunk a part."""
    framed = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    return framed + b"0\r\n" + trailers + b"\r\n"


def fetch(address: Address, target: str, method: str = "GET", **more: str) -> Response:
    """One exchange on a connection of its own; keyword arguments are header fields."""
    headers = {name.replace("_", "-"): value for name, value in more.items()}
    with Client(address) as client:
        return client.ask(target, method, {"Connection": "close", **headers})


def patient(address: Address, target: str, timeout_s: float = 60.0) -> Response:
    """One exchange with a server that may take its time."""
    with Client(address, timeout_s) as client:
        return client.ask(target, headers={"Connection": "close"})

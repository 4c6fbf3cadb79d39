"""Keeps HTTP/1.1 connections busy, and accounts for every single request.

A program of its own, so that neither the tests' threads nor their interpreter's lock stand between
a look at an idle connection and the next request on it. Standard library only; one thread.

    counted_load.py --progress FILE --result FILE NAME=HOST:PORT ...

Every request has an id that no other has, and is right only when the whole answer came and says
that id. Nothing is ever sent a second time. SIGTERM lets what is in flight end; then the result is
written, as JSON. The progress file holds two 64-bit numbers: requests answered, requests failed.
"""

from __future__ import annotations

import argparse
import errno
import heapq
import itertools
import json
import mmap
import random
import selectors
import signal
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

# Seconds between two requests of a connection. A busy one hardly rests; an idle one is likely to
# be found between two requests; a sleepy one rests for longer than a server waits for it.
PAUSES_S = {"busy": (0.0005, 0.004), "idle": (0.01, 0.12), "sleepy": (0.4, 1.3)}
ANSWER_S_MAX = 30.0
RETRY_S = 0.05  # after a failure: a server that is down must not be hammered
SIZES = (100, 100, 100, 2_000, 2_000, 30_000, 200_000)
POST_BYTES = 3_000
DETAILS_MAX = 200


@dataclass(frozen=True)
class Failure:
    """One request that did not get its own whole answer; times are monotonic seconds."""

    id: str
    target: str
    kind: str
    began: float
    ended: float
    detail: str


class Wrong(Exception):
    """The request failed; the text is the kind of failure, the second argument the detail."""


class Totals:
    """What all connections together have seen."""

    def __init__(self, progress: Path) -> None:
        progress.write_bytes(bytes(16))
        with progress.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), 16)
        self.answered = 0
        self.failed = 0
        self.idle_closed = 0
        self.slowest_ms = 0.0
        self.failures: list[Failure] = []
        self.kinds: dict[str, int] = {}
        self.versions: dict[str, list[float]] = {}  # count, first and last beginning

    def publish(self) -> None:
        """For the process that watches."""
        struct.pack_into("QQ", self._shared, 0, self.answered, self.failed)

    def answer(self, version: str, began: float) -> None:
        """One more whole answer."""
        self.answered += 1
        self.slowest_ms = max(self.slowest_ms, (time.monotonic() - began) * 1000)
        seen = self.versions.setdefault(version, [0, began, began])
        seen[0] += 1
        seen[1] = min(seen[1], began)
        seen[2] = max(seen[2], began)

    def failure(self, failure: Failure) -> None:
        """One more failure."""
        self.failed += 1
        key = f"{failure.target} {failure.kind}"
        self.kinds[key] = self.kinds.get(key, 0) + 1
        if len(self.failures) < DETAILS_MAX:
            self.failures.append(failure)


class Lane:
    """One client: at most one connection, and one request on it, at a time."""

    def __init__(self, name: str, target: str, address: tuple[str, int], kind: str) -> None:
        self.name = name
        self.target = target
        self.address = address
        self.pause_s = PAUSES_S[kind]
        self.random = random.Random(name)
        self.sock: socket.socket | None = None
        self.asked = False  # a request is under way
        self.connecting = False
        self.sent = 0
        self.began = 0.0
        self.size = 0
        self.buffer = bytearray()
        self.length = -1  # of head and body; -1: not known yet

    @property
    def id(self) -> str:
        """Of the newest request."""
        return f"{self.name}-{self.sent}"

    def request(self) -> bytes:
        """The bytes of the next request."""
        self.sent += 1
        self.began = time.monotonic()
        self.asked = True
        self.length = -1
        self.buffer.clear()
        self.size = self.random.choice(SIZES)
        # Most answers come at once; some take a while, so that every event finds some in flight.
        work_ms = self.random.choice((0, 0, 0, 0, 0, 0, 3, 20))
        target = f"/?id={self.id}&size={self.size}&ms={work_ms}"
        if self.random.random() < 0.125:
            body = b"p" * POST_BYTES
            head = f"POST {target}&post={POST_BYTES} HTTP/1.1\r\nContent-Length: {POST_BYTES}\r\n"
        else:
            body = b""
            head = f"GET {target} HTTP/1.1\r\n"
        return f"{head}Host: counted.test\r\n\r\n".encode() + body

    def feed(self, data: bytes) -> bool:
        """Takes bytes of the answer; true when it is whole. Wrong when it cannot become that."""
        if not data:
            raise Wrong("cut" if self.buffer else "eof", bytes(self.buffer[:80]).decode("latin-1"))
        self.buffer += data
        if self.length < 0:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return False
            self.length = end + 4 + self._content_length(bytes(self.buffer[:end]))
        if len(self.buffer) > self.length:
            raise Wrong("surplus", f"{len(self.buffer) - self.length} bytes too many")
        return len(self.buffer) == self.length

    def _content_length(self, head: bytes) -> int:
        text = head.decode("latin-1")
        if not text.startswith("HTTP/1.1 200 "):
            raise Wrong(f"status {text[9:12]}", text.partition("\r\n")[0])
        value = field(text, "content-length")
        if not value.isdigit():
            raise Wrong("no length", text[:200])
        return int(value)

    def verdict(self) -> tuple[str, bool]:
        """The version that answered and whether the connection stays; Wrong if it is not ours."""
        head, _, body = bytes(self.buffer).partition(b"\r\n\r\n")
        text = head.decode("latin-1")
        own, _, padding = body.partition(b" ")
        if own != self.id.encode():
            raise Wrong("wrong body", f"asked as {self.id}, answered {body[:60]!r}")
        if len(body) != self.size or padding.strip(b"x"):
            raise Wrong("wrong body", f"{len(body)} bytes for {self.size}")
        return field(text, "x-version"), field(text, "connection").lower() != "close"


def field(head: str, name: str) -> str:
    """A field of a head; empty without one."""
    for line in head.split("\r\n")[1:]:
        key, _, value = line.partition(":")
        if key.lower() == name:
            return value.strip()
    return ""


class Load:
    """Drives all lanes from one selector."""

    def __init__(self, lanes: list[Lane], totals: Totals) -> None:
        self.lanes = lanes
        self.totals = totals
        self.stopping = False
        self._selector = selectors.DefaultSelector()
        self._order = itertools.count()
        # Times at which something is due; a lane that was served meanwhile is asked again.
        self._due: list[tuple[float, int, Lane]] = []
        now = time.monotonic()
        for lane in lanes:
            self._later(lane, now + lane.random.random() * 0.05)

    def _later(self, lane: Lane, moment: float) -> None:
        heapq.heappush(self._due, (moment, next(self._order), lane))

    def run(self) -> None:
        """Until stopping is set and nothing is in flight any more."""
        next_check = 0.0
        while not (self.stopping and not any(lane.asked for lane in self.lanes)):
            now = time.monotonic()
            wait = min(0.05, max(0.0, self._due[0][0] - now)) if self._due else 0.05
            for key, _ in self._selector.select(wait):
                self._happened(key.data)
            now = time.monotonic()
            while self._due and self._due[0][0] <= now and not self.stopping:
                self._ask(heapq.heappop(self._due)[2])
            if now >= next_check:
                next_check = now + 1.0
                for lane in self.lanes:
                    if lane.asked and now - lane.began > ANSWER_S_MAX:
                        self._fail(lane, "timeout", f"no answer in {ANSWER_S_MAX} s")
            self.totals.publish()

    def _ask(self, lane: Lane) -> None:
        # As every careful client: a last look whether the server has closed meanwhile.
        if lane.sock is not None and not is_open(lane.sock):
            self.totals.idle_closed += 1
            self._drop(lane)
        data = lane.request()
        try:
            if lane.sock is None:
                self._connect(lane, data)
            else:
                lane.sock.sendall(data)
        except OSError as error:
            self._fail(lane, kind_of(error), str(error))

    def _connect(self, lane: Lane, data: bytes) -> None:
        lane.sock = socket.socket()
        lane.sock.setblocking(False)
        lane.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        lane.connecting = True
        lane.buffer[:] = data  # until the connection stands
        self._selector.register(lane.sock, selectors.EVENT_WRITE, lane)
        if lane.sock.connect_ex(lane.address) not in (0, errno.EINPROGRESS):
            raise ConnectionRefusedError("connect failed at once")

    def _happened(self, lane: Lane) -> None:
        assert lane.sock is not None
        try:
            if lane.connecting:
                self._connected(lane)
                return
            data = lane.sock.recv(1 << 18)
            if lane.asked:
                if lane.feed(data):
                    self._answered(lane)
            elif data:
                raise Wrong("unasked", data[:80].decode("latin-1"))
            else:
                self.totals.idle_closed += 1
                self._drop(lane)
        except BlockingIOError:
            pass
        except Wrong as wrong:
            self._fail(lane, *wrong.args)
        except OSError as error:
            self._fail(lane, kind_of(error), str(error))

    def _connected(self, lane: Lane) -> None:
        assert lane.sock is not None
        code = lane.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise ConnectionRefusedError(code, "connect failed")
        lane.connecting = False
        lane.sock.sendall(bytes(lane.buffer))
        lane.buffer.clear()
        self._selector.modify(lane.sock, selectors.EVENT_READ, lane)

    def _answered(self, lane: Lane) -> None:
        version, stays = lane.verdict()
        lane.asked = False
        self.totals.answer(version, lane.began)
        if not stays:
            self._drop(lane)
        self._later(lane, time.monotonic() + lane.random.uniform(*lane.pause_s))

    def _fail(self, lane: Lane, kind: str, detail: str) -> None:
        was_asked, lane.asked = lane.asked, False
        ended = time.monotonic()
        failure = Failure(lane.id, lane.target, kind, lane.began, ended, detail)
        if kind == "reset" and not was_asked:
            self.totals.idle_closed += 1  # nobody was waiting for anything
        else:
            self.totals.failure(failure)
        self._drop(lane)
        if was_asked:
            self._later(lane, ended + RETRY_S)

    def _drop(self, lane: Lane) -> None:
        if lane.sock is not None:
            self._selector.unregister(lane.sock)
            lane.sock.close()
            lane.sock = None
            lane.connecting = False


def is_open(sock: socket.socket) -> bool:
    """Whether an idle connection can still be used: nothing has come on it."""
    try:
        sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def kind_of(error: OSError) -> str:
    """A word for what the kernel said."""
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    return "reset" if isinstance(error, (ConnectionResetError, BrokenPipeError)) else "os error"


L = TypeVar("L")


def make_lanes(make: Callable[[str, str, tuple[str, int], str], L], options: Any) -> list[L]:
    """The lanes of every NAME=HOST:PORT: make(name, target, address, kind) for each."""
    lanes = []
    for text in options.targets:
        name, _, address = text.partition("=")
        host, _, port = address.rpartition(":")
        for kind in PAUSES_S:
            for index in range(getattr(options, kind)):
                lanes.append(make(f"{name}-{kind}{index}", name, (host, int(port)), kind))
    return lanes


def command_line() -> argparse.ArgumentParser:
    """What every program of this kind takes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("targets", nargs="+", metavar="NAME=HOST:PORT")
    parser.add_argument("--progress", type=Path, required=True)
    parser.add_argument("--result", type=Path, required=True)
    for kind in PAUSES_S:
        parser.add_argument(f"--{kind}", type=int, default=1, help="connections to each target")
    return parser


def write_result(path: Path, sent: dict[str, int], totals: Totals) -> None:
    """The books; `sent`: requests of each lane."""
    result = {
        "sent": sent,
        "answered": totals.answered,
        "failed": totals.failed,
        "idle_closed": totals.idle_closed,
        "slowest_ms": round(totals.slowest_ms, 1),
        "kinds": totals.kinds,
        "versions": totals.versions,
        "failures": [asdict(failure) for failure in totals.failures],
    }
    path.write_text(json.dumps(result, indent=1) + "\n")


def main() -> None:
    """The program."""
    options = command_line().parse_args()
    totals = Totals(options.progress)
    load = Load(make_lanes(Lane, options), totals)

    def stop(*_: object) -> None:
        load.stopping = True

    signal.signal(signal.SIGTERM, stop)
    load.run()
    write_result(options.result, {lane.name: lane.sent for lane in load.lanes}, totals)


if __name__ == "__main__":
    main()

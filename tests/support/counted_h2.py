"""Keeps connections of HTTP/2 over TLS busy, and accounts for every single request.

The sibling of counted_load.py, with the same command line and books, and one option more:
--authority FILE, who has signed the server's certificate. One thread; frames and HPACK by
hyperframe and hpack.

What RFC 9113 section 6.8 allows is done, and nothing else: a stream above the last one of a GOAWAY,
or one that is refused (section 8.7), is asked again under the same id, and counts as one request;
if the server had executed it all the same, the application's notes show it twice. Whatever else
goes wrong with a stream is a failure.
"""

from __future__ import annotations

import asyncio
import random
import signal
import ssl
import time
from dataclasses import dataclass, field
from pathlib import Path

from hpack import Decoder, Encoder
from hyperframe.frame import (
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from counted_load import (
    ANSWER_S_MAX,
    PAUSES_S,
    POST_BYTES,
    RETRY_S,
    SIZES,
    Failure,
    Totals,
    command_line,
    kind_of,
    make_lanes,
    write_result,
)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
REFUSED_STREAM = 7
WINDOW = (1 << 31) - 1
REFILL = 1 << 20
STREAMS = {"busy": 5, "idle": 1, "sleepy": 1}  # at a time, of one connection


class Broken(Exception):
    """The connection is over; the text is the kind of failure of what was on it."""


@dataclass
class Asked:
    """One request, until it has its answer."""

    id: str
    size: int
    work_ms: int
    post: bool
    began: float = field(default_factory=time.monotonic)
    fields: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)

    def head(self) -> list[tuple[str, str]]:
        """The request's fields."""
        more = f"&post={POST_BYTES}" if self.post else ""
        path = f"/?id={self.id}&size={self.size}&ms={self.work_ms}{more}"
        method = "POST" if self.post else "GET"
        fixed = [(":scheme", "https"), (":authority", "counted.test"), (":path", path)]
        return [(":method", method), *fixed]

    def wrong(self) -> str:
        """What is wrong with the answer; nothing if it is whole and ours."""
        if self.fields.get(":status") != "200":
            return f"status {self.fields.get(':status')}"
        own, _, padding = bytes(self.body).partition(b" ")
        if own != self.id.encode() or len(self.body) != self.size or padding.strip(b"x"):
            return f"wrong body: {len(self.body)} bytes for {self.size}: {bytes(self.body[:60])!r}"
        return ""


class Wire:
    """One connection: frames out and in."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._encoder = Encoder()
        self._decoder = Decoder()
        self._next = 1
        self.open: dict[int, Asked] = {}
        self.leaving = False  # the server has said GOAWAY
        self._taken = 0  # bytes of bodies since the last WINDOW_UPDATE
        writer.write(PREFACE)
        self.send(SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: WINDOW}))
        self.send(WindowUpdateFrame(0, window_increment=WINDOW - 65_535))

    def send(self, frame: Frame) -> None:
        """Never waits: what is sent is little."""
        self._writer.write(frame.serialize())

    def ask(self, asked: Asked) -> None:
        """On a stream of its own. A body is far smaller than the window that servers begin with."""
        stream, self._next = self._next, self._next + 2
        self.open[stream] = asked
        block = self._encoder.encode(asked.head())
        flags = ["END_HEADERS"] if asked.post else ["END_HEADERS", "END_STREAM"]
        self.send(HeadersFrame(stream, data=block, flags=flags))
        if asked.post:
            self.send(DataFrame(stream, data=b"p" * POST_BYTES, flags=["END_STREAM"]))

    async def next_frame(self) -> Frame:
        """Broken when there is none any more."""
        try:
            head = await self._reader.readexactly(9)
            frame, length = Frame.parse_frame_header(memoryview(head))
            frame.parse_body(memoryview(await self._reader.readexactly(length)))
        except asyncio.IncompleteReadError:
            raise Broken("eof") from None
        except OSError as error:
            raise Broken(kind_of(error)) from None
        return frame

    def took_data(self, frame: DataFrame) -> None:
        """A stream's window is large enough for any answer; the connection's is filled up."""
        if frame.stream_id in self.open:
            self.open[frame.stream_id].body += frame.data
        self._taken += frame.flow_controlled_length
        if self._taken > REFILL:
            self.send(WindowUpdateFrame(0, window_increment=self._taken))
            self._taken = 0

    def took_fields(self, frame: HeadersFrame) -> None:
        """HPACK needs every block, also that of a stream which nobody waits for."""
        assert "END_HEADERS" in frame.flags, "no field here needs a CONTINUATION"
        fields = dict(self._decoder.decode(bytes(frame.data)))
        if frame.stream_id in self.open:
            self.open[frame.stream_id].fields = {str(k): str(v) for k, v in fields.items()}

    async def close(self) -> None:
        """At once, without a farewell."""
        self._writer.transport.abort()


class Lane:
    """One client: a connection at a time, and some streams on it."""

    def __init__(self, name: str, target: str, address: tuple[str, int], kind: str) -> None:
        self.name = name
        self.target = target
        self.address = address
        self.pause_s = PAUSES_S[kind]
        self.streams = STREAMS[kind]
        self.random = random.Random(name)
        self.sent = 0
        self.again: list[Asked] = []  # what the server has said that it did not execute

    def request(self) -> Asked:
        """The next one: what is to be repeated comes first."""
        if self.again:
            return self.again.pop()
        self.sent += 1
        chosen = self.random.choice
        work_ms = chosen((0, 0, 0, 0, 0, 0, 3, 20))
        size, post = chosen(SIZES), self.random.random() < 0.125
        return Asked(f"{self.name}-{self.sent}", size, work_ms, post)


class Load:
    """Drives all lanes, each as a task."""

    def __init__(self, lanes: list[Lane], totals: Totals, trust: ssl.SSLContext) -> None:
        self.lanes = lanes
        self.totals = totals
        self.trust = trust
        self.stopping = False

    async def run(self) -> None:
        """Until stopping is set and nothing is in flight or waits to be repeated any more."""
        await asyncio.gather(*(self._drive(lane) for lane in self.lanes))

    async def _drive(self, lane: Lane) -> None:
        while not self.stopping or lane.again:
            began = time.monotonic()
            try:
                opening = asyncio.open_connection(
                    *lane.address, ssl=self.trust, server_hostname="localhost"
                )
                wire = Wire(*await asyncio.wait_for(opening, ANSWER_S_MAX))
            except (OSError, asyncio.TimeoutError) as error:
                kind = kind_of(error) if isinstance(error, OSError) else "timeout"
                asked = lane.request()
                asked.began = began
                self._fail(lane, asked, f"connect: {kind}", repr(error))
                await asyncio.sleep(RETRY_S)
                continue
            try:
                await self._serve(lane, wire)
            except Broken as broken:
                for asked in wire.open.values():
                    self._fail(lane, asked, str(broken), "the connection ended")
                if not wire.open and not wire.leaving:
                    self.totals.idle_closed += 1
            finally:
                await wire.close()

    async def _serve(self, lane: Lane, wire: Wire) -> None:
        """One connection, until it is over for one of the two sides."""
        due = 0.0  # when the next request may begin
        reading = asyncio.ensure_future(wire.next_frame())
        try:
            while True:
                over = wire.leaving or (self.stopping and not lane.again)
                if over and not wire.open:
                    return
                now = time.monotonic()
                if not over and now >= due and len(wire.open) < lane.streams:
                    wire.ask(lane.request())
                    due = now + lane.random.uniform(*lane.pause_s)
                wait_s = max(0.001, min(0.05, due - now))
                await asyncio.wait([reading], timeout=wait_s)
                if reading.done():
                    self._took(lane, wire, reading.result())
                    reading = asyncio.ensure_future(wire.next_frame())
                self._look_for_late(wire)
                self.totals.publish()
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    def _look_for_late(self, wire: Wire) -> None:
        latest = time.monotonic() - ANSWER_S_MAX
        if any(asked.began < latest for asked in wire.open.values()):
            raise Broken("timeout")

    def _took(self, lane: Lane, wire: Wire, frame: Frame) -> None:
        if isinstance(frame, GoAwayFrame):
            if frame.error_code:
                raise Broken(f"goaway {frame.error_code}: {bytes(frame.additional_data)!r}")
            wire.leaving = True
            for stream in [one for one in wire.open if one > frame.last_stream_id]:
                lane.again.append(wire.open.pop(stream))
        elif isinstance(frame, HeadersFrame):
            wire.took_fields(frame)
        elif isinstance(frame, DataFrame):
            wire.took_data(frame)
        elif isinstance(frame, RstStreamFrame) and frame.stream_id in wire.open:
            asked = wire.open.pop(frame.stream_id)
            if frame.error_code == REFUSED_STREAM:
                lane.again.append(asked)
            else:
                self._fail(lane, asked, f"reset {frame.error_code}", "")
        elif isinstance(frame, SettingsFrame) and "ACK" not in frame.flags:
            wire.send(SettingsFrame(0, flags=["ACK"]))
        elif isinstance(frame, PingFrame) and "ACK" not in frame.flags:
            wire.send(PingFrame(0, opaque_data=frame.opaque_data, flags=["ACK"]))
        if "END_STREAM" in frame.flags and frame.stream_id in wire.open:
            self._answered(lane, wire.open.pop(frame.stream_id))

    def _answered(self, lane: Lane, asked: Asked) -> None:
        if wrong := asked.wrong():
            self._fail(lane, asked, wrong.partition(":")[0], wrong)
        else:
            self.totals.answer(asked.fields.get("x-version", ""), asked.began)

    def _fail(self, lane: Lane, asked: Asked, kind: str, detail: str) -> None:
        ended = time.monotonic()
        self.totals.failure(Failure(asked.id, lane.target, kind, asked.began, ended, detail))
        self.totals.publish()


def main() -> None:
    """The program."""
    parser = command_line()
    parser.add_argument("--authority", type=Path, required=True)
    options = parser.parse_args()
    trust = ssl.create_default_context(cafile=str(options.authority))
    trust.set_alpn_protocols(["h2"])
    totals = Totals(options.progress)
    load = Load(make_lanes(Lane, options), totals, trust)

    def stop(*_: object) -> None:
        load.stopping = True

    signal.signal(signal.SIGTERM, stop)
    asyncio.run(load.run())
    write_result(options.result, {lane.name: lane.sent for lane in load.lanes}, totals)


if __name__ == "__main__":
    main()

"""What faults.py fails allocations in: a request's life in each form, and each type of the module.

A case prepares what is not to fail, acts, and says afterwards what is wrong with the outcome. It
keeps nothing between two rounds but its engine.
"""

from __future__ import annotations

import contextlib
import importlib.machinery
import importlib.util
import io
import os
import select
import signal
import sys
import tempfile
import time
from typing import Any, ClassVar

import rig
from rig import BODY, Rig, answer_of, finish, request, status_of

from monoceros import _core


class Case:
    """The base: nothing is prepared, and nothing can be wrong but a lost exception."""

    excused = "nothing"  # words of an exception that is expected

    def __init__(self) -> None:
        self.open()

    def open(self) -> None:
        """Once."""

    def prepare(self) -> None:
        """Before each round; every allocation succeeds."""

    def act(self) -> Any:
        """Its allocations fail."""
        raise NotImplementedError

    def faults(self, _value: Any, _error: BaseException | None) -> list[str]:
        """What is wrong after a round: its value, or the exception that it ended with."""
        return []


class Threaded(Case):
    """A WSGI request of serve_wsgi()."""

    options: ClassVar[dict[str, Any]] = {}
    message = request(path="/a?b=c", fields=["X-Unknown: 1", "Cookie: a", "X-Unknown: 2"])
    good = (200, 500)
    served = (1,)

    def open(self) -> None:
        self.rig = Rig(**self.options)

    def prepare(self) -> None:
        self.rig.told.clear()
        self.client = self.rig.ask(self.message)
        self.begun = False

    def act(self) -> Any:
        return self.rig.serve(self.application)

    def rest(self) -> None:
        """Serves a request that was not reached: what failed was before."""
        while not select.select([self.client], [], [], 0)[0]:
            assert self.rig.serve(self.application) == 1, "a request was taken and is not answered"

    def application(self, _environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain"), ("X-A", "b")])
        return [BODY]

    def faults(self, value: Any, error: BaseException | None) -> list[str]:
        found = []
        if error is not None:
            self.rest()
        answer = answer_of(self.client)
        cut = self.begun and not answer.endswith(b"0\r\n\r\n")
        if status_of(answer) not in self.good and not cut:
            found.append(f"the client got {answer[:60]!r}")
        if status_of(answer) == 200 and error is None and not cut and BODY not in answer:
            found.append(f"the body is missing in {answer!r}")
        if error is None and value not in self.served:
            found.append(f"{value!r} requests were served")
        accepted, *ends = self.rig.engine.counters()
        if accepted != sum(ends):
            found.append(f"{accepted} accepted, but {ends} ended")
        self.rig.engine.take_journal()
        return found


class Deadlined(Threaded):
    """With request_timeout, and callbacks before and after."""

    def open(self) -> None:
        self.rig = Rig(values={"request_timeout": 60}, before=self.before, after=self.after)

    def before(self, environ: dict[str, Any]) -> None:
        environ["before"] = 1

    def after(self, environ: dict[str, Any], status: str, fields: bytes, *_sizes: int) -> None:
        assert status and isinstance(fields, bytes) and "REQUEST_METHOD" in environ

    def application(self, environ: dict[str, Any], start_response: Any) -> Any:
        environ["monoceros.extend_timeout"](5)
        assert environ["monoceros.times"].ready_us
        return super().application(environ, start_response)


class Around(Threaded):
    """A worker's own handle_request()."""

    def open(self) -> None:
        self.rig = Rig(around=self.around)

    def around(self, answer: Any, environ: dict[str, Any], listener: int) -> None:
        assert listener == 0 and "REQUEST_METHOD" in environ
        answer()


class Generator(Threaded):
    """A body in pieces, and write()."""

    def application(self, _environ: dict[str, Any], start_response: Any) -> Any:
        write = start_response("200 OK", [])
        self.begun = True
        write(BODY)
        return self.pieces()

    def pieces(self) -> Any:
        yield b""
        yield b"y" * 100
        yield b"z" * 20000


class Upload(Threaded):
    """wsgi.input, read in every way."""

    lines = b"one\ntwo\n" + BODY
    message = request("POST", body=lines)

    def application(self, environ: dict[str, Any], start_response: Any) -> Any:
        body = environ["wsgi.input"]
        got = body.readline() + next(body) + body.read(1) + b"".join(body.readlines()) + body.read()
        assert got == self.lines, got
        return super().application(environ, start_response)


class Streamed(Upload):
    """wsgi.input as it comes."""

    options: ClassVar[dict[str, Any]] = {"stream_bodies": True}


class Hints(Threaded):
    """Early hints, and start_response() again with exc_info."""

    def application(self, environ: dict[str, Any], start_response: Any) -> Any:
        environ["wsgi.early_hints"]([("Link", "</a>"), (b"X", b"y")])
        start_response("404 Not Found", [("X-A", "b")])
        try:
            raise KeyError(1)
        except KeyError:
            start_response("200 OK", iter([("X-A", "b")]), sys.exc_info())
        return [BODY]


class Raises(Threaded):
    """An application that fails."""

    good = (500,)

    def application(self, _environ: dict[str, Any], _start_response: Any) -> Any:
        raise KeyError("on purpose")


class Sent(Threaded):
    """A file by sendfile(2)."""

    def open(self) -> None:
        super().open()
        self.file = tempfile.TemporaryFile()  # noqa: SIM115
        self.file.write(BODY)

    def application(self, _environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [])
        self.begun = True
        self.file.seek(0)
        wrapper = _core.FileWrapper(self.file, 100)
        assert wrapper.filelike is self.file and wrapper.blksize == 100
        return wrapper


class Wrapped(Threaded):
    """A file wrapper of what is no file."""

    def application(self, _environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [])
        self.begun = True
        return _core.FileWrapper(io.BytesIO(BODY), 400)


class Nested(Threaded):
    """A WSGI request of an event loop."""

    options: ClassVar[dict[str, Any]] = {"nested": True}
    good = (200, 500, 0)  # 0: there was no memory for the list that it was to be in
    served = (0, 1)

    def open(self) -> None:
        self.rig = Rig(nested=True, wait=self.wait)

    def wait(self, _exchange: Any) -> None:
        self.rig.turn()

    def prepare(self) -> None:
        super().prepare()
        self.rig.await_turn()

    def act(self) -> Any:
        fresh = self.rig.turn()
        for exchange in fresh:
            exchange.waiter = self.wait_no_more
            exchange.task = self
            assert len(exchange.request_id) > 1 and not exchange.gone
            exchange.run_wsgi(self.application)
        return len(fresh)

    def wait_no_more(self) -> None:
        """The exchange's waiter."""

    def faults(self, value: Any, error: BaseException | None) -> list[str]:
        found = super().faults(value, error)
        return found if self.rig.at_rest() else [*found, "its connection stays open"]

    def rest(self) -> None:
        until = time.monotonic() + rig.WAIT_S
        while not select.select([self.client], [], [], 0)[0]:
            assert time.monotonic() < until, "a request was handed out and is not answered"
            select.select([self.client, self.rig.engine.fileno()], [], [], 1)
            self.act()


class Asgi(Nested):
    """An ASGI request with a body."""

    message = request("POST", "/%C3%BC?q", ["X-A: b"], BODY)

    def open(self) -> None:
        self.rig = Rig(nested=True, asgi=True)

    def act(self) -> Any:
        fresh = self.rig.turn()
        for exchange in fresh:
            failed = True
            try:
                self.run(exchange, exchange.scope())
                failed = False
            finally:
                exchange.close(failed)
        return len(fresh)

    def run(self, exchange: Any, scope: dict[str, Any]) -> None:
        assert scope["path"] == "/\xfc" and scope["headers"]
        assert finish(exchange.receive())["body"] == BODY
        start = {"type": "http.response.start", "status": 200, "headers": [(b"x-a", b"b")]}
        finish(exchange.send(start))
        body = {"type": "http.response.body", "body": BODY, "more_body": True}
        self.begun = True
        finish(exchange.send(body))
        finish(exchange.send({"type": "http.response.body"}))
        assert finish(exchange.receive())["type"] == "http.disconnect"


class AsgiStreamed(Asgi):
    """An ASGI request whose body arrives while the application waits for it."""

    message = request("POST", "/", [f"Content-Length: {len(BODY)}"])

    def open(self) -> None:
        self.rig = Rig(nested=True, asgi=True, stream_bodies=True)

    def run(self, exchange: Any, scope: dict[str, Any]) -> None:
        assert scope["path"] == "/"
        operation = exchange.receive()
        future = operation.send(None)
        self.client.sendall(BODY)
        self.rig.await_turn()
        self.rig.engine.turn()
        if not future.done():
            self.rig.engine.turn()  # it could not be told: with the next event
            raise MemoryError
        assert finish(operation)["body"] == BODY
        finish(exchange.send({"type": "http.response.start", "status": 200}))
        finish(exchange.send({"type": "http.response.body", "body": BODY}))


class WebSocket(Asgi):
    """A WebSocket: opened, one message each way, closed."""

    message = (
        b"GET /ws HTTP/1.1\r\nHost: rig\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        b"Sec-WebSocket-Protocol: one, two\r\n\r\n"
        b"\x81\x82\0\0\0\0hi"
    )
    good = (101, 500, 0)

    def run(self, exchange: Any, scope: dict[str, Any]) -> None:
        assert scope["subprotocols"] == ["one", "two"]
        assert finish(exchange.receive())["type"] == "websocket.connect"
        accept = {"type": "websocket.accept", "subprotocol": "two", "headers": [(b"a", b"b")]}
        finish(exchange.send(accept))
        self.begun = True
        while True:
            operation = exchange.receive()
            try:
                assert finish(operation)["text"] == "hi"
                break
            except rig.Pending:
                self.rig.await_turn()
                self.rig.engine.turn()
        finish(exchange.send({"type": "websocket.send", "text": "hello"}))
        finish(exchange.send({"type": "websocket.send", "bytes": bytearray(BODY)}))
        finish(exchange.send({"type": "websocket.close", "code": 1001, "reason": "bye"}))

    def faults(self, value: Any, error: BaseException | None) -> list[str]:
        if error is not None:
            self.rest()
        with contextlib.suppress(OSError):  # it may have been refused
            self.client.sendall(b"\x88\x82\0\0\0\0\x03\xe8")
            self.client.shutdown(1)
        self.rig.at_rest()
        return super().faults(value, error)


class Tables(Case):
    """Settings, and what is asked of their table."""

    values: ClassVar[dict[str, Any]] = {
        "timeout": 77, "forwarded_allow_ips": ["10.0.0.0/8", "*"], "access_log_format": "%(h)s x",
        "limit_request_fields": 55, "secure_scheme_headers": {"A": "b", "C": "d"},
    }  # fmt: skip

    def act(self) -> Any:
        made = _core.Settings(dict(self.values))
        _core.settings_table()
        _core.setting_row("workers")
        _core.setting_names("bool")
        _core.setting_values()
        _core.profile_table()
        assert _core.find_flag("--workers")
        assert _core.nearest_setting("worker") == "workers"
        assert _core.parse_network("10.0.0.0/8")
        assert _core.parse_address("[::1]:99") == ("::1", 99)
        assert _core.parse_setting("workers", "3") == 3
        return made

    def faults(self, value: Any, error: BaseException | None) -> list[str]:
        if error is not None:
            return []
        got = (value.timeout, value.limit_request_fields, value.access_log_format)
        return [] if got == (77, 55, "%(h)s x") else [f"settings were lost: {got}"]


class Master(Case):
    """A scoreboard and a supervisor through a worker's life."""

    def act(self) -> Any:
        board = _core.Scoreboard(4)
        policy = _core.Supervisor(
            board, False, workers=2, timeout_ms=1000, graceful_timeout_ms=1000, max_surge=1,
            max_unavailable=0, memory_limit_bytes=0, private_memory=False, lifetime_min_ms=0,
            watch_requests=True, daemon=False,
        )  # fmt: skip
        actions = policy.start()
        assert [a[0] for a in actions].count("fork") >= 1, actions
        policy.forked(0, 999_999)
        board.beat(0)
        board.set_ready(0)
        actions = policy.tick() + policy.exited(999_999, 9, "why") + policy.signal(signal.SIGHUP)
        assert "reload" in [a[0] for a in actions], actions
        policy.reload_failed()
        board.flights(0)
        board.tell(0, "abc")
        assert board.totals()["accepted"] == 0
        return (policy.phase, policy.rollout, policy.target, policy.age, policy.wake_in_ms())


class Opened(Case):
    """Engine objects, made and let go, with a journal and refused requests."""

    def prepare(self) -> None:
        self.listener = rig.socket.create_server(("127.0.0.1", 0))

    def act(self) -> Any:
        environ = {"SERVER_NAME": "rig"}
        engine = _core.Engine(
            rig.settings(), [(self.listener.fileno(), environ, False)], print, nested=True,
            place=(_core.Scoreboard(1), 0, -1, -1, -1, 0, 0), before=print, wait=print,
        )  # fmt: skip
        engine.set_asgi(rig.Loop(), [{"type": "http"}], {"state": 1})
        engine.counters()
        engine.take_journal()
        engine.collect_overdue()
        engine.interrupt_overdue(KeyError)
        assert engine.fileno() >= 0 and not engine.has_overdue and not engine.drained
        assert _core.Engine.can_format("%(h)s") and _core.Engine.format_fault("%(h")
        return engine.connections

    def faults(self, value: Any, error: BaseException | None) -> list[str]:
        self.listener.close()
        return []


class Refused(Case):
    """Requests that the engine answers itself, as the access log of Python gets to know them."""

    def open(self) -> None:
        self.rig = Rig(nested=True, keep_unrun=True)

    def prepare(self) -> None:
        client = self.rig.ask(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        done = sum(self.rig.engine.counters()[1:])
        while sum(self.rig.engine.counters()[1:]) == done:
            self.rig.await_turn()
            self.rig.turn()
        answer_of(client)
        assert self.rig.at_rest()

    def act(self) -> Any:
        return len(self.rig.engine.take_unrun()), len(self.rig.engine.take_journal())


class Watched(Case):
    """Inotify, and functions about processes."""

    def act(self) -> Any:
        watch = _core.Inotify()
        watch.watch(os.curdir)
        watch.drain()
        _core.keep_from_children(None, [watch.fileno()], (), [])
        _core.keep_from_children(None, [], [], [])
        _core.started_as()
        return _core.open_files_max(), _core.connections_bound(), _core.monotonic_ms()


class Imported(Case):
    """The module itself, once more. CPython does not say that it has no memory for a type's name
    (PyType_FromModuleAndSpec of 3.11)."""

    excused = "failed without setting an exception"

    def open(self) -> None:
        path = str(_core.__file__)
        self.loader = importlib.machinery.ExtensionFileLoader("monoceros._core", path)
        self.spec = importlib.util.spec_from_file_location(
            "monoceros._core", path, loader=self.loader
        )

    def act(self) -> Any:
        assert self.spec is not None
        module = self.loader.create_module(self.spec)
        self.loader.exec_module(module)
        return module.FileWrapper.__name__

    def faults(self, value: Any, error: BaseException | None) -> list[str]:
        return []


PLAIN = (
        Threaded, Deadlined, Around, Generator, Upload, Streamed, Hints, Raises, Sent, Wrapped,
        Nested, Asgi, AsgiStreamed, WebSocket, Tables, Master, Opened, Refused, Watched, Imported,
)  # fmt: skip

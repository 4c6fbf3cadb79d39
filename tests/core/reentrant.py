"""Cases in which objects of the application call back into the request that is using them.

Whatever the module asks of such an object (its hash, its equality, its length, its index, its
buffer, its iterator, its end) may run Python, and that may do anything to the same request.
"""

from __future__ import annotations

import contextlib
import gc
import threading
from typing import Any, ClassVar

from cases import Asgi, AsgiStreamed, Case, Nested, Threaded
from rig import BODY, finish, request

from monoceros import _core

LONG = b"y" * 70000  # kept by the engine, not copied


def ignoring(call: Any, *args: Any) -> None:
    """What an application does in a __del__: it calls, and does not care."""
    with contextlib.suppress(Exception):
        call(*args)


class Headers:
    """Iterable headers that run something first."""

    def __init__(self, run: Any) -> None:
        self.run = run

    def __iter__(self) -> Any:
        ignoring(self.run)
        return iter([("X-A", "b")])


class Text(str):
    """A str whose comparisons and hash run something."""

    run: Any = None

    def __eq__(self, other: object) -> bool:
        if self.run is not None:
            ignoring(self.run)
        return str.__eq__(self, other)

    def __hash__(self) -> int:
        return str.__hash__(self)


class Index:
    """A number that runs something when it is asked for."""

    def __init__(self, value: int, run: Any) -> None:
        self.value = value
        self.run = run

    def __index__(self) -> int:
        ignoring(self.run)
        return self.value

    def __bool__(self) -> bool:
        ignoring(self.run)
        return bool(self.value)


class Piece(bytes):
    """A piece of a body that runs something at its end."""

    run: Any = None

    def __del__(self) -> None:
        if self.run is not None:
            ignoring(self.run)


class Ending:
    """A body whose close() and end run something."""

    def __init__(self, pieces: Any, run: Any) -> None:
        self.pieces = iter(pieces)
        self.run = run

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> bytes:
        ignoring(self.run)
        return next(self.pieces)

    def __len__(self) -> int:
        ignoring(self.run)
        return 1

    def close(self) -> None:
        ignoring(self.run)

    def __del__(self) -> None:
        ignoring(self.run)


class StartInHeaders(Threaded):
    """start_response() within start_response(), and write() within either."""

    def application(self, _environ: dict[str, Any], start_response: Any) -> Any:
        def inner() -> None:
            start_response("200 OK", [("X-Inner", "1")])

        with contextlib.suppress(AssertionError):
            start_response(Text("200 OK"), Headers(inner))
        start_response("200 OK", Headers(inner), (KeyError, KeyError(1), None))
        return [BODY]


class WriteEverywhere(Threaded):
    """write(), early hints and start_response() from each step of an iterable's life, and later."""

    good = (200, 500)

    def application(self, environ: dict[str, Any], start_response: Any) -> Any:
        write = start_response("200 OK", [])
        hints = environ["wsgi.early_hints"]
        self.begun = True

        def run() -> None:
            ignoring(write, b"w")
            ignoring(hints, [("Link", "x")])
            ignoring(start_response, "500 No", [])
            ignoring(environ["wsgi.input"].read, Index(1, None))

        return Ending([b"", BODY, b"z"], run)


class KeptPieces(Threaded):
    """Pieces that the engine keeps, and whose end calls into their request and into the engine."""

    good = (200, 500)

    def application(self, _environ: dict[str, Any], start_response: Any) -> Any:
        write = start_response("200 OK", [])
        engine = self.rig.engine
        self.begun = True

        def run() -> None:
            ignoring(write, b"late")
            engine.take_journal()
            ignoring(engine.counters)

        pieces = [Piece(LONG), Piece(BODY)]
        for piece in pieces:
            piece.run = run
        write(Piece(LONG))
        return iter(pieces)


class ServeWithin(Threaded):
    """The application serves on, from within itself."""

    def application(self, _environ: dict[str, Any], start_response: Any) -> Any:
        ignoring(self.rig.engine.serve_wsgi, self.application, 0, 1)
        start_response("200 OK", [])
        return [BODY]


class IndexedInput(Threaded):
    """wsgi.input, read by numbers that read it."""

    message = request("POST", body=BODY)

    def application(self, environ: dict[str, Any], start_response: Any) -> Any:
        body = environ["wsgi.input"]
        got = body.read(Index(10, body.readline)) + body.readline(Index(5, body.read))
        assert got == b"", got
        start_response("200 OK", [])
        return [BODY]


class ClearedEnviron(Threaded):
    """An environ that is emptied, filled with itself, and kept."""

    def application(self, environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [])
        kept = dict(environ)
        environ.clear()
        environ["self"] = environ
        kept["gunicorn.socket"].__class__  # noqa: B018
        return [BODY]

    def faults(self, value: Any, error: BaseException | None) -> list[str]:
        found = super().faults(value, error)
        gc.collect()
        return found


class ShrinkingList(Threaded):
    """A list of pieces that another piece's owner shortens."""

    def application(self, _environ: dict[str, Any], start_response: Any) -> Any:
        pieces: list[bytes] = [BODY, LONG, BODY]
        start_response("200 OK", [])
        self.begun = True
        hook = Piece(b"x")
        hook.run = pieces.clear
        pieces.insert(0, hook)
        del hook
        return pieces


class HandlerWithin(Threaded):
    """handle_error calls into the engine, and raises itself."""

    good = (500,)

    def open(self) -> None:
        super().open()
        self.rig.told = Calling(self.rig.engine)  # type: ignore[assignment]

    def application(self, _environ: dict[str, Any], _start_response: Any) -> Any:
        raise KeyError("on purpose")


class Calling(list):  # type: ignore[type-arg]
    """A list that calls the engine when it is appended to."""

    def __init__(self, engine: Any) -> None:
        super().__init__()
        self.engine = engine

    def append(self, item: Any) -> None:
        self.engine.take_journal()
        ignoring(self.engine.drain, Index(0, None), "no number")
        super().append(item)


class OtherThreads(Threaded):
    """write() and its kin, called by other threads until long after the request's end."""

    def open(self) -> None:
        super().open()
        self.calls: list[Any] = []
        self.stopped = threading.Event()

    def application(self, environ: dict[str, Any], start_response: Any) -> Any:
        write = start_response("200 OK", [])
        self.begun = True
        kept = [(write, b"w"), (environ["wsgi.early_hints"], [("Link", "x")]),
                (environ["wsgi.input"].read, 1), (start_response, "200 OK", [])]  # fmt: skip

        def run() -> None:
            for _ in range(30):
                for call, *args in kept:
                    ignoring(call, *args)

        self.threads = [threading.Thread(target=run) for _ in range(2)]
        for thread in self.threads:
            thread.start()
        return iter([BODY, LONG])

    def faults(self, value: Any, error: BaseException | None) -> list[str]:
        found = super().faults(value, error)
        for thread in self.threads:
            thread.join()
        self.threads.clear()
        return [fault for fault in found if "body is missing" not in fault]


class AsgiMessages(Asgi):
    """ASGI messages whose keys, values and headers send, receive and close."""

    good = (200, 500, 0)

    def run(self, exchange: Any, scope: dict[str, Any]) -> None:
        def again() -> None:
            ignoring(finish, exchange.receive())
            ignoring(finish, exchange.send({"type": "http.response.body", "body": b"a"}))

        self.begun = True
        key = Text("type")
        key.run = again
        start = {key: "http.response.start", "status": Index(200, again),
                 "headers": [(b"a", b"b")]}  # fmt: skip
        ignoring(finish, exchange.send(start))
        start = {"type": "http.response.start", "status": 200, "headers": Pairs(again)}
        ignoring(finish, exchange.send(start))
        body = {"type": Text("http.response.body"), "body": bytearray(BODY),
                "more_body": Index(1, again)}  # fmt: skip
        ignoring(finish, exchange.send(body))
        ignoring(finish, exchange.send({"type": "http.response.body", "body": Pairs(again)}))
        key.run = None
        ignoring(finish, exchange.send({"type": "http.response.body"}))


class Pairs:
    """Iterable ASGI headers that run something."""

    def __init__(self, run: Any) -> None:
        self.run = run

    def __iter__(self) -> Any:
        ignoring(self.run)
        return iter([(b"x-a", b"b")])


class CloseInMessage(Asgi):
    """The exchange is closed by a message's own value, while it is sent."""

    good = (200, 500, 0)

    def run(self, exchange: Any, scope: dict[str, Any]) -> None:
        def close() -> None:
            exchange.close(False)

        self.begun = True
        start = {"type": "http.response.start", "status": 200, "headers": Pairs(close)}
        ignoring(finish, exchange.send(start))
        ignoring(
            finish, exchange.send({"type": "http.response.body", "more_body": Index(1, close)})
        )


class Futures(AsgiStreamed):
    """An event loop whose futures call back into the engine and the exchange."""

    good = (200, 500, 0)

    def open(self) -> None:
        super().open()
        self.current: Any = None
        case = self

        class Future:
            """Asks, tells and is told with side effects."""

            ready = False

            def done(self) -> bool:
                case.again()
                return self.ready

            def set_result(self, _value: object) -> None:
                self.ready = True
                case.again()

            def __iter__(self) -> Any:
                while not self.ready:
                    yield self

        class Loop:
            """Makes them."""

            def create_future(self) -> Any:
                case.again()
                return Future()

        self.rig.engine.set_asgi(Loop(), [{"type": "http", "scheme": "http"}], None)
        self.depth = 0

    def again(self) -> None:
        """From within a future."""
        if self.current is None or self.depth > 2 or self.left == 0:
            return
        self.left -= 1
        self.depth += 1
        try:
            operation = self.current.receive()
            ignoring(operation.send, None)
            operation.close()
            self.rig.engine.turn()
        finally:
            self.depth -= 1

    def run(self, exchange: Any, scope: dict[str, Any]) -> None:
        self.current = exchange
        self.left = 12
        self.begun = True
        try:
            operation = exchange.receive()
            operation.send(None)
            self.client.sendall(BODY)
            self.rig.await_turn()
            self.rig.engine.turn()
            ignoring(finish, operation)
            finish(exchange.send({"type": "http.response.start", "status": 200}))
            finish(exchange.send({"type": "http.response.body", "body": BODY}))
        finally:
            self.current = None


class Operations(Asgi):
    """Operations thrown into, closed, awaited twice and from each other."""

    good = (200, 500, 0)

    def run(self, exchange: Any, scope: dict[str, Any]) -> None:
        self.begun = True
        assert finish(exchange.receive())["body"] == BODY
        waiting = exchange.receive()
        waiting.send(None)  # for the disconnect
        ignoring(waiting.throw, KeyError, KeyError(1), None)
        ignoring(waiting.throw, KeyError(2))
        ignoring(waiting.send, None)
        other = exchange.receive()
        other.send(None)
        other.close()
        unused = exchange.send({"type": "http.response.start", "status": 200})
        unused.close()
        ignoring(exchange.receive().throw, 7)
        finish(exchange.send({"type": "http.response.start", "status": 200}))
        last = exchange.send({"type": "http.response.body", "body": BODY})
        finish(last)
        ignoring(finish, last)
        ignoring(finish, exchange.send({"type": "http.response.body"}))


class Waiters(Nested):
    """Waiters and tasks that answer their own exchange, replace themselves, and raise."""

    excused = "answered already"

    good = (200, 500, 0)

    def act(self) -> Any:
        fresh = self.rig.turn()
        for exchange in fresh:
            exchange.waiter = Again(exchange, self.application)
            exchange.task = Finalised(exchange)
            exchange.run_wsgi(self.application)
        return len(fresh)


class Again:
    """A waiter that runs its exchange once more, and drops itself."""

    def __init__(self, exchange: Any, application: Any) -> None:
        self.exchange = exchange
        self.application = application

    def __call__(self) -> None:
        exchange = self.exchange
        exchange.waiter = None
        exchange.task = None
        exchange.run_wsgi(self.application)  # RuntimeError: it was answered


class Finalised:
    """A task whose end looks at its exchange."""

    def __init__(self, exchange: Any) -> None:
        self.exchange = exchange

    def __del__(self) -> None:
        ignoring(lambda: self.exchange.close(True))
        ignoring(lambda: self.exchange.request_id)


class EvilSettings(Case):
    """Settings whose values change the mapping that they come from."""

    class_values: ClassVar[tuple[str, ...]] = ("timeout", "limit_request_fields")

    def act(self) -> Any:
        mapping: dict[str, Any] = {"secure_scheme_headers": {"A": "b"}, "forwarded_allow_ips": []}
        for name in self.class_values:
            mapping[name] = Index(7, mapping.clear)
        ignoring(_core.Settings, mapping)
        ignoring(_core.Settings, {Text("timeout"): 3})
        ignoring(_core.keep_from_children, None, [Index(1, None)], Headers(None), [])
        ignoring(_core.Scoreboard(2).beat, Index(1, gc.collect))


REENTRANT = (
    StartInHeaders, WriteEverywhere, KeptPieces, ServeWithin, IndexedInput, ClearedEnviron,
    ShrinkingList, HandlerWithin, OtherThreads, AsgiMessages, CloseInMessage, Futures, Operations,
    Waiters, EvilSettings,
)  # fmt: skip

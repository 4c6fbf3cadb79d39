"""Everything that a WSGI application may do wrong with what it is given, a path a kind.

/names lists the paths. What raises may raise: the server has to stand it, and nothing more.
"""

from __future__ import annotations

import copy
import gc
import io
import pickle
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

TEXT = [("Content-Type", "text/plain")]
KINDS: dict[str, Callable[[dict[str, Any], Any], Any]] = {}
KEPT: list[dict[str, Any]] = []
THREADS = 3
LATE_S = 0.3  # for which threads go on after their request's end


class Rude:
    """Raises whatever is asked of it."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"on purpose: {name}")

    def __iter__(self) -> Any:
        raise RuntimeError("on purpose: iter")

    def __len__(self) -> int:
        raise RuntimeError("on purpose: len")

    def __bool__(self) -> bool:
        raise RuntimeError("on purpose: bool")


class Liar(list[Any]):
    """A list that tells another length than it has, and is emptied while it is looked at."""

    def __len__(self) -> int:
        return 1 << 40

    def __iter__(self) -> Iterator[Any]:
        while True:
            self.clear()
            return iter(())


class Octets(bytes):
    def __len__(self) -> int:
        return 1 << 40

    def __bytes__(self) -> bytes:
        raise RuntimeError("on purpose: bytes")


class Text(str):
    def encode(self, *args: Any) -> bytes:
        raise RuntimeError("on purpose: encode")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("on purpose: eq")

    __hash__ = str.__hash__


def case(name: str) -> Callable[[Any], Any]:
    def register(function: Any) -> Any:
        KINDS[name] = function
        return function

    return register


def quietly(function: Callable[..., Any], *args: Any, **more: Any) -> Any:
    """Nothing that is raised matters; that the process lives does."""
    try:
        return function(*args, **more)
    except Exception as error:
        return error


def cycle() -> list[Any]:
    found: list[Any] = []
    found.append(found)
    return found


# ---- start_response: (status, headers, more)

STATUS: dict[str, Any] = {
    "int": 200, "bytes": b"200 OK", "none": None, "empty": "", "word": "OK", "short": "20 OK",
    "long": "2" * 5000, "huge": "200 " + "x" * 5_000_000, "line": "200 OK\r\nX: y",
    "nul": "200 \0", "surrogate": "200 \ud800", "wide": "200 \u20ac", "text": Text("200 OK"),
    "informational": "101 Switching Protocols", "negative": "-20 OK", "rude": Rude(),
}  # fmt: skip
HEADERS: dict[str, Any] = {
    "none": None, "tuple": (("A", "b"),), "dict": {"A": "b"}, "one": [("A",)],
    "three": [("A", "b", "c")], "int-value": [("A", 1)], "int-name": [(1, "b")],
    "bytes": [(b"A", b"b")], "colon": [("A:", "b")], "empty-name": [("", "b")],
    "line": [("A", "b\r\nC: d")], "line-name": [("A\r\nC", "d")], "nul": [("A", "\0")],
    "surrogate": [("A", "\udcff")], "wide": [("\u20ac", "b")], "text": [(Text("A"), Text("b"))],
    "length-word": [("Content-Length", "x")], "length-twice": [("Content-Length", "1")] * 2,
    "length-negative": [("Content-Length", "-1")], "length-huge": [("Content-Length", "9" * 40)],
    "length-long": [("Content-Length", "999")], "length-short": [("Content-Length", "1")],
    "chunked": [("Transfer-Encoding", "chunked")], "upgrade": [("Connection", "upgrade")],
    "many": [("X-A", "b")] * 20_000, "large": [("X-A", "b" * 5_000_000)], "number": 7,
    "generator": (pair for pair in TEXT), "liar": Liar([("A", "b")] * 9), "rude": Rude(),
    "rude-pair": [Rude()], "rude-inside": [(Rude(), Rude())], "cycle": cycle(),
    "lists": [["A", "b"]], "nones": [None] * 9,
}  # fmt: skip
EXC_INFO: dict[str, Any] = {
    "int": 1, "empty": (), "nones": (None, None, None), "words": ("a", "b", "c"),
    "type-only": (ValueError, None, None), "rude": (Rude(), Rude(), Rude()), "list": [1, 2, 3],
    "mixed": (ValueError, KeyError("on purpose"), None),
}  # fmt: skip


def _register_heads() -> None:
    def head(*args: Any) -> Callable[..., Any]:
        def run(environ: Any, start_response: Any) -> Any:
            start_response(*args)
            return [b"body"]

        return run

    def again(info: Any, sent: bool) -> Callable[..., Any]:
        def run(environ: Any, start_response: Any) -> Any:
            write = start_response("200 OK", TEXT)
            if sent:
                write(b"sent")
            start_response("500 No", TEXT, info)
            return [b"body"]

        return run

    for name, value in STATUS.items():
        KINDS[f"status-{name}"] = head(value, TEXT)
    for name, value in HEADERS.items():
        KINDS[f"headers-{name}"] = head("200 OK", value)
    for name, value in EXC_INFO.items():
        KINDS[f"exc-info-{name}"] = again(value, False)
        KINDS[f"exc-info-{name}-late"] = again(value, True)
    for name, args in {"none": (), "one": ("200 OK",), "four": ("200 OK", [], None, 1)}.items():
        KINDS[f"arguments-{name}"] = head(*args)


_register_heads()


@case("headers-change")
def headers_change(environ: Any, start_response: Any) -> Any:
    """The list is emptied by another thread while the server reads it."""
    headers = [("X-A", "b" * 50)] * 20_000
    threading.Thread(target=lambda: (time.sleep(0.001), headers.clear())).start()
    start_response("200 OK", headers)
    return [b"body"]


@case("start-by-others")
def start_by_others(environ: Any, start_response: Any) -> Any:
    """From three threads at once, and again here."""
    calls = [
        threading.Thread(target=quietly, args=(start_response, f"20{n} OK", list(TEXT)))
        for n in range(THREADS)
    ]
    for thread in calls:
        thread.start()
    for thread in calls:
        thread.join()
    quietly(start_response, "200 OK", TEXT)
    return [b"body"]


@case("never-started")
def never_started(environ: Any, start_response: Any) -> Any:
    return [b"body"]


@case("started-late")
def started_late(environ: Any, start_response: Any) -> Any:
    yield b"body"
    start_response("200 OK", TEXT)


@case("started-between")
def started_between(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", TEXT)
    yield b"one"
    quietly(start_response, "200 OK", TEXT)
    yield b"two"


# ---- the iterable


class Closing:
    """An iterable whose close() is `close`."""

    def __init__(self, items: Any, close: Any) -> None:
        self.items = iter(items)
        self.close = close

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        return next(self.items)


class Length:
    """Its len() is whatever it is told to be."""

    def __init__(self, length: Any) -> None:
        self.length = length

    def __len__(self) -> Any:
        if isinstance(self.length, Exception):
            raise self.length
        return self.length

    def __iter__(self) -> Iterator[bytes]:
        return iter([b"one", b"two"])


class Recursive:
    def __iter__(self) -> Any:
        return iter(self)


class Changing(list[Any]):
    """Is emptied by its first look."""

    def __iter__(self) -> Iterator[bytes]:
        for item in list(self):
            self.clear()
            gc.collect()
            yield item


def raising() -> Iterator[bytes]:
    yield b"one"
    raise ValueError("on purpose")


def stopping() -> Iterator[bytes]:
    yield b"one"
    next(iter(()))  # StopIteration, which a generator must not raise


class Reads:
    """A file whose read() gives what it was made of."""

    def __init__(self, *results: Any) -> None:
        self.results = list(results)

    def read(self, size: int = -1) -> Any:
        result = self.results.pop(0) if self.results else b""
        if isinstance(result, Exception):
            raise result
        return result


class Numbered(Reads):
    """A file with a descriptor that is none, or not a file's."""

    def __init__(self, number: Any) -> None:
        super().__init__(b"read")
        self.number = number

    def fileno(self) -> Any:
        if isinstance(self.number, Exception):
            raise self.number
        return self.number


def closed_file() -> Any:
    file = tempfile.TemporaryFile()  # noqa: SIM115
    file.close()
    return file


RESULTS: dict[str, Callable[[], Any]] = {
    "none": lambda: None, "int": lambda: 7, "bytes": lambda: b"bytes", "str": lambda: "text",
    "str-list": lambda: ["text"], "none-list": lambda: [b"one", None],
    "bytearray": lambda: bytearray(b"abc"), "bytearrays": lambda: [bytearray(b"abc")],
    "views": lambda: [memoryview(b"abcdef")[::2]], "octets": lambda: [Octets(b"abc")],
    "dict": lambda: {b"a": 1}, "rude": Rude, "rude-list": lambda: [Rude()], "cycle": cycle,
    "liar": lambda: Liar([b"a"]), "changing": lambda: Changing([b"a" * 9999, b"b", b"c"]),
    "recursive": Recursive, "raising": raising, "stopping": stopping, "type": lambda: bytes,
    "self": lambda: sys.modules[__name__], "empty": list, "large": lambda: [b"x" * 9_000_000],
    "close-none": lambda: Closing([b"a"], None), "close-int": lambda: Closing([b"a"], 7),
    "close-rude": lambda: Closing([b"a"], Rude()),
    "close-arguments": lambda: Closing([b"a"], lambda one: None),
    "close-raises": lambda: Closing([b"a"], lambda: 1 // 0),
    **{
        f"length-{name}": lambda length=length: Length(length)
        for name, length in {
            "0": 0, "1": 1, "huge": 1 << 62, "beyond": 1 << 80, "negative": -1, "none": None,
            "raises": ValueError("on purpose"), "interrupts": KeyError("on purpose"),
        }.items()
    },
}  # fmt: skip
FILES: dict[str, Callable[[], tuple[Any, ...]]] = {
    "nothing": tuple, "none": lambda: (None,), "int": lambda: (7,), "rude": lambda: (Rude(),),
    "closed": lambda: (closed_file(),), "str": lambda: (Reads("text"),),
    "object": lambda: (Reads(Rude()),), "raises": lambda: (Reads(b"a", OSError("on purpose")),),
    "text-file": lambda: (io.StringIO("text"),), "size-0": lambda: (io.BytesIO(b"abc"), 0),
    "size-negative": lambda: (io.BytesIO(b"abc"), -1), "size-word": lambda: (io.BytesIO(b""), "x"),
    "size-huge": lambda: (io.BytesIO(b"abc"), 1 << 80), "number-low": lambda: (Numbered(-5),),
    "number-high": lambda: (Numbered(99_999),), "number-word": lambda: (Numbered("x"),),
    "number-huge": lambda: (Numbered(1 << 70),), "number-raises": lambda: (Numbered(OSError()),),
    "number-log": lambda: (Numbered(2),),
}  # fmt: skip


def _register_results() -> None:
    def result(make: Callable[[], Any]) -> Callable[..., Any]:
        def run(environ: Any, start_response: Any) -> Any:
            start_response("200 OK", TEXT)
            return make()

        return run

    def file(make: Callable[[], tuple[Any, ...]]) -> Callable[..., Any]:
        def run(environ: Any, start_response: Any) -> Any:
            start_response("200 OK", TEXT)
            return environ["wsgi.file_wrapper"](*make())

        return run

    for name, make in RESULTS.items():
        KINDS[f"result-{name}"] = result(make)
    for name, make in FILES.items():
        KINDS[f"file-{name}"] = file(make)


_register_results()


@case("file-used-before")
def file_used_before(environ: Any, start_response: Any) -> Any:
    """Read, closed, emptied of its attributes, and then returned."""
    start_response("200 OK", TEXT)
    with tempfile.TemporaryFile() as file:
        file.write(b"x" * 100_000)
        file.seek(0)
        wrapper = environ["wsgi.file_wrapper"](file, 1000)
        next(wrapper)
    for name in ("filelike", "close", "blksize"):
        quietly(delattr, wrapper, name)
        quietly(setattr, wrapper, name, Rude())
    return wrapper


@case("file-shrinks")
def file_shrinks(environ: Any, start_response: Any) -> Any:
    file = tempfile.TemporaryFile()  # noqa: SIM115
    file.write(b"x" * 9_000_000)
    file.seek(0)
    start_response("200 OK", [*TEXT, ("Content-Length", "9000000")])
    threading.Thread(target=lambda: (time.sleep(0.005), file.truncate(10))).start()
    return environ["wsgi.file_wrapper"](file)


# ---- write

WRITTEN: dict[str, Any] = {
    "str": "text", "none": None, "bytearray": bytearray(b"abc"), "view": memoryview(b"abcd")[::2],
    "octets": Octets(b"abc"), "int": 7, "rude": Rude(), "large": b"x" * 9_000_000, "empty": b"",
}  # fmt: skip


def _register_writes() -> None:
    def write(piece: Any) -> Callable[..., Any]:
        def run(environ: Any, start_response: Any) -> Any:
            send = start_response("200 OK", TEXT)
            send(b"first ")
            quietly(send)
            quietly(send, b"a", b"b")
            send(piece)
            return [b" last"]

        return run

    for name, piece in WRITTEN.items():
        KINDS[f"write-{name}"] = write(piece)


_register_writes()


@case("write-too-much")
def write_too_much(environ: Any, start_response: Any) -> Any:
    write = start_response("200 OK", [("Content-Length", "5")])
    for _ in range(5):
        quietly(write, b"abc")
    return [b"more"]


@case("write-by-others")
def write_by_others(environ: Any, start_response: Any) -> Any:
    """Three threads write while the iterable is sent, and on behind its end."""
    write = start_response("200 OK", TEXT)

    def go_on() -> None:
        end = time.monotonic() + LATE_S
        while time.monotonic() < end:
            quietly(write, b"from another thread")

    for _ in range(THREADS):
        threading.Thread(target=go_on).start()
    return [b"x" * 10_000] * 10


@case("write-in-close")
def write_in_close(environ: Any, start_response: Any) -> Any:
    write = start_response("200 OK", TEXT)
    return Closing([b"a", b"b"], lambda: [quietly(write, b"late") for _ in range(9)])


# ---- input, errors, and whatever else is in environ

READS: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("read", (-5,)), ("read", ("x",)), ("read", (1 << 70,)), ("read", (None,)), ("read", (1.5,)),
    ("read", (1, 2)), ("readline", (-1,)), ("readline", (1 << 70,)), ("readline", (0,)),
    ("readlines", (-1,)), ("readlines", ("x",)), ("readinto", (b"x",)), ("close", ()),
    ("seek", (0,)), ("tell", ()), ("write", (b"x",)), ("__init__", ()), ("__next__", ()),
    ("__iter__", ()), ("__enter__", ()), ("__reduce__", ()), ("__reduce_ex__", (4,)),
)  # fmt: skip


@case("input")
def input_calls(environ: Any, start_response: Any) -> Any:
    stream = environ["wsgi.input"]
    for name, args in READS:
        quietly(lambda name=name, args=args: getattr(stream, name)(*args))
    start_response("200 OK", TEXT)
    return [b"done"]


@case("input-by-others")
def input_by_others(environ: Any, start_response: Any) -> Any:
    """Threads read on when the request is over."""
    stream = environ["wsgi.input"]

    def go_on() -> None:
        end = time.monotonic() + LATE_S
        while time.monotonic() < end:
            quietly(stream.read, 10)
            quietly(stream.readline)

    for _ in range(THREADS):
        threading.Thread(target=go_on).start()
    start_response("200 OK", TEXT)
    return [b"done"]


VALUES: tuple[Any, ...] = (None, 0, -1, "x", b"x", 1.5, float("nan"), float("inf"), [], {}, Rude())


def handle_all(thing: Any) -> None:
    """Everything that Python can ask of an object whose type is not known."""
    kind = type(thing)
    quietly(kind)
    quietly(lambda: kind.__new__(kind))
    quietly(lambda: type("Sub", (kind,), {})())  # noqa: PLW0108
    for function in (
        repr, str, hash, bool, dir, vars, iter, copy.copy, copy.deepcopy, pickle.dumps,
        sys.getsizeof, gc.get_referents, gc.get_referrers, gc.is_tracked, callable,
    ):  # fmt: skip
        quietly(function, thing)
    for name in dir(kind):
        if name in ("__class__", "__init_subclass__", "__subclasshook__", "shutdown", "close"):
            continue
        found = quietly(getattr, thing, name)
        for value in VALUES:
            if callable(found) and not name.startswith(("send", "recv", "detach", "makefile")):
                quietly(found, value)
            quietly(setattr, thing, name, value)
        quietly(delattr, thing, name)
    for value in VALUES:
        quietly(lambda value=value: thing == value)
        quietly(lambda value=value: thing < value)
        quietly(thing, value)


def ours(environ: dict[str, Any]) -> list[Any]:
    """The objects of an environ that only this server makes."""
    return [
        value for value in environ.values()
        if type(value).__module__.startswith("monoceros") and not isinstance(value, type)
    ]  # fmt: skip


@case("objects")
def objects(environ: Any, start_response: Any) -> Any:
    for thing in [*ours(environ), environ["wsgi.early_hints"], environ["wsgi.file_wrapper"]]:
        handle_all(thing)
    start_response("200 OK", TEXT)
    return [b"done"]


@case("keep")
def keep(environ: Any, start_response: Any) -> Any:
    """Keeps all that it is given; /kept uses it when another request runs."""
    write = start_response("200 OK", TEXT)
    KEPT.append({**environ, "start": start_response, "write": write})
    return [b"done"]


def use(kept: dict[str, Any]) -> None:
    quietly(kept["start"], "200 OK", TEXT)
    quietly(kept["write"], b"of another request")
    quietly(kept["wsgi.early_hints"], [("Link", "<a>")])
    for name, args in READS:
        quietly(lambda name=name, args=args: getattr(kept["wsgi.input"], name)(*args))
    for thing in ours(kept):
        handle_all(thing)


@case("kept")
def kept(environ: Any, start_response: Any) -> Any:
    for each in KEPT:
        use(each)
        thread = threading.Thread(target=use, args=(each,))
        thread.start()
        thread.join()
    KEPT.clear()
    gc.collect()
    start_response("200 OK", TEXT)
    return [b"done"]


@case("kept-in-use")
def kept_in_use(environ: Any, start_response: Any) -> Any:
    """Threads use what this request was given while it ends and others run."""
    write = start_response("200 OK", TEXT)
    mine = {**environ, "start": start_response, "write": write}

    def go_on() -> None:
        end = time.monotonic() + LATE_S
        while time.monotonic() < end:
            quietly(mine["write"], b"of another request")
            quietly(mine["wsgi.early_hints"], [("Link", "<a>")])
            quietly(mine["wsgi.input"].read, 1)
            quietly(mine["start"], "200 OK", TEXT)

    for _ in range(THREADS):
        threading.Thread(target=go_on).start()
    return [b"done"]


@case("hints")
def hints(environ: Any, start_response: Any) -> Any:
    for value in [*HEADERS.values(), *VALUES]:
        quietly(environ["wsgi.early_hints"], value)
    start_response("200 OK", TEXT)
    quietly(environ["wsgi.early_hints"], [("Link", "<late>")])
    return [b"done"]


@case("environ-spoilt")
def environ_spoilt(environ: Any, start_response: Any) -> Any:
    for key in list(environ):
        environ[key] = Rude()
    environ[Text("REQUEST_METHOD")] = Text("HEAD")
    start_response("200 OK", TEXT)
    environ.clear()
    return [b"done"]


@case("recursion")
def recursion(environ: Any, start_response: Any) -> Any:
    """Calls the server at the limit of recursion."""

    def deeper() -> Any:
        quietly(start_response, "200 OK", TEXT)
        return deeper()

    deeper()


@case("raises-base")
def raises_base(environ: Any, start_response: Any) -> Any:
    raise GeneratorExit("on purpose")


@case("raises-rude")
def raises_rude(environ: Any, start_response: Any) -> Any:
    class Unspeakable(Exception):
        def __str__(self) -> str:
            raise ValueError("on purpose")

        __repr__ = __str__

    raise Unspeakable


def app(environ: dict[str, Any], start_response: Any) -> Any:
    path = environ["PATH_INFO"][1:]
    if path in KINDS:
        return KINDS[path](environ, start_response)
    if path == "names":
        gc.collect()
    body = "\n".join(KINDS).encode() if path == "names" else path.encode()
    start_response("200 OK", [*TEXT, ("Content-Length", str(len(body)))])
    return [body]

"""The second suite, `make bench-workers`: threads, greenlets, asyncio and WebSocket.

Its servers and cases; each case names its servers and, as Goals, whom ours must beat and by how
much. Applications run without lifespan everywhere, so that they need no branch for it.
"""

from collections.abc import Callable

from cases import CONNECTIONS, HELLO, Case, Goal
from servers import BIN, Launch, Server, granian, gunicorn, monoceros

SLEEP_CONNECTIONS = 100


def _uvicorn(loop: str) -> Callable[[Launch], list[str]]:
    def argv(launch: Launch) -> list[str]:
        options = ["--loop", loop, "--http", "httptools", "--lifespan", "off"]
        options += ["--no-access-log", "--log-level", "warning"]
        listen = ["--host", "127.0.0.1", "--port", str(launch.port)]
        return [str(BIN / "uvicorn"), *options, *listen, launch.app]

    return argv


def _granian_asgi(*options: str) -> Callable[[Launch], list[str]]:
    def argv(launch: Launch) -> list[str]:
        common = ["--interface", "asginl", "--http", "1", "--loop", "uvloop", "--no-log"]
        listen = ["--host", "127.0.0.1", "--port", str(launch.port)]
        sizes = ["--workers", str(launch.workers)]
        return [str(BIN / "granian"), *common, *options, *sizes, *listen, launch.app]

    return argv


def _asgi_options(loop: str) -> list[str]:
    return ["--worker-class", "asgi", "--asgi-loop", loop, "--asgi-lifespan", "off"]


_GEVENT = ("--worker-class", "gevent")
_KEEP_ALIVE = ("--keep-alive", "5")
_UVLOOP = ("uvloop",)

SERVERS = (
    Server("granian-4", "granian", granian(4), "wsgi, 4 blocking threads"),
    Server(
        "gunicorn-gthread",
        "gunicorn",
        gunicorn("--worker-class", "gthread", "--threads", "4", *_KEEP_ALIVE),
        "gthread, 4 threads",
    ),
    Server("monoceros-sync", "monoceros", monoceros(), "sync"),
    Server("monoceros-gthread", "monoceros", monoceros("--threads", "4"), "gthread, 4 threads"),
    Server(
        "gunicorn-gevent",
        "gunicorn",
        gunicorn(*_GEVENT, *_KEEP_ALIVE),
        "gevent",
        needs=("gevent",),
    ),
    Server("monoceros-gevent", "monoceros", monoceros(*_GEVENT), "gevent", needs=("gevent",)),
    Server(
        "uvicorn-uvloop",
        "uvicorn",
        _uvicorn("uvloop"),
        "uvloop, httptools, websockets",
        needs=("uvloop", "httptools", "websockets"),
    ),
    Server(
        "uvicorn-asyncio",
        "uvicorn",
        _uvicorn("asyncio"),
        "asyncio, httptools",
        needs=("httptools",),
    ),
    Server("granian-asgi", "granian", _granian_asgi("--no-ws"), "asgi, uvloop", needs=_UVLOOP),
    Server("granian-ws", "granian", _granian_asgi("--ws"), "asgi, uvloop", needs=_UVLOOP),
    Server(
        "gunicorn-asgi",
        "gunicorn",
        gunicorn(*_asgi_options("uvloop"), *_KEEP_ALIVE),
        "asgi, uvloop",
        needs=_UVLOOP,
    ),
    Server(
        "monoceros-uvloop",
        "monoceros",
        monoceros(*_asgi_options("uvloop")),
        "asgi, uvloop",
        needs=_UVLOOP,
    ),
    Server("monoceros-asyncio", "monoceros", monoceros(*_asgi_options("asyncio")), "asgi, asyncio"),
)


def _echo(name: str, title: str, message_bytes: int, per_second: int) -> Case:
    peers = ("uvicorn-uvloop", "granian-ws", "gunicorn-asgi")
    return Case(
        name,
        title,
        "echo_ws:app",
        b"",
        only=("monoceros-uvloop", *peers),
        echo_bytes=message_bytes,
        echo_per_second=per_second,
        goals=tuple(Goal("monoceros-uvloop", peer, 1.0) for peer in peers),
    )


CASES = (
    Case(
        "gthread",
        "WSGI hello, 4 threads",
        "hello:app",
        HELLO,
        only=("monoceros-gthread", "granian-4", "gunicorn-gthread", "monoceros-sync"),
        goals=(
            Goal("monoceros-gthread", "granian-4", 0.55),
            Goal("monoceros-gthread", "monoceros-sync", 1.25),
        ),
    ),
    Case(
        "gevent",
        "WSGI hello, greenlets",
        "hello:app",
        HELLO,
        only=("monoceros-gevent", "gunicorn-gevent"),
        goals=(Goal("monoceros-gevent", "gunicorn-gevent", 0.15),),
    ),
    Case(
        "uvloop",
        "ASGI hello, uvloop",
        "hello_asgi:app",
        HELLO,
        only=("monoceros-uvloop", "uvicorn-uvloop", "granian-asgi", "gunicorn-asgi"),
        goals=(
            Goal("monoceros-uvloop", "uvicorn-uvloop", 0.45),
            Goal("monoceros-uvloop", "granian-asgi", 1.0),
        ),
    ),
    Case(
        "asyncio",
        "ASGI hello, plain asyncio",
        "hello_asgi:app",
        HELLO,
        only=("monoceros-asyncio", "uvicorn-asyncio", "uvicorn-uvloop"),
        goals=(
            Goal("monoceros-asyncio", "uvicorn-uvloop", 0.50),
            Goal("monoceros-asyncio", "uvicorn-asyncio", 0.50),
        ),
    ),
    Case(
        "sleep",
        f"ASGI hello after 10 ms, {SLEEP_CONNECTIONS} connections",
        "sleep_asgi:app",
        HELLO,
        only=("monoceros-uvloop", "uvicorn-uvloop", "granian-asgi"),
        connections=SLEEP_CONNECTIONS,
        goals=(
            Goal("monoceros-uvloop", "uvicorn-uvloop", 0.60),
            Goal("monoceros-uvloop", "granian-asgi", 1.0),
        ),
    ),
    _echo("ws64", f"WebSocket echo of 64 bytes, {CONNECTIONS} connections", 64, 30_000),
    _echo("ws16k", f"WebSocket echo of 16 KiB, {CONNECTIONS} connections", 16 * 1024, 20_000),
)

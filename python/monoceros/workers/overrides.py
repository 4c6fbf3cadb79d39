"""gunicorn's methods that subclasses of our workers override, and how they come to be called.

The core reads, runs and answers requests by itself. Around a request that a subclass wants to see,
it calls the worker, which calls handle() and with it handle_request() (or handle_error()) with the
views below; what the subclass does in them brackets the request. What cannot be called is named at
the start. Who overrides nothing pays nothing.
"""

from __future__ import annotations

from monoceros.http.message import Request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

CALLED = ("handle", "handle_request", "handle_error")

# What the core does in the place of methods that gunicorn calls, and what to use instead.
INSTEAD = {
    "accept": "the hook pre_request",
    "enqueue_req": "handle_request",
    "on_client_socket_readable": "handle_request",
    "on_pending_socket_readable": "handle_request",
    "finish_request": "the hook post_request",
    "murder_keepalived": "the setting keepalive",
    "murder_pending": "the setting keepalive",
    "timeout_ctx": "the setting keepalive",
    "get_thread_pool": "the setting threads",
    "set_accept_enabled": "the setting worker_connections",
    "wait": "notify",
    "wait_for_and_dispatch_events": "notify",
    "heartbeat": "notify",
    "watchdog": "notify",
    "is_parent_alive": "the hook worker_exit",
    "is_already_handled": 'StopIteration, after having taken environ["gunicorn.socket"]',
    "run_for_one": "run",
    "run_for_multiple": "run",
    "handle_http2": "handle_request",
    "handle_http2_request": "handle_request",
}
ANYWAY = dict.fromkeys(CALLED, "the hooks pre_request and post_request")


class Client:
    """The client's socket, as environ["gunicorn.socket"]; opened when it is first used. Nothing
    that it holds holds it: it is closed as soon as nobody else does."""

    name: Any = None  # of the listener, for gevent

    def __init__(self, request: HandledRequest) -> None:
        self.request = request
        self._socket = request.environ.get("gunicorn.socket")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)


class HandledRequest(Request):
    """`answer`: runs the application and sends what it gives."""

    def __init__(self, environ: dict[str, Any], answer: Callable[[], None] | None = None) -> None:
        super().__init__(environ)
        self.answer = answer
        address = (environ.get("REMOTE_ADDR", ""), int(environ.get("REMOTE_PORT") or 0))
        self.address: Any = address if address[1] else ""


class Connection:
    """gthread's, for one request: gunicorn's attribute names."""

    timeout = parser = None
    initialized = data_ready = True
    is_http2 = False

    def __init__(self, worker: Any, listener: Any, request: HandledRequest) -> None:
        self.cfg = worker.cfg
        self.request = request
        self.sock = Client(request)
        self.client = request.address
        self.server = listener.getsockname()

    def init(self) -> None:
        """The core has done it."""

    def set_timeout(self) -> None:
        """The core does it."""

    def close(self, graceful: bool = False) -> None:
        self.sock.close()


def own_names(cls: type) -> list[str]:
    """What a subclass, and the classes that it mixes in before ours, define."""
    names: list[str] = []
    for base in cls.__mro__:
        if base.__module__.startswith(("monoceros.", "gunicorn.")):
            break
        names += vars(base)
    return names


def uncalled(cls: type, called: tuple[str, ...]) -> str:
    """Which methods of a subclass nobody calls, with what to use instead; empty if there are none.
    One that has its own run() calls its methods itself."""
    names = own_names(cls)
    if "run" in names:
        return ""
    known = {**INSTEAD, **{name: use for name, use in ANYWAY.items() if name not in called}}
    return ", ".join(
        f"{name} (use {known[name]})" for name in dict.fromkeys(names) if name in known
    )


def installed_gunicorn(cls: type) -> str | None:
    """The version of an installed gunicorn that a class is built on."""
    import sys

    from monoceros import compat

    gunicorn: Any = sys.modules.get("gunicorn")
    if gunicorn is None or compat.in_use():
        return None
    built = any(base.__module__.startswith("gunicorn.") for base in cls.__mro__)
    return str(getattr(gunicorn, "__version__", "?")) if built else None


def announce(cls: type, log: Any) -> None:
    """In the master, at its start: what a reader of the class would not expect, a line each."""
    version = installed_gunicorn(cls)
    if version is not None:
        log.warning(
            "The worker class %s is built on the installed gunicorn %s: its workers run gunicorn's "
            "code. MONOCEROS_COMPAT=shadow builds it on monoceros.",
            cls.__name__,
            version,
        )
        return
    names = uncalled(cls, getattr(cls, "CALLED", CALLED))
    if names:
        log.warning("The worker class %s overrides what is never called: %s.", cls.__name__, names)

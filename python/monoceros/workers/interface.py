"""Which interface an application has, as far as its signature shows. For asgi workers, which have
inspect imported anyway."""

from __future__ import annotations

import functools
import inspect

from monoceros.errors import AppImportError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

WSGI = (
    "{name} is a WSGI application (it takes environ and start_response), and asgi workers serve "
    "ASGI: leave the worker class out, or take sync, gthread or gevent{hint}."
)
FACTORY = (
    "{name} takes no arguments, so it is no ASGI application but something that makes one: "
    "name {name}() instead, with parentheses."
)


def as_asgi(app: Any, name: str) -> Any:
    """The application as ASGI 3 calls it. AppImportError, in words: it cannot be called so.

    Whoever takes three arguments, or hides what it takes, is believed.
    """
    takes = _arities(app)
    if takes is None or 3 in takes or hasattr(app, "__await__"):
        return app
    if 0 in takes:
        raise AppImportError(FACTORY.format(name=name))
    if 2 in takes:
        raise AppImportError(WSGI.format(name=name, hint=_hint(app, name)))
    return _double(app) if 1 in takes else app


def _arities(app: Any) -> set[int] | None:
    """With how many positional arguments it can be called; None: nobody knows."""
    try:
        signature = inspect.signature(app)
    except (TypeError, ValueError):
        return None
    found = set()
    for count in range(4):
        try:
            signature.bind(*range(count))
        except TypeError:
            continue
        found.add(count)
    return found


def _hint(app: Any, name: str) -> str:
    inner = app.func if isinstance(app, functools.partial) else app
    if type(inner).__module__.startswith("django."):
        return f"; Django's ASGI application is {name.replace('wsgi', 'asgi', 1)}"
    return "; or wrap it, for instance in a2wsgi.WSGIMiddleware"


def _double(app: Any) -> Callable[[Any, Any, Any], Awaitable[None]]:
    """ASGI 2: app(scope) gives what takes receive and send."""

    async def single(scope: Any, receive: Any, send: Any) -> None:
        await app(scope)(receive, send)

    return single

"""Which applications an asgi worker serves, and what it says of those that it cannot."""

from __future__ import annotations

import pytest

from client import fetch
from conftest import StartServer
from harness import IS_GUNICORN

pytestmark = pytest.mark.skipif(IS_GUNICORN, reason="it is about our own asgi worker")

SERVED = [
    "asgi3", "instance", "method", "slotted", "Awaitable", "Double", "double", "partial",
    "hidden", "create_app()", "create_configured()",
]  # fmt: skip
REFUSED = {
    "WSGIClass": "is a WSGI application",
    "wsgi_object": "is a WSGI application",
    "wsgi_partial": "is a WSGI application",
    "plain_wsgi": "is a WSGI application",
    "flask_app()": "is a WSGI application",
    "django_wsgi()": "Django's ASGI application is asgi_kinds",
    "create_app": "did you mean 'asgi_kinds:create_app()'?",
    "create_configured": "did you mean 'asgi_kinds:create_configured()'?",
    "Object": "name asgi_kinds:Object() instead",
}
NAMES = ["asgi", "uvicorn.workers.UvicornWorker"]


@pytest.mark.parametrize("app", SERVED)
def test_served(serve: StartServer, app: str) -> None:
    server = serve(f"asgi_kinds:{app}", "-k", "asgi", "--asgi-lifespan", "off")
    assert fetch(server.address, "/").body == b"asgi"


@pytest.mark.parametrize("app", REFUSED)
@pytest.mark.parametrize("name", NAMES)
def test_refused_at_the_start(launch: StartServer, app: str, name: str) -> None:
    server = launch(f"asgi_kinds:{app}", "-k", name)
    assert server.wait() == 4
    assert REFUSED[app] in server.log()
    assert "Traceback" not in server.log()


def test_refused_when_preloaded(launch: StartServer) -> None:
    server = launch("asgi_kinds:plain_wsgi", "-k", "asgi", "--preload")
    assert server.wait() == 4
    assert "leave the worker class out" in server.log()


@pytest.mark.parametrize("app", ["asgi3", "instance", "method", "partial"])
def test_detected_without_a_class(serve: StartServer, app: str) -> None:
    server = serve(f"asgi_kinds:{app}", "--asgi-lifespan", "off")
    assert "Using worker: asgi" in server.log()
    assert fetch(server.address, "/").body == b"asgi"


@pytest.mark.parametrize("app", ["asgi3", "instance", "method", "partial"])
@pytest.mark.parametrize("kind", ["sync", "gthread", "gevent", "tornado"])
@pytest.mark.parametrize("more", [(), ("--preload",)])
def test_refused_where_another_class_was_asked_for(
    launch: StartServer, app: str, kind: str, more: tuple[str, ...]
) -> None:
    server = launch(f"asgi_kinds:{app}", "-k", kind, *more)
    assert server.wait() == 4
    assert "is asynchronous (ASGI)" in server.log()
    assert f"-k {kind} cannot run" in server.log()
    assert "Traceback" not in server.log()

"""What Flask-SocketIO's usual deployment is made of: gevent-websocket's handler and its environ."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import gevent
from gunicorn.workers.ggevent import GeventPyWSGIWorker, GeventWorker, PyWSGIHandler, PyWSGIServer


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    path = environ["PATH_INFO"]
    socket = environ.get("wsgi.websocket")
    if socket is not None:
        while (message := socket.receive()) is not None:
            socket.send(message)
        return []
    body = path.encode()
    if path == "/environ":
        keys = ("RAW_URI", "SERVER_SOFTWARE", "wsgi.multithread", "gunicorn.sock")
        body = " ".join(f"{key}={key in environ and environ[key]!s:.40}" for key in keys).encode()
    elif path == "/pid":
        body = b"%d" % os.getpid()
    elif path.startswith("/sleep"):
        with open(os.path.join(os.environ["PROBE_DIR"], "sleeping"), "a") as file:
            file.write("x\n")
        gevent.sleep(float(path[len("/sleep") :]))
    elif path == "/fails":
        raise LookupError("on purpose")
    elif path == "/forks":
        child = os.fork()
        if child == 0:
            return [b"from the child"]
        os.waitpid(child, 0)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]


class Logged(PyWSGIHandler):  # type: ignore[misc]
    """A handler as people build on gunicorn's."""

    def get_environ(self) -> dict[str, Any]:
        return {**super().get_environ(), "own": "1"}


class Handled(GeventPyWSGIWorker):  # type: ignore[misc]
    wsgi_handler = Logged


class OwnServer(PyWSGIServer):  # type: ignore[misc]
    pass


class Served(GeventWorker):  # type: ignore[misc]
    server_class = OwnServer

"""Pyramid: sessions, uploads, app_iter; what it does not catch, the server must."""

from __future__ import annotations

from typing import Any

from framework_tools import SECRET, blocks, lines, receipt
from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPFound
from pyramid.request import Request
from pyramid.response import Response
from pyramid.session import SignedCookieSessionFactory


def index(request: Request) -> Response:
    return Response("hello from pyramid")


def greet(request: Request) -> Response:
    return Response(f"hello {request.params['name']}")


def form(request: Request) -> Response:
    return Response(json=dict(request.POST))


def json_echo(request: Request) -> Response:
    return Response(json={"got": request.json_body})


def upload(request: Request) -> Response:
    file = request.POST["file"]
    found = receipt(file.file, name=file.filename, title=request.POST["title"])
    return Response(json=found)


def raw(request: Request) -> Response:
    return Response(json=receipt(request.body_file))


def login(request: Request) -> Response:
    request.session["user"] = request.POST["user"]
    return Response("welcome")


def whoami(request: Request) -> Response:
    return Response(request.session.get("user", "nobody"))


def stream(request: Request) -> Response:
    return Response(app_iter=lines(), content_type="text/plain")


def big(request: Request) -> Response:
    return Response(app_iter=blocks(int(request.params["mb"])))


def away(request: Request) -> Any:
    return HTTPFound("/greet?name=there")


def boom(request: Request) -> Response:
    raise RuntimeError("boom in pyramid")


VIEWS = {
    "": index,
    "greet": greet,
    "form": form,
    "json": json_echo,
    "upload": upload,
    "raw": raw,
    "login": login,
    "whoami": whoami,
    "stream": stream,
    "big": big,
    "redirect": away,
    "boom": boom,
}


def make_app() -> Any:
    """The factory, so that the server is started with pyramid_app:make_app()."""
    config = Configurator(session_factory=SignedCookieSessionFactory(SECRET))
    for name, view in VIEWS.items():
        config.add_route(name or "index", f"/{name}")
        config.add_view(view, route_name=name or "index")
    return config.make_wsgi_app()

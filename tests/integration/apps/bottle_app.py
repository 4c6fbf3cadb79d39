"""Bottle: signed cookies, uploads, streaming; errors go to wsgi.errors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import bottle
from bottle import request, response
from framework_tools import SECRET, blocks, lines, receipt

app = bottle.Bottle()


@app.get("/")
def index() -> str:
    return "hello from bottle"


@app.get("/greet")
def greet() -> str:
    return f"hello {request.query.name}"


@app.post("/form")
def form() -> dict[str, Any]:
    return dict(request.forms)


@app.post("/json")
def json_echo() -> dict[str, Any]:
    return {"got": request.json}


@app.post("/upload")
def upload() -> dict[str, Any]:
    file = request.files["file"]
    return receipt(file.file, name=file.raw_filename, title=request.forms["title"])


@app.put("/raw")
def raw() -> dict[str, Any]:
    return receipt(request.body)


@app.post("/login")
def login() -> str:
    response.set_cookie("user", request.forms["user"], secret=SECRET)
    return "welcome"


@app.get("/whoami")
def whoami() -> str:
    return str(request.get_cookie("user", "nobody", secret=SECRET))


@app.get("/stream")
def stream() -> Iterator[bytes]:
    response.content_type = "text/plain"
    yield from lines()


@app.get("/big")
def big() -> Iterator[bytes]:
    yield from blocks(int(request.query["mb"]))


@app.get("/redirect")
def away() -> None:
    bottle.redirect("/greet?name=there", 302)


@app.get("/boom")
def boom() -> str:
    raise RuntimeError("boom in bottle")

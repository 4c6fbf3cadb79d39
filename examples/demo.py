"""A real small WSGI site (PEP 3333) that needs nothing but Python's standard library.

    monoceros --chdir examples demo:application

It shows what a server must be good at: a page, a form, an upload, a download and a stream.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pages
import uploads

Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], object]]
Handler = Callable[[Environ, StartResponse], Iterable[bytes]]

FORM_BYTES_MAX = 64 * 1024
LINES_MAX = 100
DELAY_S_MAX = 5.0


def respond(
    start_response: StartResponse, text: str, status: str = "200 OK", kind: str = "text/html"
) -> list[bytes]:
    """Answers with one text whose length is known."""
    body = text.encode()
    headers = [("Content-Type", f"{kind}; charset=utf-8"), ("Content-Length", str(len(body)))]
    start_response(status, headers)
    return [body]


def front(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """GET /: the page from which everything else can be tried."""
    facts = [
        ("server", environ["SERVER_SOFTWARE"]),
        ("python", platform.python_version()),
        ("worker", f"process {os.getpid()}"),
        ("protocol", environ["SERVER_PROTOCOL"]),
        ("your address", environ["REMOTE_ADDR"] or "a unix socket"),
        ("your browser", environ.get("HTTP_USER_AGENT", "unknown")),
    ]
    return respond(start_response, pages.front(facts))


def style(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """GET /style.css"""
    return respond(start_response, pages.STYLE, kind="text/css")


def greet(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """POST /greet: a form in the usual encoding."""
    body = environ["wsgi.input"].read(FORM_BYTES_MAX + 1)
    if len(body) > FORM_BYTES_MAX:
        text = pages.trouble("Too long", "At most 64 KiB, please.")
        return respond(start_response, text, "413 Content Too Large")
    form = parse_qs(body.decode("utf-8", "replace"))
    name = form.get("name", ["stranger"])[0]
    return respond(start_response, pages.greeting(name, form.get("message", [""])[0]))


def upload(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """POST /upload: hashes a file of any size as it comes."""
    try:
        content_type = environ.get("CONTENT_TYPE", "")
        got = uploads.receive_file(environ["wsgi.input"], content_type, "file")
    except uploads.UploadError as error:
        return respond(start_response, pages.trouble("No file", str(error)), "400 Bad Request")
    return respond(start_response, pages.receipt(got.filename, got.size, got.sha256))


def download(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """GET /download: a file the server may send without showing it to Python."""
    path = Path(__file__)
    file = path.open("rb")
    headers = [
        ("Content-Type", "text/x-python; charset=utf-8"),
        ("Content-Length", str(path.stat().st_size)),
        ("Content-Disposition", f'attachment; filename="{path.name}"'),
    ]
    start_response("200 OK", headers)
    result: Iterable[bytes] = environ["wsgi.file_wrapper"](file, 64 * 1024)
    return result


def stream(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """GET /stream?lines=10&delay=0.5: each line is sent as soon as it is made."""
    query = parse_qs(environ["QUERY_STRING"])
    try:
        lines = min(int(query.get("lines", ["10"])[0]), LINES_MAX)
        delay_s = min(max(float(query.get("delay", ["0.5"])[0]), 0.0), DELAY_S_MAX)
    except ValueError:
        text = pages.trouble("Not a number", "lines and delay must be numbers.")
        return respond(start_response, text, "400 Bad Request")
    start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
    return tick(lines, delay_s)


def tick(lines: int, delay_s: float) -> Iterator[bytes]:
    """The stream's parts."""
    yield (pages.HEAD.format(title="A stream") + "<section><ol>\n").encode()
    for number in range(1, lines + 1):
        yield f"<li>line {number} of {lines} at {time.strftime('%H:%M:%S')}</li>\n".encode()
        if number < lines:
            time.sleep(delay_s)
    yield ("</ol></section>" + pages.FOOT).encode()


ROUTES: dict[str, tuple[str, Handler]] = {
    "/": ("GET", front),
    "/style.css": ("GET", style),
    "/greet": ("POST", greet),
    "/upload": ("POST", upload),
    "/download": ("GET", download),
    "/stream": ("GET", stream),
}


def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """The site."""
    method, handler = ROUTES.get(environ["PATH_INFO"], ("", None))
    if handler is None:
        text = pages.trouble("Not found", "There is no such page.")
        return respond(start_response, text, "404 Not Found")
    asked = "GET" if environ["REQUEST_METHOD"] == "HEAD" else environ["REQUEST_METHOD"]
    if asked != method:
        body = pages.trouble("Not allowed", f"This page answers {method}.").encode()
        headers = [("Allow", method), ("Content-Type", "text/html; charset=utf-8")]
        start_response("405 Method Not Allowed", [*headers, ("Content-Length", str(len(body)))])
        return [body]
    return handler(environ, start_response)

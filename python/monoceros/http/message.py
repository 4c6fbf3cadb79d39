"""Request and Response: light views for hooks and Python loggers, made from a finished environ.

They are built only where a hook or a logger class asks for them.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NOT_HEADERS = ("CONTENT_TYPE", "CONTENT_LENGTH")


class Request:
    """A request as pre_request and post_request get it: gunicorn's attribute names."""

    def __init__(self, environ: dict[str, Any]) -> None:
        self.environ = environ
        self.method: str = environ["REQUEST_METHOD"]
        self.uri: str = environ["RAW_URI"]
        self.query: str = environ["QUERY_STRING"]
        self.path: str = self.uri.partition("?")[0]
        self.scheme: str = environ["wsgi.url_scheme"]
        major, _, minor = environ["SERVER_PROTOCOL"].rpartition("/")[2].partition(".")
        self.version = (int(major), int(minor)) if minor else (0, 0)  # "-": never read
        self.remote_addr = (environ.get("REMOTE_ADDR", ""), environ.get("REMOTE_PORT"))
        self.peer_addr = self.remote_addr
        self.body = environ.get("wsgi.input")
        self.trailers: list[tuple[str, str]] = []

    @property
    def headers(self) -> list[tuple[str, str]]:
        """(NAME, value) pairs, names in upper case with dashes."""
        found = [
            (name[5:].replace("_", "-"), value)
            for name, value in self.environ.items()
            if name.startswith("HTTP_")
        ]
        found += [
            (name.replace("_", "-"), self.environ[name])
            for name in _NOT_HEADERS
            if name in self.environ
        ]
        return found


class Response:
    """A response after it was sent: gunicorn's attribute names."""

    def __init__(self, req: Request, status: str, fields: bytes, sent: int) -> None:
        """fields: "Name: value" lines as the application gave them; sent: bytes of body."""
        self.req = req
        self.status = status
        self.sent = sent
        self.headers_sent = True
        self.headers: list[tuple[str, str]] = []
        for line in fields.decode("latin-1").split("\r\n"):
            name, colon, value = line.partition(": ")
            if colon:
                self.headers.append((name, value))

    @property
    def status_code(self) -> int:
        """0: the application spoke to its client by the socket, and named none."""
        return int(self.status[:3] or 0)

    @property
    def response_length(self) -> int | None:
        """The application's Content-Length."""
        given = [value for name, value in self.headers if name.lower() == "content-length"]
        return int(given[0]) if given else None

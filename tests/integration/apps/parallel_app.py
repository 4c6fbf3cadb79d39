"""An application for many threads at once: every answer repeats its own request, in many ways."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

SHARED = [b"one list ", b"for all ", b"threads"]


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """The decoded path, the field X-Mark and the body; the query says by which means."""
    how = environ["QUERY_STRING"]
    path = environ["PATH_INFO"].encode("latin-1")
    body = environ["wsgi.input"].read()
    fields = [("X-Path", quote(path)), ("X-Mark", environ["HTTP_X_MARK"])]
    if how == "raise":
        raise ValueError("raised on purpose")
    if how == "hints":
        environ["wsgi.early_hints"]([("Link", quote(path))])
    write = start_response("200 OK", fields)
    if how == "shared":
        return SHARED
    if how == "write":
        write(path)
        return [body]
    if how == "file":
        file = tempfile.TemporaryFile()  # noqa: SIM115, the wrapper closes it
        file.write(path + body)
        file.seek(0)
        return environ["wsgi.file_wrapper"](file)  # type: ignore[no-any-return]
    return iter((path, body)) if how == "iterate" else [path + body]

"""Access lines made in Python: for loggers that differ from the default, which C++ writes."""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterable
    from typing import Any


# Atoms that gunicorn does not have, in the order of the ready-made formats.
LEGS = ("request_id", "trace_id", "balancer_us", "read_us", "queue_us", "app_us")


def atoms(
    log: Any, resp: Any, req: Any, environ: dict[str, Any], request_time: datetime.timedelta
) -> dict[str, Any]:
    """Every %(x)s of a format. Durations leave whole days out, as gunicorn's do."""
    status = resp.status
    if isinstance(status, str):
        status = status.split(None, 1)[0] if status.strip() else "-"
    sent = getattr(resp, "sent", None)
    parts = [environ.get(key) for key in ("REQUEST_METHOD", "RAW_URI", "SERVER_PROTOCOL")]
    line = "-" if parts[0] == "-" else "{} {} {}".format(*parts)  # "-": refused before that
    microseconds = request_time.seconds * 1_000_000 + request_time.microseconds
    found = {
        "h": environ.get("REMOTE_ADDR", "-"),
        "l": "-",
        "u": basic_user(environ.get("HTTP_AUTHORIZATION")) or "-",
        "t": log.now(),
        "r": line,
        "s": str(status),
        "m": environ.get("REQUEST_METHOD"),
        "U": environ.get("PATH_INFO"),
        "q": environ.get("QUERY_STRING"),
        "H": environ.get("SERVER_PROTOCOL"),
        "b": "-" if sent is None else str(sent),
        "B": sent,
        "f": environ.get("HTTP_REFERER", "-"),
        "a": environ.get("HTTP_USER_AGENT", "-"),
        "T": request_time.seconds,
        "M": microseconds // 1000,
        "D": microseconds,
        "L": f"{request_time.seconds}.{request_time.microseconds:06}",
        "p": f"<{os.getpid()}>",
    }
    found.update(_legs(environ))
    _add_fields(found, getattr(req, "headers", ()), "i")
    _add_fields(found, getattr(resp, "headers", ()), "o")
    _add_fields(found, environ.items(), "e")
    return found


def _legs(environ: dict[str, Any]) -> dict[str, Any]:
    """Who the request is and how long each leg of its way took; "-" where that is unknown."""
    times = environ.get("monoceros.times")
    found: dict[str, Any] = dict.fromkeys(LEGS, "-")
    for name in ("request_id", "trace_id"):
        found[name] = environ.get(f"monoceros.{name}", "-")
    if times is None:
        return found
    if times.balancer_us:
        found["balancer_us"] = times.accepted_us - times.balancer_us
    found["read_us"] = times.ready_us - times.accepted_us
    found["queue_us"] = times.dispatched_us - times.ready_us
    found["app_us"] = time.monotonic_ns() // 1000 - times.dispatched_us
    return found


def _add_fields(found: dict[str, Any], fields: Any, kind: str) -> None:
    items: Iterable[tuple[Any, Any]] = fields.items() if hasattr(fields, "items") else fields
    for name, value in items:
        if isinstance(name, bytes):
            name, value = name.decode("latin-1"), value.decode("latin-1")  # noqa: PLW2901
        found[f"{{{name.lower()}}}{kind}"] = value


def basic_user(authorization: str | None) -> str | None:
    """The user of `Authorization: Basic ...` (RFC 7617), or None."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    import binascii

    try:
        # Undecodable bytes are shown, not lost: the log is where attacks are looked for.
        pair = binascii.a2b_base64(token.strip()).decode("utf-8", "backslashreplace")
    except (ValueError, binascii.Error):
        return None
    user, colon, _ = pair.partition(":")
    return user if colon else None


def ready_made(pattern: str, found: dict[str, Any]) -> str:
    """A line of the format "json" or "logfmt", with the same fields as the C++ core's."""
    import json

    def shown(name: str) -> Any:
        value = found.get(name)
        return None if value in ("-", "") else value

    now = time.time()
    second = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
    fields: dict[str, Any] = {
        "time": f"{second}.{int(now % 1 * 1000):03}Z",
        "remote_addr": shown("h"),
        "user": shown("u"),
        "method": shown("m"),
        "target": shown("{raw_uri}e"),
        "protocol": shown("H"),
        "host": shown("{http_host}e"),
        "status": int(found["s"]) if found["s"].isdigit() else None,
        "bytes": found["B"],
        "duration_us": found["D"],
        "referer": shown("f"),
        "user_agent": shown("a"),
        "pid": os.getpid(),
    }
    fields.update((name, shown(name)) for name in LEGS)
    if pattern == "json":
        texts = {k: _as_utf8(v) if isinstance(v, str) else v for k, v in fields.items()}
        line = json.dumps(texts, separators=(",", ":"), ensure_ascii=False)
        return "".join(f"\\u{ord(c):04X}" if _shapes_the_line(ord(c)) else c for c in line)
    return " ".join(f"{name}={_logfmt(value)}" for name, value in fields.items())


# As src/log/escape.cpp has it: controls, separators, turns of direction, and lone surrogates.
SHAPING = ((0x7F, 0x9F), (0x2028, 0x202E), (0x2066, 0x2069), (0xD800, 0xDFFF))


def _shapes_the_line(code: int) -> bool:
    return code >= 0x7F and any(low <= code <= high for low, high in SHAPING)


# WSGI's strings are bytes as latin-1; what is no UTF-8 stays that.
def _as_utf8(text: str) -> str:
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def _logfmt(value: Any) -> str:
    from monoceros.logs.escape import escape

    shown = escape("-" if value is None else str(value))
    return shown if shown and not set(" =\\") & set(shown) else f'"{shown}"'

"""What is measured: one Case an experiment, the same for every server.

A case names an application of bench/apps, how wrk asks it, and the exact body that must come
back. Nothing here starts a process.
"""

from dataclasses import dataclass, field

CONNECTIONS = 32
HELLO = b"Hello, world!"
STREAM_PIECE_BYTES = 1024
POST_BYTES = 8192
POST_BODY = b"0123456789abcdef" * (POST_BYTES // 16)
POST_ANSWER = b"8192 0123456789abcdef"

BROWSER_HEADERS = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language": "en-GB,en;q=0.7,fr;q=0.3",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Referer": "https://www.example.org/catalogue/shoes?page=2&sort=price",
    "Cookie": "session=eyJ1c2VyIjoxMjM0NX0.aGVsbG8.c2lnbmF0dXJlLW9mLXRoZS1jb29raWU; theme=dark",
    "Upgrade-Insecure-Requests": "1",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Cache-Control": "max-age=0",
}


@dataclass(frozen=True)
class Goal:
    """CPU of `server` at most `at_most` times that of `peer`, in the same case."""

    server: str
    peer: str
    at_most: float


@dataclass(frozen=True)
class Case:
    """One experiment. `bare` is the bare loop's arguments, None where it has no equivalent."""

    name: str
    title: str
    app: str
    expected: bytes
    headers: dict[str, str] = field(default_factory=dict)
    post: bytes = b""
    bare: tuple[str, ...] | None = ()
    closes: bool = False
    only: tuple[str, ...] = ()  # server names; empty: every server but the extra ones
    notes: dict[str, str] = field(default_factory=dict)  # server name -> footnote
    connections: int = CONNECTIONS
    echo_bytes: int = 0  # a WebSocket echo of messages of so many bytes, in place of requests
    echo_per_second: int = 0  # messages for each second that a round is to last
    goals: tuple[Goal, ...] = ()


UWSGI_NOTE = (
    "uWSGI's keep-alive (`--http11-socket`) ties its one process to one connection: "
    "the other 31 wait, which wrk's p99 does not show"
)
KEEP_ALIVE_NOTES = {"uwsgi": UWSGI_NOTE}
HOLDS_BACK = "holds the whole answer back and sends it as one piece, against PEP 3333"
STREAM_NOTES = {
    **dict.fromkeys(("fastwsgi", "fastpysgi", "freastal"), HOLDS_BACK),
    **KEEP_ALIVE_NOTES,
}

CASES = (
    Case("hello", "Hello: 13 bytes, keep-alive", "hello:app", HELLO, notes=KEEP_ALIVE_NOTES),
    Case(
        "headers",
        "Hello with ten browser headers",
        "hello:app",
        HELLO,
        headers=BROWSER_HEADERS,
        notes=KEEP_ALIVE_NOTES,
    ),
    Case(
        "large",
        "100 KiB answer",
        "large:app",
        b"0123456789abcdef" * 6400,
        notes=KEEP_ALIVE_NOTES,
    ),
    Case(
        "stream",
        "Stream: 16 pieces of 1 KiB, no length",
        "stream:app",
        b"0123456789abcdef" * 64 * 16,
        bare=("--chunk", str(STREAM_PIECE_BYTES)),
        notes=STREAM_NOTES,
    ),
    Case(
        "post",
        "8 KiB post, read by the application",
        "post:app",
        POST_ANSWER,
        post=POST_BODY,
        bare=("--request-body", str(POST_BYTES)),
        notes=KEEP_ALIVE_NOTES,
    ),
    Case(
        "close",
        "A connection per request",
        "hello:app",
        HELLO,
        headers={"Connection": "close"},
        bare=("--close",),
        closes=True,
    ),
    Case("flask", "Flask hello", "flask_hello:app", HELLO, bare=None, notes=KEEP_ALIVE_NOTES),
    Case("django", "Django hello", "django_hello:app", HELLO, bare=None, notes=KEEP_ALIVE_NOTES),
    Case(
        "accesslog",
        "Access log off and on",
        "hello:app",
        HELLO,
        only=("monoceros", "monoceros-log"),
    ),
)


def pick_cases(filters: list[str], cases: tuple[Case, ...] = CASES) -> list[Case]:
    """The cases named in `filters` (all when empty); SystemExit names an unknown one."""
    unknown = set(filters) - {case.name for case in cases}
    if unknown:
        known = ", ".join(case.name for case in cases)
        raise SystemExit(f"bench: unknown case {', '.join(sorted(unknown))}; known: {known}")
    return [case for case in cases if not filters or case.name in filters]

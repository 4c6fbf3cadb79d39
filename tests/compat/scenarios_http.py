"""Requests: what of them reaches the application, and which are refused with what."""

from __future__ import annotations

import json
import socket
import threading
from typing import Any

from pair import Side
from scenario import Group, Look

# Request lines and fields after "Host: h"; Connection: close is added.
SHAPES: dict[str, tuple[str, list[str]]] = {
    "plain": ("GET / HTTP/1.1", []),
    "http10": ("GET / HTTP/1.0", []),
    "query": ("GET /a/b?c=d&e=%20f?g HTTP/1.1", []),
    "empty-query": ("GET /a? HTTP/1.1", []),
    "encoded": ("GET /caf%C3%A9/%2F%3f/%00x%zz HTTP/1.1", []),
    "semicolon": ("GET /a;b=c/d;e HTTP/1.1", []),
    "two-slashes": ("GET //a//b HTTP/1.1", []),
    "dots": ("GET /a/../b/./c HTTP/1.1", []),
    "absolute": ("GET http://other.example:81/p?q HTTP/1.1", []),
    "absolute-no-path": ("GET http://other.example HTTP/1.1", []),
    "options-star": ("OPTIONS * HTTP/1.1", []),
    "connect": ("CONNECT host.example:443 HTTP/1.1", []),
    "odd-method": ("PURGE /x HTTP/1.1", []),
    "head": ("HEAD /x HTTP/1.1", []),
    "fragment": ("GET /x#frag HTTP/1.1", []),
    "plus": ("GET /a+b?c+d HTTP/1.1", []),
    "http12": ("GET / HTTP/1.2", []),
    "repeats": ("GET / HTTP/1.1", ["X-A: 1", "x-a: 2", "X-A:3"]),
    "cookies": ("GET / HTTP/1.1", ["Cookie: a=1", "Cookie: b=2"]),
    "spaces": ("GET / HTTP/1.1", ["X-A: \t padded \t ", "X-Empty:", "X-B:  "]),
    "high-bytes": ("GET / HTTP/1.1", ["X-A: caf\xe9 \xff"]),
    "underscore": ("GET / HTTP/1.1", ["X_A: 1", "X-A: 2"]),
    "hyphens": ("GET / HTTP/1.1", ["X--A: 1", "-X: 2", "X-: 3"]),
    "odd-token": ("GET / HTTP/1.1", ["!#$%&'*+.^`|~9: 1"]),
    "proxy": ("GET / HTTP/1.1", ["Proxy: http://evil"]),
    "content-type": ("POST / HTTP/1.1", ["Content-Type: text/x; a=b", "Content-Length: 0"]),
    "no-length": ("POST / HTTP/1.1", []),
    "length-zeros": ("POST / HTTP/1.1", ["Content-Length: 000"]),
    "forwarded-for": ("GET / HTTP/1.1", ["X-Forwarded-For: 1.2.3.4"]),
    "forwarded-https": ("GET / HTTP/1.1", ["X-Forwarded-Proto: https"]),
    "forwarded-http": ("GET / HTTP/1.1", ["X-Forwarded-Proto: http"]),
    "forwarded-upper": ("GET / HTTP/1.1", ["X-Forwarded-Proto: HTTPS"]),
    "forwarded-ssl": ("GET / HTTP/1.1", ["X-Forwarded-Ssl: on"]),
    "forwarded-protocol": ("GET / HTTP/1.1", ["X-Forwarded-Protocol: ssl"]),
    "forwarded-agree": ("GET / HTTP/1.1", ["X-Forwarded-Ssl: on", "X-Forwarded-Proto: https"]),
    "script-name": ("GET /app/x HTTP/1.1", ["SCRIPT_NAME: /app"]),
    "script-name-part": ("GET /application HTTP/1.1", ["SCRIPT_NAME: /app"]),
    "script-name-all": ("GET /app HTTP/1.1", ["SCRIPT_NAME: /app"]),
    "script-name-hyphen": ("GET /app/x HTTP/1.1", ["SCRIPT-NAME: /app"]),
    "path-info": ("GET /app/x HTTP/1.1", ["PATH_INFO: /other"]),
    "te-trailers": ("GET / HTTP/1.1", ["TE: trailers", "Upgrade: foo"]),
    "authorization": ("GET / HTTP/1.1", ["Authorization: Basic YTpi"]),
    "many-fields": ("GET / HTTP/1.1", [f"X-{number}: {number}" for number in range(90)]),
}
# Bytes -> refused (or not) in the same way. Host is written out.
REFUSALS: dict[str, bytes] = {
    "no-host": b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
    "absolute-no-host": b"GET http://a/ HTTP/1.1\r\nConnection: close\r\n\r\n",
    "version-12": b"GET / HTTP/1.2\r\nHost: h\r\nConnection: close\r\n\r\n",
    "two-hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "garbage": b"garbage\r\n\r\n",
    "tls-hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "lower-method": b"get / HTTP/1.1\r\nHost: h\r\n\r\n",
    "short-method": b"GE / HTTP/1.1\r\nHost: h\r\n\r\n",
    "http20": b"GET / HTTP/2.0\r\nHost: h\r\n\r\n",
    "http09": b"GET /\r\n\r\n",
    "version-word": b"GET / HTTP/one\r\nHost: h\r\n\r\n",
    "no-slash": b"GET x HTTP/1.1\r\nHost: h\r\n\r\n",
    "star-get": b"GET * HTTP/1.1\r\nHost: h\r\n\r\n",
    "target-space": b"GET /a b HTTP/1.1\r\nHost: h\r\n\r\n",
    "target-high": b"GET /\xe9 HTTP/1.1\r\nHost: h\r\n\r\n",
    "target-control": b"GET /\x01 HTTP/1.1\r\nHost: h\r\n\r\n",
    "long-line": b"GET /" + b"a" * 4100 + b" HTTP/1.1\r\nHost: h\r\n\r\n",
    "longest-line": b"GET /" + b"a" * 4080 + b" HTTP/1.1\r\nConnection: close\r\n\r\n",
    "many-fields": b"GET / HTTP/1.1\r\n" + b"X: 1\r\n" * 101 + b"\r\n",
    "long-field": b"GET / HTTP/1.1\r\nX: " + b"a" * 8200 + b"\r\n\r\n",
    "no-colon": b"GET / HTTP/1.1\r\nHost: h\r\nnocolon\r\n\r\n",
    "no-name": b"GET / HTTP/1.1\r\nHost: h\r\n: x\r\n\r\n",
    "name-space": b"GET / HTTP/1.1\r\nHost : h\r\n\r\n",
    "name-odd": b"GET / HTTP/1.1\r\nHost: h\r\nX(: 1\r\n\r\n",
    "value-nul": b"GET / HTTP/1.1\r\nHost: h\r\nX: a\0b\r\n\r\n",
    "value-cr": b"GET / HTTP/1.1\r\nHost: h\r\nX: a\rb\r\n\r\n",
    "folded": b"GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n",
    "bare-lf": b"GET / HTTP/1.1\nHost: h\n\n",
    "length-word": b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n",
    "length-sign": b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +1\r\n\r\nx",
    "length-twice": b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
    "length-list": b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1, 1\r\n\r\nx",
    "both-framings": b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "coding-unknown": b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: foo\r\n\r\n",
    "coding-gzip": b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n",
    "coding-twice": b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked-10": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "expect-odd": b"GET / HTTP/1.1\r\nHost: h\r\nExpect: tea\r\n\r\n",
    "schemes-conflict": b"GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-Proto: http\r\n"
    b"X-Forwarded-Ssl: on\r\n\r\n",
    "schemes-twice": b"GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-Proto: http\r\n"
    b"X-Forwarded-Proto: https\r\n\r\n",
    "script-name-odd": b"GET /x HTTP/1.1\r\nHost: h\r\nSCRIPT_NAME: /app\r\n\r\n",
    "empty-first": b"\r\nGET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
    "two-empty-first": b"\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
    "two-spaces": b"GET  / HTTP/1.1\r\nHost: h\r\n\r\n",
    "preface-h2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}
POST = b"POST /body?%b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
LENGTH = POST + b"Content-Length: %d\r\n\r\n%b"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n%b"
LINES = b"one\ntwo\n\nthree"
BODIES: dict[str, bytes] = {
    "read": LENGTH % (b"read", 5, b"hello"),
    "read-steps": LENGTH % (b"read:2;read:0;read:2;read:9;read", 5, b"hello"),
    "read-negative": LENGTH % (b"read:-1;read", 5, b"hello"),
    "readline": LENGTH % (b"readline;readline;readline:2;readline;readline;readline", 14, LINES),
    "readline-zero": LENGTH % (b"readline:0;readline:-1", 14, LINES),
    "readlines": LENGTH % (b"readlines", 14, LINES),
    "readlines-hint": LENGTH % (b"readlines:3", 14, LINES),
    "iterate": LENGTH % (b"iter;read", 14, LINES),
    "nothing": LENGTH % (b"read;readline;readlines;iter", 0, b""),
    "chunks": CHUNKED % (b"read", b"3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n"),
    "chunks-steps": CHUNKED % (b"read:4;readline;read", b"3\r\nab\n\r\n4\r\nc\nde\r\n0\r\n\r\n"),
    "chunks-extension": CHUNKED % (b"read", b"3;a=b;c\r\nabc\r\n0\r\n\r\n"),
    "chunks-blanks": CHUNKED % (b"read", b"3; a = b ;c\r\nabc\r\n0\r\n\r\n"),
    "chunks-trailer": CHUNKED % (b"read", b"3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n"),
    "chunks-bad-size": CHUNKED % (b"read", b"zz\r\nabc\r\n0\r\n\r\n"),
    "chunks-bad-end": CHUNKED % (b"read", b"3\r\nabcXX0\r\n\r\n"),
    "chunks-unread": b"POST /respond?{} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
}


def environ_of(line: str, fields: list[str]) -> Look:
    """The environ that a request gives, as pairs; the status line where it is refused."""
    head = "\r\n".join([line, "Host: h", *fields, "Connection: close", "", ""])

    def look(side: Side) -> Any:
        answer = side.ask(head.encode("latin-1"))
        before, _, body = answer.partition("\r\n\r\n")
        if " 200 " not in before.split("\r\n")[0] or not body:
            return answer.split("\r\n")[0]
        found = json.loads(body)
        found["REMOTE_PORT"] = found["REMOTE_PORT"].isdigit()
        found["SERVER_PORT"] = found["SERVER_PORT"] == str(side.port)
        return found

    return look


def refusal(raw: bytes) -> Look:
    """Status line and fields; the length and words of error pages are each server's own."""

    def look(side: Side) -> Any:
        head, _, body = side.ask(raw).partition("\r\n\r\n")
        lines = head.split("\r\n")
        if " 200 " in lines[0]:
            return lines[0]
        return [line for line in lines if not line.startswith("Content-Length")], bool(body)

    return look


def answer_to(raw: bytes) -> Look:
    """Every byte of the answer."""
    return lambda side: side.ask(raw)


def over_unix(raw: bytes) -> Look:
    def look(side: Side) -> Any:
        answer = side.ask(raw, str(side.dir / "s"))
        return json.loads(answer.partition("\r\n\r\n")[2])

    return look


def kept_alive(*raws: bytes) -> Look:
    """The answers to several requests on one connection."""
    return answer_to(b"".join(raws))


def continues(version: bytes) -> Look:
    """Whether 100 Continue comes before the body was sent."""

    def look(side: Side) -> Any:
        head = (
            b"POST /body?read HTTP/%b\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-Continue\r\n"
        )
        with socket.create_connection(("127.0.0.1", side.port), 5) as client:
            client.sendall(head % version + b"Connection: close\r\n\r\n")
            timer = threading.Timer(0.3, client.sendall, [b"ab"])
            timer.start()
            got = b""
            while data := client.recv(4096):
                got += data
            timer.join()
        return side.clean(got.decode("latin-1"))

    return look


def head_only(side: Side) -> str:
    """A server's own name is the one thing that clean() hides and that tools look at."""
    with socket.create_connection(("127.0.0.1", side.port), 5) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        got = b""
        while data := client.recv(4096):
            got += data
    return got.split(b"\r\n")[1].decode()


def error_page(side: Side) -> str:
    return side.ask(REFUSALS["garbage"])


CLOSE = b"Connection: close\r\n\r\n"
HELLO = b'GET /respond?{"headers":[["Content-Length","5"]]} HTTP/1.1\r\nHost: h\r\n'
HELLO10 = HELLO.replace(b"HTTP/1.1", b"HTTP/1.0")
ALIVE: dict[str, Look] = {
    "alive-pipelined": kept_alive(HELLO, b"\r\n", HELLO, b"Connection: close\r\n\r\n"),
    "alive-body-unread": kept_alive(
        b"POST " + HELLO[4:], b"Content-Length: 3\r\n\r\nabc", HELLO, b"Connection: close\r\n\r\n"
    ),
    "alive-10-asked": kept_alive(HELLO10, b"Connection: keep-alive\r\n\r\n", HELLO10, b"\r\n"),
    "alive-10-close": kept_alive(HELLO10, b"\r\n"),
    "alive-close-upper": kept_alive(HELLO, b"Connection: CLOSE\r\n\r\n"),
    "alive-after-error": refusal(HELLO + b"\r\ngarbage\r\n\r\n"),
    "expect-continue": continues(b"1.1"),
    "expect-continue-10": continues(b"1.0"),
    "name-server-field": head_only,
    "error-page-words": error_page,
}

UNIX = {
    "unix-peer": b"GET /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
    "unix-host-port": b"GET /x HTTP/1.1\r\nHost: h:81\r\nConnection: close\r\n\r\n",
    "unix-no-host": b"GET /x HTTP/1.0\r\n\r\n",
    "unix-https": b"GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-Proto: https\r\n"
    b"Connection: close\r\n\r\n",
    "unix-underscore": b"GET /x HTTP/1.1\r\nHost: h\r\nSCRIPT_NAME: /x\r\nX_A: 1\r\n"
    b"Connection: close\r\n\r\n",
}
THREADS = "-k gthread --threads 4"
X = "GET /x HTTP/1.1"


def policy(name: str, args: str, shapes: dict[str, tuple[str, list[str]]], **more: Any) -> Group:
    """Requests under settings that change what is made of them."""
    looks = {f"{name}-{key}": environ_of(*shape) for key, shape in shapes.items()}
    return Group(name, looks, f"{args} scene", **more)


TRUST = {
    "proto": (X, ["X-Forwarded-Proto: https"]),
    "script-name": (X, ["SCRIPT_NAME: /x"]),
    "underscore": (X, ["X_A: 1"]),
}
GROUPS = [
    Group(
        "environ",
        {f"environ-{name}": environ_of(*shape) for name, shape in SHAPES.items()},
        "scene",
    ),
    Group(
        "refusals",
        {f"refuse-{name}": refusal(raw) for name, raw in REFUSALS.items()},
        "scene",
    ),
    Group(
        "input",
        {f"input-{name}": answer_to(raw) for name, raw in BODIES.items()},
        "scene",
    ),
    Group("sync-alive", {"sync-keeps-alive": kept_alive(HELLO, b"\r\n", HELLO, CLOSE)}, "scene"),
    Group("alive", ALIVE, "scene", theirs=THREADS),
    Group(
        "unix",
        {name: over_unix(raw) for name, raw in UNIX.items()},
        "-b unix:{dir}/s scene",
    ),
    policy("untrusted", "--forwarded-allow-ips 10.0.0.0/8", TRUST),
    policy("trust-all", "--forwarded-allow-ips *", TRUST),
    policy("dangerous", "--header-map dangerous", TRUST),
    policy("refuse", "--header-map refuse", TRUST),
    policy("forwarder", "--forwarder-headers X_A,SCRIPT_NAME", TRUST),
    policy(
        "permits",
        "--permit-obsolete-folding --strip-header-spaces --permit-unconventional-http-method"
        " --permit-unconventional-http-version --casefold-http-method",
        {
            "folding": (X, ["X-A: a", " b"]),
            "space": (X, ["X-A : a"]),
            "method": ("get /x HTTP/1.1", []),
            "method-odd": ("G#T /x HTTP/1.1", []),
            "version": ("GET /x HTTP/2.5", []),
        },
    ),
    policy(
        "limits",
        "--limit-request-line 40 --limit-request-fields 4 --limit-request-field_size 30",
        {
            "within": (X, ["X-A: 1"]),
            "line": ("GET /" + "x" * 40 + " HTTP/1.1", []),
            "fields": (X, ["X-A: 1", "X-B: 1", "X-C: 1", "X-D: 1"]),
            "field": (X, ["X-A: " + "1" * 30]),
        },
    ),
    policy(
        "schemes",
        "",
        {"listed": (X, ["X-Secure: yes"]), "other": (X, ["X-Forwarded-Proto: https"])},
        config='secure_scheme_headers = {"X-SECURE": "yes"}\n',
    ),
    policy("process-script-name", "", {"set": ("GET /base/x HTTP/1.1", [])},
           env={"SCRIPT_NAME": "/base"}),
    policy("several-workers", "-w 2", {"environ": (X, [])}, workers=2),
    policy("raw-env", "-e COMPAT_X=1 -e SCRIPT_NAME=/x", {"environ": (X, [])}),
]  # fmt: skip

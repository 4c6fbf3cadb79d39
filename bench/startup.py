"""How long a server takes from exec to its first answer, in alternating pairs."""

import socket
import time
from collections.abc import Callable
from typing import Any

from cases import pick_cases
from servers import Launch, Running, Server, free_port, pick_servers

import load

SERVER_NAMES = ["monoceros", "gunicorn-sync"]
REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
SECONDS_MAX = 15.0


def _answers(port: int) -> bool:
    """True when the server answers 200 now; False while nobody listens."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=SECONDS_MAX) as client:
            client.sendall(REQUEST)
            return client.recv(64).startswith(b"HTTP/1.1 200")
    except (ConnectionRefusedError, ConnectionResetError):
        return False


def _one(server: Server, app: str) -> float:
    """Milliseconds from exec to the first byte of a 200; asks every half millisecond."""
    port = free_port()
    started = time.perf_counter()
    with Running(server, Launch(app, port)) as running:
        while not _answers(port):
            if time.perf_counter() - started > SECONDS_MAX or running.ended():
                raise load.WrongAnswer(f"failed (no answer: {running.last_words()})")
            time.sleep(0.0005)
        return (time.perf_counter() - started) * 1000


def measure(starts: int, absence: Callable[[Server], str]) -> list[dict[str, Any]]:
    """Rows {server, ms: [...], failed}; the first pair only warms the page and byte-code caches."""
    (case,) = pick_cases(["hello"])
    servers = pick_servers(SERVER_NAMES)
    servers = [server for server in servers if server.name in SERVER_NAMES]
    rows: list[dict[str, Any]] = [
        {"server": server.name, "ms": [], "failed": absence(server)} for server in servers
    ]
    for turn in range(starts + 1):
        for server, row in zip(servers, rows, strict=True):
            if row["failed"]:
                continue
            try:
                took_ms = _one(server, case.app)
            except load.WrongAnswer as error:
                row["failed"] = str(error)
                continue
            if turn > 0:
                row["ms"].append(took_ms)
    return rows

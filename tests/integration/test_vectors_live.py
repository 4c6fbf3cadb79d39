"""Every vector on a live socket: whole and cut into pieces, with another connection beside it."""

from __future__ import annotations

import contextlib
import json
import random
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from client import Client, Gone
from harness import HERE, IS_GUNICORN, Server
from patience import pace
from vectors import Expected, Vector, read_all

VECTORS = read_all(HERE.parent / "vectors")
SPLITS = 2
PIECES_MAX = 4
PAUSE_S = 0.002  # lets the pieces arrive one by one
PLAIN = b"GET / HTTP/1.1\r\n\r\n"  # short enough for every limit that a vector sets
SWITCHES = ("true", "false")

ServerFor = Callable[[tuple[tuple[str, str], ...]], Server]


@pytest.fixture(scope="module")
def server_for(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerFor]:
    """A server for each combination of settings, started when it is first needed."""
    running: dict[tuple[tuple[str, str], ...], Server] = {}
    root = tmp_path_factory.mktemp("vectors")
    with contextlib.ExitStack() as stack:

        def get(settings: tuple[tuple[str, str], ...]) -> Server:
            if settings not in running:
                config = write_config(root / f"config{len(running)}.py", settings)
                directory = root / f"server{len(running)}"
                arguments = ["--config", str(config), "--keep-alive", "60"]
                if IS_GUNICORN:  # its threaded worker lingers two seconds after each refusal
                    arguments += ["--worker-class", "gevent"]
                server = Server("vector_app:app", *arguments, directory=directory)
                running[settings] = stack.enter_context(server)
            return running[settings]

        yield get
        for server in running.values():
            server.signal(signal.SIGTERM)  # all at once; then each is waited for
        assert {server.wait() for server in running.values()} <= {0}


def write_config(path: Path, settings: tuple[tuple[str, str], ...]) -> Path:
    """The settings as a config file."""
    lines = []
    for name, value in settings:
        literal = value if value.isdigit() else repr(value)
        lines.append(f"{name} = {value.capitalize() if value in SWITCHES else literal}\n")
    path.write_text("".join(lines))
    return path


def pieces_of(vector: Vector, attempt: int) -> list[bytes]:
    """The bytes as they are, or cut at random places (the same ones each time)."""
    if attempt == 0 or len(vector.data) < 2:
        return [vector.data]
    chance = random.Random(f"{vector.name} {attempt}")
    count = min(chance.randint(1, PIECES_MAX - 1), len(vector.data) - 1)
    cuts = sorted(chance.sample(range(1, len(vector.data)), count))
    return [vector.data[a:b] for a, b in zip([0, *cuts], [*cuts, None], strict=True)]


def send(client: Client, pieces: list[bytes]) -> None:
    """Sends the pieces apart. A server may refuse, and close, before it has seen them all."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        for piece in pieces:
            client.send(piece)
            if len(pieces) > 1:
                pace(PAUSE_S, "pieces that arrive apart")


def check_plain(client: Client) -> None:
    """The connection is alive and in step."""
    client.send(PLAIN)
    assert client.response().status == 200


def check_answer(client: Client, wanted: Expected) -> None:
    """A 200 that tells what the application saw."""
    response = client.response(wanted.method)
    assert response.status == 200, response
    persistence = "keep-alive" if wanted.keep_alive else "close"
    assert response.get("Connection") == persistence
    if wanted.method == "HEAD":
        return
    seen = json.loads(response.body)
    for key, value in wanted.environ().items():
        assert seen.get(key) == value, key
    assert seen["data"] == "".join(wanted.details.get("data", []))


def check_end(client: Client, vector: Vector) -> None:
    """What comes after the last complete request."""
    if vector.error_status:
        response = client.response()
        assert response.status == vector.error_status, response
        assert response.get("Connection") == "close"
        assert client.closed()
    elif vector.incomplete:
        client.sock.shutdown(socket.SHUT_WR)
        assert not client.rest().startswith(b"HTTP/1.1 200")
    elif vector.requests and not vector.requests[-1].keep_alive:
        assert client.closed()
    else:
        check_plain(client)


def run(server: Server, vector: Vector, attempt: int) -> None:
    """One connection's life."""
    head_bytes_max = int(dict(vector.settings).get("limit_request_head", 0))
    watch = not 0 < head_bytes_max < len(PLAIN)  # else even the shortest request is refused
    with Client(server.address, timeout_s=5) as beside, Client(server.address, timeout_s=5) as it:
        if watch:
            check_plain(beside)
        send(it, pieces_of(vector, attempt))
        try:
            for wanted in vector.requests:
                if wanted.complete:
                    check_answer(it, wanted)
            check_end(it, vector)
        except Gone as gone:
            raise AssertionError(f"closed too early, after {gone.got!r}") from None
        if watch:
            check_plain(beside)


def test_there_are_enough_vectors() -> None:
    """As many as the project promises."""
    assert len(VECTORS) >= 300
    assert sum(1 for vector in VECTORS if vector.error_status) >= 100


@pytest.mark.beyond("follows another reading of the standard in places", strict=False)
@pytest.mark.parametrize("vector", VECTORS, ids=[vector.name for vector in VECTORS])
def test_vector(server_for: ServerFor, vector: Vector) -> None:
    server = server_for(vector.settings)
    for attempt in range(SPLITS + 1):
        run(server, vector, attempt)

"""Answers to readers that are slow or have stopped: what they cost, with a disk and without room
on it, in each class of workers."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from client import Client, request
from conftest import StartServer, mounted
from harness import Server, rss_mib, wait_for

MB = 64
KINDS = {
    "sync": ("large_app:app",),
    "threads": ("large_app:app", "--threads", "4"),
    "gevent": ("large_app:app", "-k", "gevent"),
    "asgi": ("large_app:asgi", "-k", "asgi"),
}
WAYS = [(kind, way) for kind in ("sync", "threads", "gevent") for way in ("iterated", "written")]
WAYS.append(("asgi", "iterated"))


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[str]:
    """A directory with no room for what is spilled, on a file system of its own."""
    with mounted(tmp_path / "small", "1m") as mount:
        (mount / "filler").write_bytes(b"x" * 1_000_000)
        yield str(mount)


def stopped_reader(server: Server, target: str) -> Client:
    """Asks, and reads no more than the head."""
    client = Client(server.address, timeout_s=30)
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
    client.send(request(target, headers={"Connection": "close"}))
    assert client.head().status == 200
    return client


def settled(path: Path) -> int:
    """The size of the file, once it does not grow any more."""
    sizes = [-1] * 10

    def still() -> bool:
        sizes.append(path.stat().st_size)
        return len(set(sizes[-10:])) == 1 and sizes[-1] > 0

    wait_for(still, "the application to wait")
    return sizes[-1]


@pytest.mark.memory
@pytest.mark.parametrize(("kind", "way"), WAYS)
def test_on_a_full_disk_the_application_waits(
    serve: StartServer, full_disk: str, kind: str, way: str
) -> None:
    app, *arguments = KINDS[kind]
    server = serve(app, *arguments, env={"TMPDIR": full_disk}, sync=True)
    (worker,) = server.worker_pids()
    before = rss_mib(worker)
    with stopped_reader(server, f"/{way}?mb={MB}") as reader:
        given = settled(server.directory / "given")
        assert given < MB * 16 / 2, "it did not wait"
        assert rss_mib(worker) - before < 16
        body = reader.rest()
    assert len(body) >= MB << 20
    assert (server.directory / "given").stat().st_size == MB * 16


@pytest.mark.memory
@pytest.mark.parametrize("kind", ["sync", "threads"])
def test_what_is_left_of_an_answer_is_stored(serve: StartServer, kind: str) -> None:
    """The application has given all of it and is free."""
    app, *arguments = KINDS[kind]
    server = serve(app, *arguments, sync=True)
    (worker,) = server.worker_pids()
    with Client(server.address) as client:
        client.ask("/hello")
    before = rss_mib(worker)
    with stopped_reader(server, f"/iterated?mb={MB}") as reader, Client(server.address) as other:
        given = server.directory / "given"
        wait_for(lambda: given.stat().st_size == MB * 16, "the application to be done")
        assert other.ask("/hello").body == b"hello"
        assert rss_mib(worker) - before < 16
        assert len(reader.rest()) >= MB << 20


@pytest.mark.parametrize("kind", KINDS)
def test_a_large_object_is_given_back_while_its_reader_has_stopped(
    serve: StartServer, kind: str
) -> None:
    app, *arguments = KINDS[kind]
    server = serve(app, *arguments, sync=True)
    (worker,) = server.worker_pids()
    with Client(server.address) as client:
        client.ask("/hello")
    before = rss_mib(worker)
    with stopped_reader(server, f"/whole?mb={MB}") as reader:
        wait_for(lambda: rss_mib(worker) - before < 16, "the memory")
        with Client(server.address) as other:
            assert other.ask("/hello").body == b"hello"
        assert len(reader.rest()) == MB << 20

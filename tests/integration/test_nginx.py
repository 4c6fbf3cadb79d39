"""Behind a real nginx: unix socket and TCP, with and without kept connections, large bodies."""

from __future__ import annotations

import hashlib
import os
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from client import Client, request
from harness import APPS, Server
from nginx import Front, nginx

sys.path.append(str(APPS))

from probe_files import content

UPLOAD_MB = 50
DOWNLOAD_MB = 100
SHARE_MB = 5  # of it, between two requests of somebody else
BLOCK = bytes(range(256)) * 256
FRONTS = {
    "plain": Front(),
    "keep-alive": Front(keep_alive=True),
    "unbuffered": Front(request_buffering=False, buffering=False),
    "unbuffered-keep-alive": Front(True, request_buffering=False, buffering=False),
}


@pytest.fixture(scope="module", params=["unix", "tcp"])
def upstream(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, str]]:
    """One worker, and its address as nginx writes it."""
    directory = tmp_path_factory.mktemp("upstream")
    binds = [f"unix:{directory}/app.sock"] if request.param == "unix" else None
    with Server("probe:app", "--access-logfile", "-", directory=directory, binds=binds) as server:
        yield server, server.binds[0]


@pytest.fixture(params=FRONTS)
def front(
    request: pytest.FixtureRequest, upstream: tuple[Server, str], tmp_path: Path
) -> Iterator[str]:
    """The URL of nginx, in each way of speaking to the server."""
    with nginx(upstream[1], tmp_path / "nginx", FRONTS[request.param]) as port:
        yield f"http://127.0.0.1:{port}"


def test_usual_requests(front: str) -> None:
    with requests.Session() as session:
        for index in range(20):
            answer = session.get(f"{front}/environ?n={index}", timeout=10)
            found = answer.json()
            assert found["QUERY_STRING"] == f"n={index}"
        assert found["HTTP_HOST"] == front.removeprefix("http://")
        assert found["HTTP_X_FORWARDED_FOR"] == "127.0.0.1"
        assert found["wsgi.url_scheme"] == "http"
        assert session.post(f"{front}/echo", data=b"form", timeout=10).content == b"form"
        assert session.head(f"{front}/hello", timeout=10).headers["Content-Length"] == "5"
        assert session.get(f"{front}/lazy", timeout=10).text == "lazy"
        assert session.get(f"{front}/status?line=204", timeout=10).status_code == 204
        assert (
            session.get(f"{front}/raise?kind=RuntimeError&token=n", timeout=10).status_code == 500
        )
        assert session.get(f"{front}/hello", timeout=10).text == "hello"


def test_upload(front: str) -> None:
    block = os.urandom(1 << 20)
    hashed = hashlib.sha256()

    def parts() -> Iterator[bytes]:
        for _ in range(UPLOAD_MB):
            hashed.update(block)
            yield block

    headers = {"Content-Length": str(UPLOAD_MB << 20)}
    answer = requests.put(f"{front}/digest", data=Sized(parts()), headers=headers, timeout=60)
    assert answer.json() == {"size": UPLOAD_MB << 20, "sha256": hashed.hexdigest()}


class Sized:
    """An iterator with a length, so that requests sends no chunks."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts

    def __iter__(self) -> Iterator[bytes]:
        return self._parts

    def __len__(self) -> int:
        return UPLOAD_MB << 20


def test_chunked_upload(front: str) -> None:
    """nginx passes chunks on as they are when it does not buffer."""
    data = os.urandom(3_000_000)
    parts = (data[index : index + 99_991] for index in range(0, len(data), 99_991))
    answer = requests.put(f"{front}/digest", data=parts, timeout=30)
    assert answer.json() == {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


class SlowReader(threading.Thread):
    """Reads the download in shares, each when it is told to, into a small receive buffer."""

    def __init__(self, port: int, target: str) -> None:
        super().__init__()
        self._client = Client(("127.0.0.1", port), timeout_s=60)
        self._client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        self._client.send(request(target, headers={"Connection": "close"}))
        self.hashed = hashlib.sha256()
        self.size = 0
        self.error: BaseException | None = None
        self._shares = threading.Semaphore(0)

    def run(self) -> None:
        """Until the server closes."""
        try:
            with self._client as client:
                assert client.head().status == 200
                self.take(client.buffer)
                share = SHARE_MB << 20
                while data := client.sock.recv(1 << 20):
                    self.take(data)
                    if self.size >= share:
                        self._shares.acquire()
                        share += SHARE_MB << 20
        except BaseException as error:
            self.error = error

    def go_on(self, shares: int) -> None:
        """May read so many more shares."""
        self._shares.release(shares)

    def take(self, data: bytes) -> None:
        """Counts in."""
        self.size += len(data)
        self.hashed.update(data)


EXPECTED = hashlib.sha256(BLOCK * 16 * DOWNLOAD_MB).hexdigest()


@pytest.mark.parametrize("name", ["plain", "unbuffered-keep-alive"])
def test_download_by_a_slow_reader(upstream: tuple[Server, str], tmp_path: Path, name: str) -> None:
    """While it goes on, a second client is served by the same worker."""
    with nginx(upstream[1], tmp_path / "nginx", FRONTS[name]) as port:
        reader = SlowReader(port, f"/big?mb={DOWNLOAD_MB}")
        reader.start()
        shares = DOWNLOAD_MB // SHARE_MB
        try:
            for _ in range(shares - 1):
                answer = requests.get(f"http://127.0.0.1:{port}/hello", timeout=60)
                assert answer.text == "hello"
                assert reader.size < DOWNLOAD_MB << 20
                reader.go_on(1)
        finally:
            reader.go_on(shares)
            reader.join()
    assert reader.error is None
    assert (reader.size, reader.hashed.hexdigest()) == (DOWNLOAD_MB << 20, EXPECTED)


def test_file_download(front: str) -> None:
    size = 40_000_000
    url = f"{front}/file?size={size}&length={size}"
    hashed = hashlib.sha256()
    with requests.get(url, stream=True, timeout=30) as answer:
        for data in answer.iter_content(1 << 20):
            hashed.update(data)
    assert hashed.hexdigest() == hashlib.sha256(content(size)).hexdigest()


def test_connections_are_kept(upstream: tuple[Server, str], tmp_path: Path) -> None:
    """nginx comes back on the connection that it has, so the server sees few of them."""
    address = upstream[1]
    if address.startswith("unix:"):
        return  # a unix peer has no port to tell connections apart by
    front = nginx(address, tmp_path / "nginx", Front(keep_alive=True))
    with front as port, requests.Session() as session:
        url = f"http://127.0.0.1:{port}/environ"
        ports = {session.get(url, timeout=10).json()["REMOTE_PORT"] for _ in range(50)}
    assert len(ports) <= 3

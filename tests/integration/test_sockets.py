"""What the server can listen on: TCP, IPv6, unix sockets, several at once, inherited sockets."""

from __future__ import annotations

import json
import socket
import stat
from pathlib import Path

import pytest

from client import Address, fetch
from conftest import StartServer
from harness import free_port


def test_unix_socket(serve: StartServer, tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    server = serve(binds=[f"unix:{path}"])
    assert stat.S_ISSOCK(path.stat().st_mode)
    assert fetch(str(path), "/hello").body == b"hello"
    assert f"Listening at: unix:{path} (" in server.log()
    assert server.stop() == 0
    assert not path.exists()


def test_unix_socket_replaces_a_stale_one(serve: StartServer, tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    serve(binds=[f"unix:{path}"])
    assert fetch(str(path), "/hello").body == b"hello"


def test_unix_socket_spares_a_file(launch: StartServer, tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("data")
    server = launch(binds=[f"unix:{path}"], expects=["exists and is not a socket"])
    assert server.wait() == 1
    assert path.read_text() == "data"


def test_unix_socket_umask(serve: StartServer, tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    serve("probe:app", "--umask", "0o117", binds=[f"unix:{path}"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o660


def test_ipv6(serve: StartServer) -> None:
    port = free_port("::1")
    server = serve(binds=[f"[::1]:{port}"])
    found = json.loads(fetch(("::1", port), "/environ").body)
    assert found["REMOTE_ADDR"] == "::1"
    assert (found["SERVER_NAME"], found["SERVER_PORT"]) == ("::1", str(port))
    assert f"Listening at: http://[::1]:{port} (" in server.log()


def test_several_binds(serve: StartServer, tmp_path: Path) -> None:
    first, second, six = free_port(), free_port(), free_port("::1")
    path = str(tmp_path / "app.sock")
    binds = [f"127.0.0.1:{first}", f"127.0.0.1:{second}", f"[::1]:{six}", f"unix:{path}"]
    server = serve(binds=binds, workers=2)
    addresses: list[Address] = [("127.0.0.1", first), ("127.0.0.1", second), ("::1", six), path]
    for _ in range(5):
        for address in addresses:
            assert fetch(address, "/hello").body == b"hello"
    found = json.loads(fetch(addresses[1], "/environ").body)
    assert found["SERVER_PORT"] == str(second)
    listening = f"http://127.0.0.1:{first},http://127.0.0.1:{second},http://[::1]:{six},unix:{path}"
    assert f"Listening at: {listening} (" in server.log()


@pytest.mark.parametrize("family", ["tcp", "unix"])
def test_inherited_socket(serve: StartServer, tmp_path: Path, family: str) -> None:
    address: Address
    if family == "tcp":
        listener = socket.create_server(("127.0.0.1", 0))
        address = ("127.0.0.1", listener.getsockname()[1])
    else:
        listener = socket.socket(socket.AF_UNIX)
        address = str(tmp_path / "inherited.sock")
        listener.bind(address)
        listener.listen()
    with listener:
        serve(binds=[f"fd://{listener.fileno()}"], pass_fds=[listener.fileno()])
        for _ in range(3):
            assert fetch(address, "/hello").body == b"hello"


def test_port_in_use(launch: StartServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = launch(binds=[f"127.0.0.1:{port}"])
        assert server.wait(20) == 1
    assert f"Connection in use: ('127.0.0.1', {port})" in server.log()


@pytest.mark.parametrize("bind", ["127.0.0.1:notaport", "[::1", "127.0.0.1:99999"])
def test_bad_address(launch: StartServer, bind: str) -> None:
    server = launch(binds=[bind])
    assert server.wait(20) == 1
    assert server.log().strip()

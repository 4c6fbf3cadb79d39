"""-k uvicorn.workers.UvicornWorker: what uvicorn does by default is done by our asgi worker too,
and subclasses, which run uvicorn itself, lose nothing either."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from client import Client, fetch
from conftest import StartServer
from harness import IS_GUNICORN, Server, wait_for
from third_party import path_with, third_party

pytestmark = pytest.mark.skipif(IS_GUNICORN, reason="it is about our own asgi worker")

ALIAS = "uvicorn.workers.UvicornWorker"
ALIASES = [ALIAS, "uvicorn.workers.UvicornH11Worker", "uvicorn_worker.UvicornWorker"]
APPS = ["uvicorn_facts:app", "fastapi_facts:app"]
SUBCLASS = "own_uvicorn.OwnWorker"


def seen(server: Server, *fields: tuple[str, str]) -> Any:
    """By the application, of a request with these fields; a client without a name of its own is
    "peer"."""
    with Client(server.address) as client:
        text = "".join(f"{name}: {value}\r\n" for name, value in fields)
        client.send(f"GET / HTTP/1.1\r\nHost: a\r\n{text}\r\n".encode())
        found = json.loads(client.response().body)
        if found["client"] == list(client.sock.getsockname()):
            found["client"] = "peer"
    return found["client"], found["scheme"]


@pytest.mark.parametrize("name", ALIASES)
@pytest.mark.parametrize("app", APPS)
def test_client_and_scheme_of_a_trusted_proxy(serve: StartServer, name: str, app: str) -> None:
    server = serve(app, "-k", name)
    hop = "X-Forwarded-For"
    assert seen(server) == ("peer", "http")
    assert seen(server, (hop, "198.51.100.7")) == (["198.51.100.7", 0], "http")
    assert seen(server, (hop, "6.6.6.6, 198.51.100.7:80, 127.0.0.1")) == (
        ["198.51.100.7", 80],
        "http",
    )
    proto = ("X-Forwarded-Proto", "https")
    assert seen(server, (hop, "6.6.6.6"), (hop, "[2001:db8::1]:443"), proto) == (
        ["2001:db8::1", 443],
        "https",
    )
    assert seen(server, (hop, "")) == ("peer", "http")


@pytest.mark.parametrize("name", [ALIAS, "uvicorn.workers.UvicornH11Worker"])
def test_whom_to_trust_is_configured(serve: StartServer, name: str) -> None:
    fields = [("X-Forwarded-For", "6.6.6.6, 10.0.0.1"), ("X-Forwarded-Proto", "https")]
    server = serve(APPS[0], "-k", name, "--forwarded-allow-ips", "10.0.0.0/8")
    assert seen(server, *fields) == ("peer", "http")
    server = serve(APPS[0], "-k", name, "--forwarded-allow-ips", "127.0.0.1,10.0.0.0/8")
    assert seen(server, *fields) == (["6.6.6.6", 0], "https")
    server = serve(APPS[0], "-k", name, env={"FORWARDED_ALLOW_IPS": "*"})
    assert seen(server, *fields) == (["6.6.6.6", 0], "https")


def test_the_asgi_worker_believes_nobody(serve: StartServer) -> None:
    server = serve(APPS[0], "-k", "asgi")
    assert seen(server, ("X-Forwarded-For", "198.51.100.7")) == ("peer", "http")


def test_websocket_of_a_trusted_proxy(serve: StartServer) -> None:
    server = serve(APPS[0], "-k", ALIAS)

    async def ask() -> Any:
        import websockets

        fields = {"X-Forwarded-For": "198.51.100.7", "X-Forwarded-Proto": "https"}
        async with websockets.connect(f"ws{server.url[4:]}/", additional_headers=fields) as socket:
            return json.loads(await socket.recv())

    assert asyncio.run(ask()) == {"client": ["198.51.100.7", 0], "scheme": "wss"}


def test_unix_socket(serve: StartServer, tmp_path: Path) -> None:
    """Its peers have no address: only where everybody is trusted, so are they."""
    path = tmp_path / "s.sock"
    for trusted, client in (("127.0.0.1", None), ("*", ["198.51.100.7", 0])):
        options = ["-k", ALIAS, "--forwarded-allow-ips", trusted]
        server = serve(APPS[0], *options, binds=[f"unix:{path}"])
        found = json.loads(fetch(str(path), "/", X_Forwarded_For="198.51.100.7").body)
        assert found["client"] == client
        assert server.stop() == 0


@pytest.mark.parametrize("name", [*ALIASES, SUBCLASS])
@pytest.mark.parametrize("level", ["info", "debug"])
def test_loggers_speak(serve: StartServer, name: str, level: str) -> None:
    env = path_with(third_party()) if name == SUBCLASS else {}
    options = ["--access-logfile", "-", "--log-level", level]
    server = serve(APPS[0], "-k", name, *options, env=env)
    fetch(server.address, "/")
    server.wait_log("uvicorn.error speaks")
    assert ("uvicorn.error whispers" in server.log()) == (level == "debug")
    wait_for(lambda: "uvicorn.access speaks" in server.output(), "the access log")
    if name != SUBCLASS:  # uvicorn's own worker leaves it to the root logger
        assert "uvicorn speaks" in server.log()


def test_a_configuration_of_logging_has_the_last_word(serve: StartServer, tmp_path: Path) -> None:
    (tmp_path / "quiet.py").write_text(
        "import logging\nlogging.getLogger('uvicorn.error').setLevel(logging.ERROR)\n"
        "from uvicorn_facts import app\n"
    )
    path = {"PYTHONPATH": f"{Path(__file__).parent / 'apps'}"}
    server = serve("quiet:app", "-k", ALIAS, cwd=tmp_path, env=path)
    fetch(server.address, "/")
    server.wait_log("uvicorn speaks")
    assert "uvicorn.error speaks" not in server.log()


IN_BULK = "logging.config.dictConfig({'version': 1})"
BY_NAME = "logging.config.dictConfig({'version': 1, 'loggers': {'uvicorn': {'level': 'INFO'}}})"


@pytest.mark.parametrize("compat", ["", "shadow"])
@pytest.mark.parametrize("name", [ALIAS, SUBCLASS])
@pytest.mark.parametrize("how", [IN_BULK, BY_NAME])
def test_what_disables_in_bulk_disables_nothing_of_theirs(
    serve: StartServer, tmp_path: Path, name: str, how: str, compat: str
) -> None:
    (tmp_path / "bulk.py").write_text(
        f"import logging.config\n{how}\nfrom uvicorn_facts import app\n"
    )
    apps = Path(__file__).parent / "apps"
    env = path_with(apps, third_party()) if name == SUBCLASS else path_with(apps)
    env["MONOCEROS_COMPAT"] = compat
    server = serve("bulk:app", "-k", name, "--access-logfile", "-", cwd=tmp_path, env=env)
    fetch(server.address, "/")
    if how == IN_BULK:
        server.wait_log("uvicorn.error speaks")
        wait_for(lambda: "uvicorn.access speaks" in server.output(), "the access log")
        if name == ALIAS:
            server.wait_log("uvicorn speaks")
    assert server.stop() == 0
    assert "Handling signal: term" in server.log(), "our own log goes on"
    if name == ALIAS:
        assert '"GET / HTTP/1.1" 200' in server.output()


def test_subclass_sees_the_client(serve: StartServer) -> None:
    """CONFIG_KWARGS are uvicorn's, and it is uvicorn that runs."""
    server = serve(APPS[0], "-k", SUBCLASS, env=path_with(third_party()))
    answer = fetch(server.address, "/", X_Forwarded_For="198.51.100.7")
    assert json.loads(answer.body)["client"] == ["198.51.100.7", 0]
    assert answer.get("Server") == "uvicorn"


def test_h11_runs_on_asyncio(serve: StartServer) -> None:
    def loop(*options: str) -> str:
        server = serve("asgi_probe:app", "-k", "uvicorn.workers.UvicornH11Worker", *options)
        return fetch(server.address, "/loop").body.decode()

    assert loop().startswith("asyncio")
    assert loop("--asgi-loop", "uvloop").startswith("uvloop")

"""Real ASGI applications of five frameworks, on both loops of the asgi worker."""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from harness import APPS, IS_GUNICORN, Server, wait_for

pytestmark = pytest.mark.skipif(IS_GUNICORN, reason="it is about our own asgi worker")

FRAMEWORKS = ["starlette", "fastapi", "litestar", "quart", "django_asgi"]
UPLOAD = os.urandom(3_000_000)
RECEIPT = {"size": len(UPLOAD), "sha256": hashlib.sha256(UPLOAD).hexdigest()}
DOWNLOAD_MB = 16
DOWNLOAD_SHA256 = hashlib.sha256(bytes(range(256)) * 256 * 16 * DOWNLOAD_MB).hexdigest()


class Site:
    """A framework's application being served by one worker."""

    def __init__(self, name: str, server: Server) -> None:
        self.name = name
        self.server = server
        self.url = server.url


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module", params=FRAMEWORKS)
def site(
    request: pytest.FixtureRequest, loop: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """Each framework in turn. Its lifespan's end is looked at when all is over."""
    module = request.param
    name = module.partition("_")[0]
    directory = tmp_path_factory.mktemp(f"{module}-{loop}")
    env = {"MONO_DJANGO_DIR": str(directory)}
    if name == "django":
        command = [sys.executable, str(APPS / "django_app.py"), "migrate", "--verbosity", "0"]
        subprocess.run(command, env={**os.environ, **env}, check=True, timeout=60)
    options = ["-k", "asgi", "--asgi-loop", loop, "--asgi-disconnect-grace-period", "60"]
    app = f"{module}_app:app"
    with Server(app, *options, directory=directory, env=env) as server:
        server.announce("NotFoundException: 404")  # litestar tells of these too
        yield Site(name, server)
    assert (directory / f"ended-{name}").exists() == (name != "django")
    unexpected = server.log().replace(f"RuntimeError: boom in {name}", "")
    assert "never awaited" not in unexpected and "was destroyed" not in unexpected


def test_get(site: Site) -> None:
    with requests.Session() as session:
        for _ in range(3):
            answer = session.get(f"{site.url}/", timeout=60)
            assert (answer.status_code, answer.text) == (200, f"hello from {site.name}")
            assert answer.headers["Content-Type"].startswith("text/")
        assert session.get(f"{site.url}/missing", timeout=60).status_code == 404


def test_json(site: Site) -> None:
    value: Any = {"list": [1, 2.5, None, "\u20ac"], "deep": {"a": {"b": True}}}
    answer = requests.post(f"{site.url}/json", json=value, timeout=60)
    assert answer.json() == {"got": value}


@pytest.mark.parametrize("coded", [False, True], ids=["length", "chunked"])
def test_upload(site: Site, coded: bool) -> None:
    parts = (UPLOAD[index : index + 70_001] for index in range(0, len(UPLOAD), 70_001))
    data: Any = parts if coded else UPLOAD
    assert requests.put(f"{site.url}/raw", data=data, timeout=60).json() == RECEIPT


def test_stream(site: Site) -> None:
    with requests.get(f"{site.url}/stream", stream=True, timeout=60) as answer:
        assert answer.headers.get("Transfer-Encoding") == "chunked"
        assert list(answer.iter_lines()) == [b"line %d" % index for index in range(50)]


def test_large_download(site: Site) -> None:
    hashed = hashlib.sha256()
    url = f"{site.url}/big?mb={DOWNLOAD_MB}"
    with requests.get(url, stream=True, timeout=60) as answer:
        for data in answer.iter_content(1 << 18):
            hashed.update(data)
    assert hashed.hexdigest() == DOWNLOAD_SHA256


def test_lifespan_state_and_threads(site: Site) -> None:
    assert requests.get(f"{site.url}/state", timeout=60).text == "started"
    assert requests.get(f"{site.url}/thread", timeout=60).text == "from a thread"


def test_background_task(site: Site) -> None:
    if site.name == "django":
        return  # it has none
    assert requests.get(f"{site.url}/background", timeout=60).text == "soon"
    wait_for((site.server.directory / f"background-{site.name}").exists, "the task's note")


def test_departure(site: Site) -> None:
    """Long before the grace period ends, the application asks and is told."""
    if site.name not in ("starlette", "fastapi"):
        return  # the others have no such question
    with requests.get(f"{site.url}/events", stream=True, timeout=60) as answer:
        assert next(answer.iter_lines()) == b"begun"
    wait_for((site.server.directory / f"left-{site.name}").exists, "the stream's note")


def test_exception(site: Site) -> None:
    answer = requests.get(f"{site.url}/boom", timeout=60)
    assert answer.status_code == 500
    assert "boom in" not in answer.text
    site.server.wait_log(f"RuntimeError: boom in {site.name}")
    assert requests.get(f"{site.url}/", timeout=60).status_code == 200


def test_many_at_once(site: Site) -> None:
    def visit(number: int) -> Any:
        return requests.post(f"{site.url}/json", json=number, timeout=60).json()["got"]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(visit, range(40))) == list(range(40))


def test_websocket(site: Site) -> None:
    async def talk() -> list[str]:
        import websockets

        async with websockets.connect(f"ws{site.url[4:]}/ws") as socket:
            got = []
            for text in ("one", "\u20ac" * 1000, "x" * 100_000):
                await socket.send(text)
                got.append(str(await socket.recv()))
            return got

    assert asyncio.run(talk()) == ["echo one", "echo " + "\u20ac" * 1000, "echo " + "x" * 100_000]

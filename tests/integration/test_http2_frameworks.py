"""Flask, Django and FastAPI over HTTP/2 and TLS; the clients are httpx and curl."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from certificates import Pair, self_signed
from curl import curl
from harness import APPS, IS_GUNICORN, Server

pytestmark = pytest.mark.skipif(IS_GUNICORN, reason="about what gunicorn does otherwise")
FRAMEWORKS = {
    "flask-sync": ("flask_app:app",),
    "flask-gthread": ("flask_app:app", "-k", "gthread", "--threads", "4"),
    "django-gevent": ("django_app:app", "-k", "gevent"),
    "fastapi-asgi": ("fastapi_app:app", "-k", "asgi"),
}
UPLOAD = os.urandom(3_000_000)
RECEIPT = {"size": len(UPLOAD), "sha256": hashlib.sha256(UPLOAD).hexdigest()}
DOWNLOAD_MB = 8
BLOCK = bytes(range(256)) * 256
TOGETHER = 40


class Site:
    """A framework's application, served by one worker."""

    def __init__(self, name: str, server: Server, pair: Pair) -> None:
        self.name = name
        self.url = f"https://localhost:{server.port}"
        self.authority = pair.cert

    def client(self) -> httpx.AsyncClient:
        """Speaks HTTP/2 and nothing else."""
        trust = ssl.create_default_context(cafile=str(self.authority))
        return httpx.AsyncClient(
            http1=False, http2=True, verify=trust, base_url=self.url, timeout=30
        )


@pytest.fixture(scope="module", params=FRAMEWORKS)
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp(request.param)
    pair = self_signed(directory)
    name = request.param.partition("-")[0]
    env = {"MONO_DJANGO_DIR": str(directory)}
    if name == "django":
        command = [sys.executable, str(APPS / "django_app.py"), "migrate", "--verbosity", "0"]
        subprocess.run(command, env={**os.environ, **env}, check=True, timeout=60)
    app, *options = FRAMEWORKS[request.param]
    options += [*pair.options(), "--http-protocols", "h2,h1"]
    with Server(app, *options, directory=directory, env=env) as server:
        server.announce(descriptors=8)  # temporary files of uploads, until Python collects them
        yield Site(name, server, pair)


def test_many_requests_at_once(site: Site) -> None:
    """On one connection: every one gets its own answer."""

    async def ask() -> None:
        async with site.client() as client:
            first = await client.get("/")
            assert (first.http_version, first.text) == ("HTTP/2", f"hello from {site.name}")
            bodies = [{"n": number, "text": "x" * 5000} for number in range(TOGETHER)]
            path = "/json"
            answers = await asyncio.gather(*(client.post(path, json=body) for body in bodies))
            assert [answer.json() for answer in answers] == [{"got": body} for body in bodies]

    asyncio.run(ask())


def test_a_stream(site: Site) -> None:
    async def ask() -> None:
        async with site.client() as client, client.stream("GET", "/stream") as answer:
            assert "content-length" not in answer.headers
            assert "transfer-encoding" not in answer.headers
            lines = [line async for line in answer.aiter_lines()]
        assert lines == [f"line {number}" for number in range(50)]

    asyncio.run(ask())


def test_a_download_beside_small_requests(site: Site) -> None:
    """A client that does not read one answer on gets others meanwhile, with one slot too."""

    async def ask() -> None:
        hashed = hashlib.sha256()
        target = f"/big?mb={DOWNLOAD_MB}"
        async with site.client() as client, client.stream("GET", target) as answer:
            pieces = answer.aiter_raw()
            hashed.update(await anext(pieces))
            for _ in range(3):
                assert (await client.get("/")).text == f"hello from {site.name}"
            async for piece in pieces:
                hashed.update(piece)
        assert hashed.digest() == hashlib.sha256(BLOCK * 16 * DOWNLOAD_MB).digest()

    asyncio.run(ask())


@pytest.mark.parametrize("sized", [True, False], ids=["length", "no-length"])
def test_an_upload(site: Site, sized: bool) -> None:
    if site.name == "django" and not sized:
        pytest.skip("Django reads no body without Content-Length")

    async def parts() -> AsyncIterator[bytes]:
        for at in range(0, len(UPLOAD), 99_991):
            yield UPLOAD[at : at + 99_991]

    async def ask() -> None:
        async with site.client() as client:
            answer = await client.put("/raw", content=UPLOAD if sized else parts())
            assert answer.json() == RECEIPT

    asyncio.run(ask())


def test_an_error_is_its_streams_alone(site: Site) -> None:
    async def ask() -> None:
        async with site.client() as client:
            answers = await asyncio.gather(*(client.get(path) for path in ("/boom", "/", "/boom")))
        assert [answer.status_code for answer in answers] == [500, 200, 500]

    asyncio.run(ask())


def test_curl(site: Site, tmp_path: Path) -> None:
    """ALPN, an upload with Expect, and two requests on one connection."""
    body = tmp_path / "body"
    body.write_bytes(UPLOAD)
    options = ("--http2", "--cacert", str(site.authority), "--write-out", "%{http_version}\n")
    put = ("-T", str(body), "-H", "Expect: 100-continue", f"{site.url}/raw")
    said = curl(*options, *put, "--next", *options, f"{site.url}/stream").decode()
    receipt, _, rest = said.partition("}")
    assert json.loads(receipt + "}") == RECEIPT
    lines = rest.split("\n")
    assert [line for line in lines if line and not line.startswith("line")] == ["2", "2"]
    assert rest.count("line ") == 50

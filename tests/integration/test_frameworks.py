"""Real applications of five frameworks, spoken to by requests and by curl."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from harness import APPS, Server

FRAMEWORKS = {
    "flask": "flask_app:app",
    "django": "django_app:app",
    "bottle": "bottle_app:app",
    "falcon": "falcon_app:app",
    "pyramid": "pyramid_app:make_app()",
}
TAKE_CHUNKED = ("flask", "pyramid")  # the others do not read a body without Content-Length
UPLOAD = os.urandom(3_000_000)
UPLOAD_SHA256 = hashlib.sha256(UPLOAD).hexdigest()
DOWNLOAD_MB = 16
DOWNLOAD_SHA256 = hashlib.sha256(bytes(range(256)) * 256 * 16 * DOWNLOAD_MB).hexdigest()


class Site:
    """A framework's application being served by two workers."""

    def __init__(self, name: str, server: Server) -> None:
        self.name = name
        self.server = server
        self.url = server.url


@pytest.fixture(scope="module", params=FRAMEWORKS)
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """Each framework in turn."""
    name = request.param
    directory = tmp_path_factory.mktemp(name)
    env = {"MONO_DJANGO_DIR": str(directory)}
    if name == "django":
        command = [sys.executable, str(APPS / "django_app.py"), "migrate", "--verbosity", "0"]
        subprocess.run(command, env={**os.environ, **env}, check=True, timeout=60)
    arguments = ["--access-logfile", "-"]
    with Server(FRAMEWORKS[name], *arguments, directory=directory, workers=2, env=env) as server:
        server.announce(descriptors=8)  # temporary files of uploads, until Python collects them
        yield Site(name, server)


@pytest.fixture
def session() -> Iterator[requests.Session]:
    """Keeps connections and cookies."""
    with requests.Session() as session:
        yield session


def curl(*arguments: str) -> str:
    """The output of a real curl."""
    command = ["curl", "--silent", "--show-error", "--max-time", "30", *arguments]
    done = subprocess.run(command, capture_output=True, timeout=40, check=False)
    assert done.returncode == 0, (done.returncode, done.stderr)
    return done.stdout.decode()


# requests


def test_get(site: Site, session: requests.Session) -> None:
    for _ in range(3):
        answer = session.get(f"{site.url}/", timeout=10)
        assert (answer.status_code, answer.text) == (200, f"hello from {site.name}")
        assert answer.headers["Content-Type"].startswith("text/")


def test_query(site: Site, session: requests.Session) -> None:
    words = {"name": "J\u00fcrgen & co/ +%"}
    answer = session.get(f"{site.url}/greet", params=words, timeout=10)
    assert answer.content.decode() == f"hello {words['name']}"


def test_head(site: Site, session: requests.Session) -> None:
    answer = session.head(f"{site.url}/", timeout=10)
    if site.name in ("falcon", "pyramid") and answer.status_code in (404, 405):
        assert answer.content == b""  # they route GET only
    else:
        assert (answer.status_code, answer.content) == (200, b"")
    assert session.get(f"{site.url}/", timeout=10).status_code == 200


def test_form(site: Site, session: requests.Session) -> None:
    fields = {"name": "Ada", "colour": "dark blue & green"}
    answer = session.post(f"{site.url}/form", data=fields, timeout=10)
    assert answer.json() == fields


def test_json(site: Site, session: requests.Session) -> None:
    value: Any = {"list": [1, 2.5, None, "\u20ac"], "deep": {"a": {"b": True}}}
    answer = session.post(f"{site.url}/json", json=value, timeout=10)
    assert answer.json() == {"got": value}


def test_upload(site: Site, session: requests.Session) -> None:
    files = {"file": ("data.bin", UPLOAD, "application/octet-stream")}
    data = {"title": "Some bytes"}
    answer = session.post(f"{site.url}/upload", files=files, data=data, timeout=30)
    assert answer.json() == {
        "name": "data.bin",
        "size": len(UPLOAD),
        "sha256": UPLOAD_SHA256,
        "title": "Some bytes",
    }


def test_raw_body(site: Site, session: requests.Session) -> None:
    answer = session.put(f"{site.url}/raw", data=UPLOAD, timeout=30)
    assert answer.json() == {"size": len(UPLOAD), "sha256": UPLOAD_SHA256}


def test_chunked_body(site: Site, session: requests.Session) -> None:
    if site.name not in TAKE_CHUNKED:
        return
    parts = (UPLOAD[index : index + 70_001] for index in range(0, len(UPLOAD), 70_001))
    answer = session.put(f"{site.url}/raw", data=parts, timeout=30)
    assert answer.json() == {"size": len(UPLOAD), "sha256": UPLOAD_SHA256}


def test_session(site: Site, session: requests.Session) -> None:
    assert session.get(f"{site.url}/whoami", timeout=10).text == "nobody"
    assert session.post(f"{site.url}/login", data={"user": "ada"}, timeout=10).text == "welcome"
    for _ in range(6):  # whichever worker answers
        headers = {"Connection": "close"}
        assert session.get(f"{site.url}/whoami", headers=headers, timeout=10).text == "ada"
    assert requests.get(f"{site.url}/whoami", timeout=10).text == "nobody"


def test_stream(site: Site, session: requests.Session) -> None:
    with session.get(f"{site.url}/stream", stream=True, timeout=10) as answer:
        assert answer.headers.get("Transfer-Encoding") == "chunked"
        lines = list(answer.iter_lines())
    assert lines == [b"line %d" % index for index in range(50)]


def test_not_found(site: Site, session: requests.Session) -> None:
    assert session.get(f"{site.url}/missing", timeout=10).status_code == 404
    assert session.get(f"{site.url}/", timeout=10).status_code == 200


def test_redirect(site: Site, session: requests.Session) -> None:
    answer = session.get(f"{site.url}/redirect", timeout=10)
    assert answer.text == "hello there"
    assert [hop.status_code for hop in answer.history] == [302]


def test_large_download(site: Site, session: requests.Session) -> None:
    size, hashed = 0, hashlib.sha256()
    url = f"{site.url}/big?mb={DOWNLOAD_MB}"
    with session.get(url, stream=True, timeout=30) as answer:
        for data in answer.iter_content(1 << 18):
            size += len(data)
            hashed.update(data)
    assert (size, hashed.hexdigest()) == (DOWNLOAD_MB << 20, DOWNLOAD_SHA256)


def test_exception(site: Site, session: requests.Session) -> None:
    answer = session.get(f"{site.url}/boom", timeout=10)
    assert answer.status_code == 500
    assert "boom in" not in answer.text
    log = site.server.wait_log(f"RuntimeError: boom in {site.name}")
    assert "Traceback (most recent call last)" in log
    if site.name == "pyramid":
        assert "Error handling request GET /boom" in log
    assert session.get(f"{site.url}/", timeout=10).status_code == 200


def test_many_at_once(site: Site) -> None:
    def visit(number: int) -> str:
        url = f"{site.url}/greet?name=visitor{number}"
        return requests.get(url, timeout=20).text

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(visit, range(80)))
    assert answers == [f"hello visitor{number}" for number in range(80)]


# curl


def test_curl_get(site: Site) -> None:
    assert curl(f"{site.url}/") == f"hello from {site.name}"
    assert curl("--http1.0", f"{site.url}/") == f"hello from {site.name}"


def test_curl_include(site: Site) -> None:
    text = curl("--include", f"{site.url}/")
    assert text.startswith("HTTP/1.1 200 OK\r\n")
    assert "\r\nDate: " in text and "\r\nServer: " in text


def test_curl_form(site: Site) -> None:
    text = curl("--data", "name=Ada", "--data-urlencode", "colour=a b", f"{site.url}/form")
    assert json.loads(text) == {"name": "Ada", "colour": "a b"}


def test_curl_upload(site: Site, tmp_path: Path) -> None:
    """curl asks with Expect: 100-continue before so large a body."""
    path = tmp_path / "up.bin"
    path.write_bytes(UPLOAD)
    form = ["--form", "title=By curl", "--form", f"file=@{path}"]
    text = curl("--header", "Expect: 100-continue", *form, f"{site.url}/upload")
    found = json.loads(text)
    assert (found["name"], found["sha256"]) == ("up.bin", UPLOAD_SHA256)
    assert found["title"] == "By curl"


def test_curl_chunked(site: Site, tmp_path: Path) -> None:
    if site.name not in TAKE_CHUNKED:
        return
    path = tmp_path / "up.bin"
    path.write_bytes(UPLOAD)
    coded = ["--header", "Transfer-Encoding: chunked"]
    text = curl(*coded, "--upload-file", str(path), f"{site.url}/raw")
    assert json.loads(text)["sha256"] == UPLOAD_SHA256


def test_curl_cookies(site: Site, tmp_path: Path) -> None:
    jar = ["--cookie-jar", str(tmp_path / "jar"), "--cookie", str(tmp_path / "jar")]
    assert curl(*jar, "--data", "user=grace", f"{site.url}/login") == "welcome"
    assert curl(*jar, f"{site.url}/whoami") == "grace"


def test_curl_follows(site: Site) -> None:
    assert curl("--location", f"{site.url}/redirect") == "hello there"


def test_curl_statuses_on_one_connection(site: Site) -> None:
    """Several answers over a connection that curl keeps."""
    urls = [f"{site.url}/{path}" for path in ("missing", "", "boom", "stream", "greet?name=x")]
    text = curl("--write-out", "||%{http_code}||", *urls)
    assert text.split("||")[1::2] == ["404", "200", "500", "200", "200"]


def test_django_sessions_are_in_the_database(site: Site, session: requests.Session) -> None:
    if site.name != "django":
        return
    before = int(session.get(f"{site.url}/sessions", timeout=10).text)
    requests.post(f"{site.url}/login", data={"user": "new"}, timeout=10)
    assert int(session.get(f"{site.url}/sessions", timeout=10).text) == before + 1

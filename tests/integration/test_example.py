"""The example site, as a visitor uses it."""

from __future__ import annotations

import hashlib
import itertools
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from harness import HERE, Server

EXAMPLES = HERE.parent.parent / "examples"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its URL."""
    directory = tmp_path_factory.mktemp("example")
    with Server("demo:application", directory=directory, workers=2, cwd=EXAMPLES) as server:
        yield server.url


def test_front_page(site: str) -> None:
    answer = requests.get(f"{site}/", timeout=10)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    for part in ('action="/greet"', 'type="file"', 'href="/download"', 'href="/stream"'):
        assert part in answer.text
    assert "{" in requests.get(f"{site}/style.css", timeout=10).text


def test_form(site: str) -> None:
    form = {"name": "<Ada>", "message": "caf\u00e9"}
    answer = requests.post(f"{site}/greet", data=form, timeout=10)
    assert "Hello, &lt;Ada&gt;!" in answer.text and "caf\u00e9" in answer.text


def test_form_too_long(site: str) -> None:
    answer = requests.post(f"{site}/greet", data={"message": "x" * 70_000}, timeout=10)
    assert answer.status_code == 413


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 1_000_000])
@pytest.mark.parametrize("filler", ["random", "newlines"])
def test_upload(site: str, size: int, filler: str) -> None:
    data = os.urandom(size) if filler == "random" else (b"\r\n-" * size)[:size]
    answer = requests.post(f"{site}/upload", files={"file": ("my file.bin", data)}, timeout=30)
    assert hashlib.sha256(data).hexdigest() in answer.text
    assert f"{size} bytes" in answer.text and "my file.bin" in answer.text


def test_upload_by_curl(site: str, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("some text\r\n")
    command = ["curl", "-s", "-F", f"file=@{path}", f"{site}/upload"]
    text = subprocess.run(command, capture_output=True, check=True, timeout=20).stdout.decode()
    assert hashlib.sha256(b"some text\r\n").hexdigest() in text


@pytest.mark.parametrize("body", [b"", b"nonsense", b"--x\r\n\r\nabc", b"--x\r\nA: b\r\n\r\nabc"])
def test_upload_of_nonsense(site: str, body: bytes) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = requests.post(f"{site}/upload", data=body, headers=headers, timeout=10)
    assert answer.status_code == 400
    assert requests.post(f"{site}/upload", data=body, timeout=10).status_code == 400


def test_download(site: str) -> None:
    answer = requests.get(f"{site}/download", timeout=10)
    assert answer.content == (EXAMPLES / "demo.py").read_bytes()
    assert answer.headers["Content-Disposition"] == 'attachment; filename="demo.py"'


def test_stream_comes_in_pieces(site: str) -> None:
    seen: list[float] = []
    started = time.monotonic()
    with requests.get(f"{site}/stream?lines=4&delay=0.3", stream=True, timeout=10) as answer:
        for line in answer.iter_lines(chunk_size=1):
            if b"<li>" in line:
                seen.append(time.monotonic() - started)
    assert len(seen) == 4
    assert all(late - early > 0.15 for early, late in itertools.pairwise(seen)), seen


def test_not_found_and_not_allowed(site: str) -> None:
    assert requests.get(f"{site}/nowhere", timeout=10).status_code == 404
    answer = requests.get(f"{site}/greet", timeout=10)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert requests.head(f"{site}/", timeout=10).status_code == 200
    assert requests.get(f"{site}/stream?lines=x", timeout=10).status_code == 400

"""wsgi.file_wrapper: what arrives, from where on, how much, and that the file gets closed."""

from __future__ import annotations

import hashlib
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from client import Client, fetch, request
from harness import APPS, Server, wait_for

sys.path.append(str(APPS))

from probe_files import FILE_BYTES, content

CONTENT = content()


@pytest.fixture(scope="module", params=["sendfile", "no-sendfile"])
def files(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """One worker, with and without the kernel's help."""
    more = ["--no-sendfile"] if request.param == "no-sendfile" else []
    directory = tmp_path_factory.mktemp("files")
    arguments = ["--access-logfile", "-", *more]
    with Server("probe:app", *arguments, directory=directory) as server:
        yield server


def body_of(server: Server, query: str) -> bytes:
    """The answer's body; the connection must be in step after it."""
    with Client(server.address) as client:
        response = client.ask(f"/file?{query}")
        assert client.ask("/hello").body == b"hello"
    assert response.status == 200
    return response.body


@pytest.mark.parametrize("kind", ["raw", "memory"])
@pytest.mark.parametrize("length", ["", f"&length={FILE_BYTES}"])
def test_whole(files: Server, kind: str, length: str) -> None:
    assert body_of(files, f"kind={kind}{length}") == CONTENT


@pytest.mark.parametrize("kind", ["raw", "memory"])
def test_from_an_offset(files: Server, kind: str) -> None:
    assert body_of(files, f"kind={kind}&seek=777") == CONTENT[777:]
    left = FILE_BYTES - 777
    assert body_of(files, f"kind={kind}&seek=777&length={left}") == CONTENT[777:]


@pytest.mark.parametrize("kind", ["raw", "memory"])
def test_length_shorter_than_the_file(files: Server, kind: str) -> None:
    assert body_of(files, f"kind={kind}&length=1234") == CONTENT[:1234]
    assert body_of(files, f"kind={kind}&length=5&seek=9") == CONTENT[9:14]
    assert body_of(files, f"kind={kind}&length=0") == b""


@pytest.mark.parametrize("kind", ["raw", "memory"])
@pytest.mark.beyond("keeps a connection whose response was too short", strict=False)
def test_length_longer_than_the_file_closes(files: Server, kind: str) -> None:
    with Client(files.address, timeout_s=1.2) as client:
        client.send(request(f"/file?kind={kind}&length={FILE_BYTES + 10}"))
        client.head()
        assert client.rest() == CONTENT


@pytest.mark.parametrize("block", ["1", "100", "1000000"])
def test_block_size(files: Server, block: str) -> None:
    assert body_of(files, f"kind=memory&seek=99000&block={block}") == CONTENT[99000:]


@pytest.mark.parametrize("length", ["", f"&length={FILE_BYTES}"])
@pytest.mark.parametrize("file", ["gzip", "bz2", "lzma", "zip", "liar", "spooled", "rolled"])
@pytest.mark.beyond("sends whatever fileno() names", strict=False)
def test_what_is_read_is_sent(files: Server, file: str, length: str) -> None:
    assert body_of(files, f"kind={file}{length}") == CONTENT


@pytest.mark.parametrize("kind", ["backwards", "buffered-backwards", "patched"])
@pytest.mark.beyond("sends whatever fileno() names", strict=False)
def test_a_read_of_ones_own_counts(files: Server, kind: str) -> None:
    assert body_of(files, f"kind={kind}&block={FILE_BYTES}&length={FILE_BYTES}") == CONTENT[::-1]


@pytest.mark.beyond("goes by the OS offset, past what Python has buffered", strict=False)
def test_temporary_files(files: Server) -> None:
    assert body_of(files, "kind=temporary") == CONTENT
    assert body_of(files, "kind=named-temporary") == CONTENT
    assert body_of(files, "kind=temporary-from-77") == CONTENT[77:]


@pytest.mark.beyond("takes it for empty", strict=False)
def test_file_that_has_no_size(files: Server) -> None:
    assert b" /proc " in body_of(files, "kind=proc")


def test_pipe(files: Server) -> None:
    assert body_of(files, "kind=pipe") == b"through a pipe"


def test_empty_file_with_length(files: Server) -> None:
    assert body_of(files, "kind=empty&length=0") == b""


@pytest.mark.beyond("ends an empty file twice", strict=False)
def test_empty_file_chunked(files: Server) -> None:
    assert body_of(files, "kind=empty") == b""


@pytest.mark.beyond("goes by the OS offset, past what Python has buffered", strict=False)
def test_half_read_file_goes_on_where_python_is(files: Server) -> None:
    assert body_of(files, "kind=half-read") == CONTENT[10:]


def test_iterated_by_a_middleware(files: Server) -> None:
    assert body_of(files, "iterate=1") == b"<" + CONTENT + b">"


def test_head_request(files: Server) -> None:
    with Client(files.address) as client:
        response = client.ask(f"/file?length={FILE_BYTES}", "HEAD")
        assert response.get("Content-Length") == str(FILE_BYTES)
        assert client.ask("/hello").body == b"hello"


def test_not_modified(files: Server) -> None:
    with Client(files.address) as client:
        assert client.ask("/file?status=304%20Not%20Modified").status == 304
        assert client.ask("/hello").body == b"hello"


def test_http_1_0(files: Server) -> None:
    with Client(files.address) as client:
        client.send(request("/file", version="1.0"))
        head = client.head()
        assert head.get("Transfer-Encoding") is None
        assert client.rest() == CONTENT


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_closed_once(files: Server, method: str) -> None:
    token = uuid.uuid4().hex
    fetch(files.address, f"/file?kind=noted&token={token}&length={FILE_BYTES}", method)
    notes = Path(files.directory) / "closed"
    wait_for(lambda: notes.exists() and token in notes.read_text(), "the file's closing")
    fetch(files.address, "/hello")
    assert notes.read_text().count(token) == 1


def test_large_file(files: Server) -> None:
    size = 30_000_000
    with Client(files.address, 60.0) as client:
        body = client.ask(f"/file?size={size}&length={size}").body
    assert len(body) == size
    assert hashlib.sha256(body).digest() == hashlib.sha256(content(size)).digest()


@pytest.mark.beyond("logs 0 bytes after sendfile", strict=False)
def test_access_log_counts_bytes(files: Server) -> None:
    mark = uuid.uuid4().hex
    fetch(files.address, f"/file?length={FILE_BYTES}&{mark}")
    wait_for(lambda: any(mark in line for line in files.access_lines()), "the access-log line")
    (line,) = [line for line in files.access_lines() if mark in line]
    assert f" 200 {FILE_BYTES} " in line

"""bench/http_load.cpp, the benchmark's client: it counts right answers, and a wrong one ends it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "bench" / "http_load.cpp"
REQUEST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nwords"
BODY = b"Hello, world!" * 10_000  # more than the client's buffer holds
SIZED = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
CHUNKED = (
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    + b"".join(b"%x;note=1\r\n%s\r\n" % (len(part), part) for part in (BODY[:1], BODY[1:]))
    + b"0\r\nTrailer: 1\r\n\r\n"
)
CLOSING = SIZED.replace(b"OK\r\n", b"OK\r\nConnection: Close\r\n")
UNTIL_END = b"HTTP/1.1 200 OK\r\n\r\n" + BODY


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client, compiled as bench/setup_env.py does."""
    target = tmp_path_factory.mktemp("bench") / "http_load"
    compiler = os.environ.get("CXX", "g++")
    subprocess.run([compiler, "-std=c++20", "-O1", SOURCE, "-o", target], check=True)
    return target


def _serve(client: socket.socket, answer: bytes, ends: bool) -> None:
    """Answer each whole request; a connection that `ends` does so after its first answer."""
    with client:
        received = b""
        with suppress(OSError):  # a client that has seen enough leaves
            while piece := client.recv(65536):
                received += piece
                while received.startswith(REQUEST):
                    received = received.removeprefix(REQUEST)
                    client.sendall(answer)
                    if ends:
                        client.shutdown(socket.SHUT_WR)


@contextmanager
def server(answer: bytes, ends: bool = False) -> Iterator[int]:
    """A port where every request gets `answer`, bytes as they are."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=_serve, args=(client, answer, ends), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def load(
    program: Path, port: int, folder: Path, runs: str, *options: str
) -> subprocess.CompletedProcess[str]:
    (folder / "request").write_bytes(REQUEST)
    (folder / "body").write_bytes(BODY)
    command = [str(program), str(port), str(folder / "request"), str(folder / "body"), *options]
    return subprocess.run(
        command, input=runs, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    ("answer", "ends"),
    [(SIZED, False), (CHUNKED, False), (CLOSING, True), (UNTIL_END, True)],
    ids=["sized", "chunked", "closing", "until the end"],
)
def test_right_answers_are_counted(
    program: Path, tmp_path: Path, answer: bytes, ends: bool
) -> None:
    with server(answer, ends) as port:
        done = load(program, port, tmp_path, "requests 40\nrequests 9\n", "--connections", "4")
    assert done.returncode == 0, done.stderr
    first, second = [json.loads(line) for line in done.stdout.splitlines()]
    assert (first["requests"], second["requests"]) == (40, 9)
    assert 0 < first["p50_us"] <= first["p99_us"] <= first["max_us"] <= first["duration_us"]
    # Connections are kept over both runs, where the server lets them.
    assert (second["connects"] == 0) == (not ends)


def test_a_run_may_have_an_end_in_time(program: Path, tmp_path: Path) -> None:
    with server(SIZED) as port:
        done = load(program, port, tmp_path, "seconds 0.2\n")
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert outcome["requests"] > 0
    assert outcome["duration_us"] >= 200_000


def test_pipelined_requests_are_counted_singly(program: Path, tmp_path: Path) -> None:
    with server(SIZED) as port:
        done = load(
            program, port, tmp_path, "requests 30\n", "--pipeline", "5", "--connections", "2"
        )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["requests"] == 30


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (SIZED.replace(b"200", b"500", 1), "status 500"),
        (SIZED.replace(b"Length: 1", b"Length: 2", 1), "another length"),
        (SIZED[:-1] + b"?", "another body"),
        (CHUNKED.replace(b"world", b"World", 1), "another body"),
        (CHUNKED.replace(b"Hello, world!\r\n0\r\n", b"\r\n0\r\n"), "another body"),
        (CHUNKED.replace(b"1;note", b"z;note", 1), "a chunk without a size"),
        (SIZED + b"HTTP", "bytes after an answer"),
        (b"Hello, world!\r\n\r\n", "not an answer"),
        (SIZED.replace(b"Length: ", b"Length: -", 1), "no number"),
    ],
)
def test_a_wrong_answer_ends_it(program: Path, tmp_path: Path, answer: bytes, words: str) -> None:
    with server(answer) as port:
        done = load(program, port, tmp_path, "requests 5\n", "--connections", "2")
    assert (done.returncode, done.stdout) == (1, "")
    assert words in done.stderr


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (SIZED[:-1], "closed inside an answer"),
        (CHUNKED[:-2], "closed inside an answer"),
        (UNTIL_END[:-1], "too short a body"),
        (CLOSING + b"more", "bytes after the last answer"),
        (b"", "closed inside an answer"),
    ],
)
def test_a_cut_answer_ends_it(program: Path, tmp_path: Path, answer: bytes, words: str) -> None:
    with server(answer, ends=True) as port:
        done = load(program, port, tmp_path, "requests 5\n", "--connections", "2")
    assert (done.returncode, done.stdout) == (1, "")
    assert words in done.stderr

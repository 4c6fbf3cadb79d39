"""Asks a server: once to check its answer, and with wrk, ws_load or http_load to load it."""

import http.client
import json
import re
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from cases import CONNECTIONS, Case
from servers import HTTP_LOAD, LOAD_CORE, SCRATCH, WS_LOAD, Launch, Running

_LUA = Path(__file__).resolve().parent / "wrk.lua"
_ERRORS = ("connect", "read", "write", "status", "timeout")
START_SECONDS_MAX = 15.0
WARM_REQUESTS = 100
WARM_SECONDS_MAX = 10.0
ECHO_CHECKS = 4


class WrongAnswer(Exception):
    """The server does not answer the case rightly; the text says how."""


@dataclass(frozen=True)
class Loaded:
    """What a load counted in one round; a message is a request here."""

    requests: int
    duration_us: int
    p50_us: int
    p99_us: int
    errors: int


def launch(case: Case, port: int) -> Launch:
    """How a server is started for the case, with one worker."""
    return Launch(case.app, port, 1, case.closes, case.bare or (), case.expected)


def _ask(connection: http.client.HTTPConnection, case: Case) -> http.client.HTTPResponse:
    method = "POST" if case.post else "GET"
    connection.request(method, "/", body=case.post or None, headers=case.headers)
    return connection.getresponse()


def check(port: int, case: Case) -> None:
    """Fetch once; WrongAnswer unless status, body and closing are as the case says."""
    if case.echo_bytes:
        _check_echo(port, case)
        return
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        response = _ask(connection, case)
        body = response.read()
        if response.status != 200:
            raise WrongAnswer(f"status {response.status}")
        if body != case.expected:
            raise WrongAnswer(f"{len(body)} bytes of another body than the case expects")
        if case.closes and (response.headers.get("Connection") or "").lower() != "close":
            raise WrongAnswer('no "Connection: close" in the answer')
    except (OSError, http.client.HTTPException) as error:
        raise WrongAnswer(f"{type(error).__name__}: {error}") from error
    finally:
        connection.close()


def wait_until_right(
    running: Running, port: int, case: Case, seconds_max: float = START_SECONDS_MAX
) -> None:
    """Check until the answer is right; WrongAnswer with the reason after 15 s or a death.

    More seconds are for a server that is slowed down: then no answer yet is none, too.
    """
    deadline = time.monotonic() + seconds_max
    patience: tuple[type[OSError], ...] = (ConnectionRefusedError, ConnectionResetError)
    if seconds_max > START_SECONDS_MAX:
        patience += (TimeoutError,)
    while True:
        try:
            check(port, case)
            return
        except WrongAnswer as error:
            if running.ended():
                raise WrongAnswer(f"ended: {running.last_words()}") from error
            # uWSGI listens before it has loaded the application: a reset is no answer yet
            not_yet = isinstance(error.__cause__, patience)
            if not not_yet or time.monotonic() > deadline:
                raise
        time.sleep(0.01)


def warm(port: int, case: Case) -> None:
    """A hundred requests in sequence; http.client reconnects where the server closes.

    WrongAnswer when one fails or all take too long (an answer whose end does not show).
    """
    if case.echo_bytes:
        _echo(port, case, 1, WARM_REQUESTS, WARM_SECONDS_MAX)
        return
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    deadline = time.monotonic() + WARM_SECONDS_MAX
    try:
        for _ in range(WARM_REQUESTS):
            _ask(connection, case).read()
            if time.monotonic() > deadline:
                raise WrongAnswer(f"{WARM_REQUESTS} requests took over {WARM_SECONDS_MAX:.0f} s")
    except (OSError, http.client.HTTPException) as error:
        raise WrongAnswer(f"{type(error).__name__}: {error}") from error
    finally:
        connection.close()


def run(port: int, case: Case, seconds: int) -> Loaded:
    """Load the server from the load's core: wrk for `seconds`, or a fixed number of messages.

    WrongAnswer if the load itself fails, which for ws_load includes any wrong answer.
    """
    if case.echo_bytes:
        messages = case.echo_per_second * seconds
        return _echo(port, case, case.connections, messages, seconds * 30.0 + 10)
    command = ["wrk", "-t", "1", "-c", str(case.connections)]
    command += ["-d", f"{seconds}s", "--timeout", "5s", "-s", str(_LUA)]
    for name, value in case.headers.items():
        command += ["-H", f"{name}: {value}"]
    command.append(f"http://127.0.0.1:{port}/")
    if case.post:
        command += ["--", str(len(case.post))]
    return _counted(command, seconds + 30)


class Client:
    """http_load beside one server: any number of runs over the same kept connections.

    It checks every answer whole. A context manager, which ends the program.
    """

    def __init__(self, port: int, case: Case, connections: int = CONNECTIONS) -> None:
        SCRATCH.mkdir(parents=True, exist_ok=True)
        request, body = (SCRATCH / f"{name}-{case.name}" for name in ("request", "answer"))
        request.write_bytes(_request_bytes(case))
        body.write_bytes(case.expected)
        command = ["taskset", "-c", str(LOAD_CORE), str(HTTP_LOAD), str(port)]
        command += [str(request), str(body), "--connections", str(connections)]
        self.process = subprocess.Popen(
            command,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def run(self, *, seconds: float | None = None, requests: int = 0) -> Loaded:
        """Load until the time is over or the requests are answered; WrongAnswer says why not."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        goal = f"requests {requests}" if seconds is None else f"seconds {seconds}"
        try:
            self.process.stdin.write(f"{goal}\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended: the next line says why
        line = self.process.stdout.readline()
        if not line:
            raise WrongAnswer(f"failed ({self.process.communicate()[1].strip()[-200:]})")
        counted: dict[str, int] = json.loads(line)
        return _loaded(counted)


def _loaded(counted: dict[str, int], errors: int = 0) -> Loaded:
    fields = ("requests", "duration_us", "p50_us", "p99_us")
    return Loaded(**{name: counted[name] for name in fields}, errors=errors)


def _request_bytes(case: Case) -> bytes:
    head = [f"{'POST' if case.post else 'GET'} / HTTP/1.1", "Host: 127.0.0.1"]
    head += [f"{name}: {value}" for name, value in case.headers.items()]
    if case.post:
        head.append(f"Content-Length: {len(case.post)}")
    return "\r\n".join([*head, "", ""]).encode() + case.post


def _check_echo(port: int, case: Case) -> None:
    """A few messages back and forth; the connection before them tells "not up yet" apart."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError as error:
        raise WrongAnswer(f"{type(error).__name__}: {error}") from error
    _echo(port, case, 1, ECHO_CHECKS, 5)


def _echo(port: int, case: Case, connections: int, messages: int, seconds_max: float) -> Loaded:
    """So many messages over so many connections, every answer compared; WrongAnswer says why."""
    sizes = (port, case.echo_bytes, connections, messages, int(seconds_max))
    return _counted([str(WS_LOAD), *map(str, sizes)], seconds_max + 30)


def _counted(command: list[str], seconds_max: float) -> Loaded:
    """Run a load on its core and read the line that it ends with."""
    name = Path(command[0]).name
    command = ["taskset", "-c", str(LOAD_CORE), *command]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds_max, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise WrongAnswer(f"{name} did not end") from error
    match = re.search(r"^@result (.*)$", done.stdout, re.MULTILINE)
    if match is None:
        raise WrongAnswer(f"{name}: {(done.stderr or done.stdout).strip()[-200:]}")
    counted: dict[str, int] = json.loads(match.group(1))
    errors = sum(counted[kind] for kind in _ERRORS)
    return _loaded(counted, errors)

"""Each program: installed, started as its users do, asked, reloaded and stopped under load. No
request fails, the exit code is 0, and neither log nor clients see a traceback."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

import services
from environment import environ_of, environment
from harness import children_of, free_port, is_running, wait_for
from load import Load
from programs import APPS, PROGRAMS, Program

STOP_S_MAX = 30.0
PAUSE_S = 0.005  # between two requests of a client
BAD = (
    "Traceback (most recent call last)",
    "CRITICAL",
    "WORKER TIMEOUT",
    "never retrieved",
    "[ERROR]",
)


class Running:
    """A started program, in a session of its own."""

    def __init__(self, program: Program, directory: Path, env: dict[str, str]) -> None:
        self.program = program
        self.port = free_port()
        self.bin = environment(program.environment)
        self.words = {"port": self.port, "bin": self.bin, "apps": APPS, "dir": directory}
        own = {name: self._fill(value) for name, value in program.env.items()}
        self.env = {**environ_of(self.bin), **own, **env}
        self.log = directory / "log"
        self.directory = directory

    def _fill(self, text: str) -> str:
        return text.format(**self.words)

    def filled(self, command: list[str]) -> list[str]:
        return [self._fill(word) for word in command]

    def start(self) -> None:
        for command in self.program.setup:
            subprocess.run(
                self.filled(command), check=True, env=self.env, cwd=self.directory, timeout=300
            )
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                self.filled(self.program.command), env=self.env, cwd=self.directory,
                stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        first = next(iter(self.program.probes))
        wait_for(lambda: self._is_up(first), f"an answer: {self.text()}", self.program.boot_s_max)

    def _is_up(self, path: str) -> bool:
        assert self.process.poll() is None, self.text()
        with contextlib.suppress(OSError):
            return bool(self.get(path))
        return False

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
            return str(answer.read().decode())

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def master(self) -> int:
        """As the log has it: some programs start the server as a child. Else what was started."""
        listening = re.findall(r"Listening at: .* \((\d+)\)$", self.text(), re.MULTILINE)
        return int(listening[-1]) if listening else self.process.pid

    def check(self) -> None:
        for path, text in self.program.probes.items():
            assert text in self.get(path), path
        if self.program.client:
            done = subprocess.run(
                self.filled(self.program.client), env=self.env, cwd=self.directory, timeout=90,
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stdout + done.stderr + self.text()

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextlib.contextmanager
def running(program: Program, directory: Path) -> Iterator[Running]:
    with contextlib.ExitStack() as stack:
        env: dict[str, str] = {}
        bin_directory = environment(program.environment)
        if "postgres" in program.needs:
            env.update(stack.enter_context(services.postgres(directory, bin_directory)))
        if "redis" in program.needs:
            env.update(stack.enter_context(services.redis(directory, bin_directory)))
        if "celery" in program.needs:
            stack.enter_context(services.celery(directory, bin_directory, env))
        program_running = Running(program, directory, env)
        program_running.start()
        stack.callback(program_running.kill)
        yield program_running


@pytest.mark.timeout(900)
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_program(program: Program, tmp_path: Path) -> None:
    with running(program, tmp_path) as server:
        server.check()
        paths = program.loaded or [path for path in program.probes if "socket.io" not in path]
        address = ("127.0.0.1", server.port)
        with Load(address, *paths, keep=True, pause_s=PAUSE_S, status_max=399) as traffic:
            traffic.more(50)
            reload(server)
            traffic.more(50)
            traffic.stopping = True
            os.kill(server.master(), signal.SIGTERM)
            wait_for(lambda: server.process.poll() is not None, server.text(), STOP_S_MAX)
        assert traffic.failures() == [], server.text()
        assert server.process.returncode == 0, server.text()
        assert [bad for bad in BAD if bad in server.text()] == [], server.text()


def reload(server: Running) -> None:
    """HUP; returns when none of the old workers is left, and all is as before. The new ones boot in
    two stages: one has to serve before the others begin."""
    master = server.master()
    old = children_of(master)
    assert old, server.text()
    os.kill(master, signal.SIGHUP)
    patience = 30 + 2 * server.program.boot_s_max
    wait_for(lambda: not any(map(is_running, old)), "the old workers' end", patience)
    server.check()

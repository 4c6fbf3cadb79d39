"""Classes that users bring: workers, loggers and applications, for whichever server runs."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

SERVER = "monoceros" if "monoceros" in sys.modules else "gunicorn"


def part(name: str) -> Any:
    return importlib.import_module(f"{SERVER}.{name}")


Base: Any = part("workers.base").Worker
Sync: Any = part("workers.sync").SyncWorker
Logger: Any = part("glogging").Logger


class Plain(Base):  # type: ignore[misc]
    """A worker from the ground up: one blocking accept at a time, no HTTP library."""

    def run(self) -> None:
        listener = self.sockets[0]
        listener.setblocking(False)
        while self.alive:
            self.notify()
            if self.ppid != os.getppid():
                return
            try:
                client, _ = listener.accept()
            except BlockingIOError:
                import select

                select.select([*self.sockets, self.PIPE[0]], [], [], 0.1)
                continue
            client.settimeout(2)
            client.recv(65536)
            self.nr += 1
            facts = f"{self.age} {self.timeout} {self.cfg.workers} {len(self.sockets)} {self.nr}"
            client.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + facts.encode())
            client.close()


class Refusing(Base):  # type: ignore[misc]
    """A worker that knows that it can never work."""

    def run(self) -> None:
        sys.exit(part("arbiter").Arbiter.WORKER_BOOT_ERROR)


class Failing(Base):  # type: ignore[misc]
    """A worker whose init_process fails."""

    def init_process(self) -> None:
        raise RuntimeError("on purpose")


class Counting(Sync):  # type: ignore[misc]
    """The usual worker, with what subclasses override."""

    def init_process(self) -> None:
        from scene import note

        note(f"init_process age={self.age} pid={self.pid == os.getpid()}")
        super().init_process()

    def init_signals(self) -> None:
        from scene import note

        note("init_signals")
        super().init_signals()

    def load_wsgi(self) -> None:
        super().load_wsgi()
        inner = self.wsgi

        def wrapped(environ: Any, start_response: Any) -> Any:
            environ["custom.worker"] = "wrapped"
            return inner(environ, start_response)

        self.wsgi = wrapped

    def handle_exit(self, sig: int, frame: Any) -> None:
        from scene import note

        note("handle_exit")
        super().handle_exit(sig, frame)

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        log.info("check_config of %s", cls.__name__)


class Shouting(Logger):  # type: ignore[misc]
    """A logger with its own access lines and atoms."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        self.error_fmt = "unused"

    def info(self, msg: str, *args: Any, **kwargs: Any) -> None:
        super().info(msg.upper() if msg.startswith("Listening") else msg, *args, **kwargs)

    def atoms(self, resp: Any, req: Any, environ: Any, request_time: Any) -> Any:
        found = super().atoms(resp, req, environ, request_time)
        found["custom"] = f"{req.method} {req.path} {resp.status}"
        return found


class Silent(Logger):  # type: ignore[misc]
    """A logger that notes requests itself."""

    def access(self, resp: Any, req: Any, environ: Any, request_time: Any) -> None:
        from scene import note

        note(
            f"access {resp.status} {resp.sent} {req.method} {environ['PATH_INFO']}"
            f" {dict(resp.headers)} {request_time.total_seconds() < 5}"
        )

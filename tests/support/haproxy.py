"""Runs the real haproxy (Debian's package) in front of a server under test."""

from __future__ import annotations

import contextlib
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

from harness import free_port, running
from nginx import accepts

# Failures must show: no request is tried again, at the same server or at another one.
CONFIG = """
global
    maxconn 512
    nbthread 1
    stats socket {prefix}/admin mode 600 level admin
    log stdout format raw local0
defaults
    mode http
    log global
    option httplog
    retries 0
    no option redispatch
    http-reuse always
    timeout connect 30s
    timeout client 60s
    timeout server 60s
    timeout http-keep-alive 60s
    timeout tunnel 60s
frontend front
    bind 127.0.0.1:{port} {bind}
    unique-id-format haproxy-%pid-%rt
    default_backend app
backend app
{servers}
"""


class Haproxy:
    """A running haproxy."""

    def __init__(self, port: int, prefix: Path) -> None:
        self.port = port
        self._admin = str(prefix / "admin")

    def command(self, text: str) -> str:
        """Says something to its runtime API, as an operator does; returns the answer."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(10)
            sock.connect(self._admin)
            sock.sendall(text.encode() + b"\n")
            parts = []
            while data := sock.recv(65536):
                parts.append(data)
        return b"".join(parts).decode()

    def use_only(self, name: str, others: list[str]) -> None:
        """New requests go to one server; the others finish what they have."""
        self.command(f"set server app/{name} state ready")
        for other in others:
            self.command(f"set server app/{other} state maint")


@contextlib.contextmanager
def haproxy(
    upstreams: dict[str, int], prefix: Path, server_options: str = "", bind_options: str = ""
) -> Iterator[Haproxy]:
    """haproxy in front of servers, by name, on ports of 127.0.0.1; what stands behind each, and
    behind its own address."""
    program = shutil.which("haproxy", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    assert program is not None, "these tests need haproxy: apt-get install haproxy"
    prefix.mkdir(parents=True, exist_ok=True)
    port = free_port()
    servers = [
        f"    server {name} 127.0.0.1:{there} {server_options}" for name, there in upstreams.items()
    ]
    config = prefix / "haproxy.cfg"
    text = CONFIG.format(prefix=prefix, port=port, bind=bind_options, servers="\n".join(servers))
    config.write_text(text)
    command = [program, "-db", "-f", str(config)]
    with running(command, prefix / "output.log", lambda: accepts(port)):
        yield Haproxy(port, prefix)

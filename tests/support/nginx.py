"""Runs the real nginx (Debian's package) in front of a server under test.

It never sends a request a second time: what fails behind it shows as 502 or 504.
"""

from __future__ import annotations

import contextlib
import getpass
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness import free_port, running

CONFIG = """
daemon off;
{user}
worker_processes 1;
pid {prefix}/nginx.pid;
error_log {prefix}/error.log info;
events {{ worker_connections 512; }}
http {{
    access_log {prefix}/access.log;
    client_body_temp_path {prefix}/body;
    proxy_temp_path {prefix}/proxy;
    fastcgi_temp_path {prefix}/f; uwsgi_temp_path {prefix}/u; scgi_temp_path {prefix}/s;
    client_max_body_size 200m;
    keepalive_requests 10000000;
    upstream app {{ server {upstream}; {keepalive} }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://app;
            proxy_next_upstream off;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_request_buffering {request_buffering};
            proxy_buffering {buffering};
            proxy_redirect off;
            {persistence}
        }}
    }}
}}
"""
PERSISTENT = 'proxy_http_version 1.1; proxy_set_header Connection "";'


@dataclass(frozen=True)
class Front:
    """How nginx speaks to the server behind it."""

    keep_alive: bool = False
    request_buffering: bool = True
    buffering: bool = True


def accepts(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def nginx(upstream: str, prefix: Path, front: Front) -> Iterator[int]:
    """nginx in front of `upstream` (host:port or unix:path); yields its port."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    assert program is not None, "these tests need nginx: apt-get install nginx-light"
    port = free_port()
    prefix.mkdir(parents=True, exist_ok=True)
    text = CONFIG.format(
        user="user root;" if getpass.getuser() == "root" else "",
        prefix=prefix,
        upstream=upstream,
        keepalive="keepalive 8; keepalive_requests 10000000;" if front.keep_alive else "",
        port=port,
        request_buffering="on" if front.request_buffering else "off",
        buffering="on" if front.buffering else "off",
        persistence=PERSISTENT if front.keep_alive else "",
    )
    config = prefix / "nginx.conf"
    config.write_text(text)
    command = [program, "-p", str(prefix), "-c", str(config), "-e", str(prefix / "error.log")]
    with running(command, prefix / "output.log", lambda: accepts(port)):
        yield port

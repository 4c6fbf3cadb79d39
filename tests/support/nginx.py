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

from certificates import Pair
from harness import free_port, running

PREAMBLE = """
daemon off;
{load}
{user}
worker_processes 1;
pid {prefix}/nginx.pid;
error_log {prefix}/error.log info;
events {{ worker_connections 512; }}
"""
CONFIG = """
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
            proxy_pass {scheme}://app;
            proxy_next_upstream off;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_request_buffering {request_buffering};
            proxy_buffering {buffering};
            proxy_redirect off;
            {persistence}
            {stamps}
            {tls}
        }}
    }}
}}
"""
# Bytes both ways, each connection with a PROXY header; the module is a package of its own.
STREAM_MODULE = Path("/usr/lib/nginx/modules/ngx_stream_module.so")
STREAM_CONFIG = """
stream {{
    server {{ listen 127.0.0.1:{port}; proxy_pass {upstream}; proxy_protocol on; }}
}}
"""
UWSGI = """
http {{
    access_log {prefix}/access.log;
    client_body_temp_path {prefix}/body;
    uwsgi_temp_path {prefix}/u;
    client_max_body_size 200m;
    include /etc/nginx/uwsgi_params;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            uwsgi_pass {upstream};
            uwsgi_next_upstream off;
            uwsgi_request_buffering {buffering};
            uwsgi_buffering {buffering};
        }}
    }}
}}
"""
# What stands behind is asked as localhost, and must prove that it is.
TLS = """proxy_ssl_trusted_certificate {authority}; proxy_ssl_verify on; proxy_ssl_name localhost;
            proxy_ssl_server_name on; proxy_ssl_protocols TLSv1.2 TLSv1.3; {client}"""
PERSISTENT = 'proxy_http_version 1.1; proxy_set_header Connection "";'


STAMPS = """proxy_set_header X-Request-ID $request_id; add_header X-Seen-ID $request_id;
            proxy_set_header X-Request-Start "t=${msec}";"""


@dataclass(frozen=True)
class Front:
    """How nginx speaks to the server behind it."""

    keep_alive: bool = False
    request_buffering: bool = True
    buffering: bool = True
    stamps: bool = False  # says who a request is, and when it came
    authority: Path | None = None  # by TLS, and this one has signed its certificate
    client: Pair | None = None  # the certificate that nginx shows then

    def tls(self) -> str:
        """The directives of TLS; none without."""
        if self.authority is None:
            return ""
        own = ""
        if self.client is not None:
            own = f"proxy_ssl_certificate {self.client.cert};"
            own += f" proxy_ssl_certificate_key {self.client.key};"
        return TLS.format(authority=self.authority, client=own)


def accepts(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def started(text: str, prefix: Path, port: int, load: str = "", **values: object) -> Iterator[int]:
    """nginx with this configuration; yields the port that it listens on."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    assert program is not None, "these tests need nginx: apt-get install nginx-light"
    prefix.mkdir(parents=True, exist_ok=True)
    config = prefix / "nginx.conf"
    user = "user root;" if getpass.getuser() == "root" else ""
    text = PREAMBLE + text
    config.write_text(text.format(prefix=prefix, port=port, user=user, load=load, **values))
    command = [program, "-p", str(prefix), "-c", str(config), "-e", str(prefix / "error.log")]
    with running(command, prefix / "output.log", lambda: accepts(port)):
        yield port


@contextlib.contextmanager
def nginx(upstream: str, prefix: Path, front: Front) -> Iterator[int]:
    """nginx in front of `upstream` (host:port or unix:path); yields its port."""
    tls = front.tls()
    with started(
        CONFIG,
        prefix,
        free_port(),
        upstream=upstream,
        keepalive="keepalive 8; keepalive_requests 10000000;" if front.keep_alive else "",
        scheme="https" if tls else "http",
        request_buffering="on" if front.request_buffering else "off",
        buffering="on" if front.buffering else "off",
        stamps=STAMPS if front.stamps else "",
        persistence=PERSISTENT if front.keep_alive else "",
        tls=tls,
    ) as port:
        yield port


@contextlib.contextmanager
def nginx_stream(upstream: str, prefix: Path) -> Iterator[int]:
    """nginx passing connections on to host:port as they are, with a PROXY header of version 1."""
    assert STREAM_MODULE.exists(), "these tests need: apt-get install libnginx-mod-stream"
    with started(
        STREAM_CONFIG, prefix, free_port(), upstream=upstream, load=f"load_module {STREAM_MODULE};"
    ) as port:
        yield port


@contextlib.contextmanager
def nginx_uwsgi(upstream: str, prefix: Path, *, buffering: bool = True) -> Iterator[int]:
    """nginx speaking uwsgi to `upstream` (host:port or unix:path), with Debian's uwsgi_params."""
    word = "on" if buffering else "off"
    with started(UWSGI, prefix, free_port(), upstream=upstream, buffering=word) as port:
        yield port

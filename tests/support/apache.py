"""Runs the real Apache httpd (Debian's package) in front of a server under test."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from harness import free_port, running
from nginx import accepts

MODULES = ("mpm_event", "authz_core", "proxy", "proxy_uwsgi")
CONFIG = """
{modules}
ServerName localhost
ServerRoot {prefix}
PidFile {prefix}/apache.pid
DefaultRuntimeDir {prefix}
ErrorLog {prefix}/error.log
Listen 127.0.0.1:{port}
ServerLimit 1
ThreadsPerChild 16
MaxRequestWorkers 16
ProxyPass / {upstream}
"""


@contextlib.contextmanager
def apache_uwsgi(upstream: str, prefix: Path) -> Iterator[int]:
    """Apache's mod_proxy_uwsgi in front of host:port; yields its port."""
    program = shutil.which("apache2", path="/usr/sbin:/usr/bin")
    assert program is not None, "these tests need Apache httpd: apt-get install apache2-bin"
    prefix.mkdir(parents=True, exist_ok=True)
    port = free_port()
    modules = "\n".join(
        f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so" for name in MODULES
    )
    text = CONFIG.format(modules=modules, prefix=prefix, port=port, upstream=f"uwsgi://{upstream}/")
    config = prefix / "apache.conf"
    config.write_text(text)
    command = [program, "-DFOREGROUND", "-f", str(config)]
    with running(command, prefix / "apache.log", lambda: accepts(port)):
        yield port

"""Ten thousand idle connections on one worker of each kind, while a healthy client is served."""

from __future__ import annotations

import contextlib
import os
import resource
from pathlib import Path

import pytest

from client import connect, fetch, request
from conftest import StartServer
from harness import FILES_MAX, IS_GUNICORN, rss_mib
from patience import quiet_for

pytestmark = pytest.mark.skipif(IS_GUNICORN, reason="it is about our own workers")

CROWD = 10_000
KIB_EACH_MAX = 4.0
THREADS_MAX = 8  # four for requests, the main thread, the standby
KINDS = {
    "sync": ("probe:app", "-k", "sync"),
    "gthread": ("probe:app", "--threads", "4"),
    "gevent": ("probe:app", "-k", "gevent"),
    "asgi-asyncio": ("asgi_probe:app", "-k", "asgi", "--asgi-loop", "asyncio"),
    "asgi-uvloop": ("asgi_probe:app", "-k", "asgi", "--asgi-loop", "uvloop"),
}
TOO_FEW = resource.getrlimit(resource.RLIMIT_NOFILE)[1] < FILES_MAX


def cpu_s(pid: int) -> float:
    """Of a process, so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.timeout(400)
@pytest.mark.skipif(TOO_FEW, reason=f"needs a hard limit of {FILES_MAX} open files (ulimit -Hn)")
@pytest.mark.parametrize("kind", KINDS)
def test_ten_thousand_idle_connections(serve: StartServer, kind: str) -> None:
    """They cost neither a thread nor a greenlet nor a task, little memory and no time."""
    server = serve(*KINDS[kind], "--keep-alive", "600", sync=True)
    (pid,) = server.worker_pids()
    fetch(server.address, "/hello")
    before = rss_mib(pid)
    with contextlib.ExitStack() as stack:
        for _ in range(CROWD):
            sock = stack.enter_context(connect(server.address, 30))
            sock.sendall(request("/hello"))
            assert sock.recv(65536).startswith(b"HTTP/1.1 200 OK")
        each_kib = (rss_mib(pid) - before) * 1024 / CROWD
        print(f"{kind}: {each_kib:.2f} KiB an idle connection")
        for _ in range(50):
            assert fetch(server.address, "/hello").body == b"hello"
        assert each_kib < KIB_EACH_MAX
        assert len(os.listdir(f"/proc/{pid}/task")) <= THREADS_MAX
        used_s = cpu_s(pid)
        quiet_for(1, "idle connections use no CPU")
        assert cpu_s(pid) - used_s < 0.3
        sock.sendall(request("/hello"))
        assert sock.recv(65536).startswith(b"HTTP/1.1 200 OK"), "none of them was closed"

"""HUP and USR2 under load by TLS and HTTP/2: by clients of our own, by nginx (TLS) and by HAProxy
(HTTP/2 over TLS). `make soak-protocols` has 20 HUPs and 5 USR2 in every worker class.
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from accounts import CountedLoad
from certificates import self_signed
from haproxy import haproxy
from harness import wait_for
from nginx import Front, nginx
from stage import Stage, full, kinds, nothing_failed, start_successor

HUPS = 20
UPGRADES = 5


@pytest.mark.parametrize("kind", kinds("gthread", "asgi"))
def test_reloads_and_upgrades(kind: str, tmp_path: Path) -> None:
    pair = self_signed(tmp_path)
    stage = Stage(kind, tmp_path)
    server = stage.server(*pair.options(), "--http-protocols", "h2,h1")
    by_tls = f"ssl verify required verifyhost localhost ca-file {pair.cert}"
    with stage:
        server.start()
        stage.wait_ready(server.pid)
        there = f"127.0.0.1:{server.port}"
        front = Front(keep_alive=True, authority=pair.cert)
        with (
            nginx(there, tmp_path / "nginx", front) as by_nginx,
            haproxy({"a": server.port}, tmp_path / "haproxy", f"{by_tls} alpn h2") as by_haproxy,
            CountedLoad({"direct": server.port}, tmp_path / "h2", authority=pair.cert) as direct,
            CountedLoad(
                {"nginx": by_nginx, "haproxy": by_haproxy.port}, tmp_path / "load"
            ) as proxied,
        ):
            loads = (direct, proxied)

            def reload(version: str) -> None:
                stage.deploy(version)
                for load in loads:
                    load.mark(f"HUP for {version}")
                server.signal(signal.SIGHUP)
                settle(version)

            def settle(version: str) -> None:
                stage.wait_served_by(by_nginx, version)
                for load in loads:
                    load.more(40)

            def upgrade(version: str) -> None:
                stage.deploy(version)
                old = stage.master()
                fresh = start_successor(stage, *loads)
                for load in loads:
                    load.more(40)
                    load.mark(f"TERM to {old}")
                stage.stop(old)
                wait_for(lambda: stage.master() == fresh, "the promotion", 30)
                settle(version)

            for number in range(full(1, HUPS)):
                reload(f"release-{number}")
            for number in range(full(1, UPGRADES)):
                upgrade(f"binary-{number}")
            account = nothing_failed(stage, *loads)
    assert len(account.versions) == 1 + full(1, HUPS) + full(1, UPGRADES)

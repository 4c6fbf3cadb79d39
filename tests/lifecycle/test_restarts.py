"""TERM and a new server under load, in the two ways in which operators keep a port open.

systemd's way: the listening socket belongs to the service manager, so connections wait in it
while one server has gone and the next has not come. The balancer's way: the new server runs
beside the old one, the balancer is pointed at it, and then the old one is told to stop.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from accounts import CountedLoad
from haproxy import Haproxy, haproxy
from harness import Server, free_port
from stage import (
    SETTLE_S_MAX,
    Stage,
    fronts,
    full,
    kinds,
    nothing_failed,
    standing_socket,
)


def started(stage: Stage, server: Server) -> Server:
    """The server, once its workers serve."""
    server.start()
    stage.wait_ready(server.pid)
    return server


def stopped(server: Server) -> None:
    """TERM and exit code 0."""
    assert server.stop(timeout_s=SETTLE_S_MAX) == 0, server.log()


@pytest.mark.parametrize("overlap", [False, True], ids=["stop-start", "start-stop"])
@pytest.mark.parametrize("kind", kinds("sync"))
def test_restarts_behind_a_standing_socket(kind: str, overlap: bool, tmp_path: Path) -> None:
    stage = Stage(kind, tmp_path)
    with standing_socket() as listener, stage:
        server = started(stage, stage.server(listener=listener, pidfile=False))
        with (
            fronts(server.port, tmp_path) as targets,
            CountedLoad(targets, tmp_path / "load") as load,
        ):
            for number in range(full(2, 20)):
                stage.deploy(f"restart-{number}")
                old, server = server, stage.server(listener=listener, pidfile=False)
                if overlap:
                    started(stage, server)
                load.mark(f"TERM {number}")
                stopped(old)
                if not overlap:
                    started(stage, server)
                load.more(60)
            nothing_failed(stage, load)


@pytest.mark.parametrize("kind", kinds("asgi"))
def test_restarts_behind_a_balancer(kind: str, tmp_path: Path) -> None:
    stage = Stage(kind, tmp_path)
    with stage:
        names = ("blue", "green")
        live = started(stage, stage.server(pidfile=False))
        ports = {"blue": live.port, "green": free_port()}
        with (
            haproxy(ports, tmp_path / "haproxy") as proxy,
            CountedLoad(
                {"haproxy": start_at(proxy, "blue")}, tmp_path / "load", busy=4, idle=4
            ) as load,
        ):
            for number in range(full(2, 20)):
                old, name, other = live, names[(number + 1) % 2], names[number % 2]
                stage.deploy(f"{name}-{number}")
                live = started(stage, stage.server(port=ports[name], pidfile=False))
                load.mark(f"{name} instead of {other}")
                proxy.use_only(name, [other])
                load.mark(f"TERM to {other}")
                stopped(old)
                load.more(60)
            nothing_failed(stage, load)


def start_at(proxy: Haproxy, name: str) -> int:
    """The proxy's port, once it sends everything to one server."""
    proxy.use_only(name, [other for other in ("blue", "green") if other != name])
    return proxy.port

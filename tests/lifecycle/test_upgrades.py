"""USR2 under load: a new master beside the old one, which then stops; and the way back."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from harness import children_of, is_running, wait_for
from stage import full, kinds, nothing_failed, playing, start_successor


@pytest.mark.parametrize("kind", kinds("sync"))
def test_binary_upgrades(kind: str, tmp_path: Path) -> None:
    with playing(kind, tmp_path) as (stage, server, load):
        for number in range(full(2, 20)):
            version = f"binary-{number}"
            stage.deploy(version)
            old = stage.master()
            fresh = start_successor(stage, load)
            load.more(40)
            load.mark(f"TERM to {old}")
            stage.stop(old)
            wait_for(lambda fresh=fresh: stage.master() == fresh, "the promotion", 30)
            stage.wait_served_by(server.port, version)
            load.more(40)
        account = nothing_failed(stage, load)
    assert len(account.versions) == 1 + full(2, 20)


@pytest.mark.parametrize("kind", kinds("asgi"))
def test_upgrades_taken_back(kind: str, tmp_path: Path) -> None:
    """The new master is told to leave again; the old one has served all the time."""
    with playing(kind, tmp_path) as (stage, server, load):
        for number in range(full(1, 5)):
            stage.deploy(f"tried-{number}")
            fresh = start_successor(stage, load)
            load.more(40)
            load.mark(f"TERM to the new master {fresh}")
            os.kill(fresh, signal.SIGTERM)
            wait_for(lambda fresh=fresh: not is_running(fresh), "its end", 40)
            stage.wait_served_by(server.port, "1")
            assert fresh not in children_of(server.pid)
        nothing_failed(stage, load)

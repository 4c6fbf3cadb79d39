"""HUP under load: good releases arrive without a failure, bad ones do not arrive at all."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from harness import wait_for
from stage import WORKERS, full, kinds, nothing_failed, playing

# What a bad deploy puts in the place of the release that serves.
BAD = {
    "syntax": "VERSION = = 'bad'\n",
    "import": "import a_module_that_was_forgotten\nVERSION = 'bad'\n",
    "migration": "import sys\nprint('migrations are missing')\nsys.exit(1)\n",
    "hard-exit": "import os\nos._exit(7)\n",
    "crash": "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n",
}
SLOW = "import time\ntime.sleep(4)\nVERSION = 'slow'\n"


@pytest.mark.parametrize("kind", kinds("sync", "gevent"))
def test_rolling_reloads(kind: str, tmp_path: Path) -> None:
    with playing(kind, tmp_path) as (stage, server, load):
        for number in range(full(3, 50)):
            version = f"release-{number}"
            stage.deploy(version)
            load.mark(f"HUP {number}")
            server.signal(signal.SIGHUP)
            stage.wait_served_by(server.port, version)
            load.more(60)
        account = nothing_failed(stage, load)
    assert len(account.versions) == 1 + full(3, 50)


@pytest.mark.parametrize("kind", kinds("sync"))
def test_bad_deploys(kind: str, tmp_path: Path) -> None:
    with playing(kind, tmp_path) as (stage, server, load):
        server.announce("Exception in worker process", "was killed by SIGSEGV")
        for name, text in BAD.items():
            stage.write_release(text)
            before = server.log().count("Handling signal: hup")
            load.mark(f"HUP with {name}")
            server.signal(signal.SIGHUP)
            server.wait_log("Handling signal: hup", before + 1)
            load.more(full(150, 2000))
            assert server.code() is None, server.log()
            stage.wait_served_by(server.port, "1")
        stage.deploy("good")
        load.mark("HUP with a good release")
        server.signal(signal.SIGHUP)
        stage.wait_served_by(server.port, "good")
        load.more(60)
        account = nothing_failed(stage, load)
    assert set(account.versions) == {"1", "good"}


@pytest.mark.parametrize("kind", kinds("gthread"))
def test_slow_boot(kind: str, tmp_path: Path) -> None:
    """The old release serves for as long as the new one takes to load."""
    with playing(kind, tmp_path) as (stage, server, load):
        old = set(stage.workers_of(server.pid))
        stage.write_release(SLOW)
        load.mark("HUP with a slow release")
        server.signal(signal.SIGHUP)

        def replaced() -> bool:
            now = set(stage.workers_of(server.pid))
            return len(now) == WORKERS and not now & old

        wait_for(replaced, "the new release", 60)
        load.more(60)
        account = nothing_failed(stage, load)
    assert set(account.versions) == {"1", "slow"}

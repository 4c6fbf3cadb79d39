"""Slow, silent and greedy clients on the asgi worker, on both loops: the tests of the sync worker
are run again here."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import StartServer
from harness import IS_GUNICORN, Server
from test_asgi import ASGI
from test_slow_clients import (  # noqa: F401
    test_everybody_at_once,
    test_idle_after_an_answer,
    test_readers_that_stop_reading,
)

pytestmark = pytest.mark.skipif(IS_GUNICORN, reason="it is about our own asgi worker")


@pytest.fixture(params=["asyncio", "uvloop"])
def serve(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StartServer]:
    """As conftest's, with an asgi worker and its probe."""
    with contextlib.ExitStack() as stack:

        def start(app: str = "probe:app", *args: str, sync: bool = False) -> Server:
            arguments = ("asgi_" + app, *ASGI, str(request.param), *args)
            return stack.enter_context(Server(*arguments, directory=tmp_path / "server"))

        yield start

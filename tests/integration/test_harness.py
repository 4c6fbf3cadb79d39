"""The harness notices each fault that it looks for, and nothing that was announced."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import invariants
from client import fetch
from harness import IS_GUNICORN, Server

pytestmark = pytest.mark.skipif(IS_GUNICORN, reason="it is about our own harness")

# By the path that the application is asked for: what the harness says, and how it is announced.
FAULTS: dict[str, tuple[str, tuple[str, ...], dict[str, Any]]] = {
    "/spin": ("does not rest", (), {"busy": True}),
    "/open": ("descriptors open", (), {"descriptors": 1}),
    "/fork": ("outlive the master", (), {"orphans": True}),
    "/raise": ("has not announced", ("ValueError: unannounced",), {}),
    "/crash": ("has not announced", ("was killed by SIGSEGV",), {}),
}


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """These faults do not go away by waiting."""
    monkeypatch.setattr(invariants, "REST_S_MAX", 0.5)


@contextlib.contextmanager
def served(tmp_path: Path, *args: str) -> Iterator[Server]:
    with Server("misbehaved:app", *args, directory=tmp_path) as server:
        yield server


@pytest.mark.parametrize("path", FAULTS)
def test_a_fault_is_noticed(tmp_path: Path, path: str) -> None:
    with pytest.raises(AssertionError, match=FAULTS[path][0]), served(tmp_path) as server:
        fetch(server.address, path)


@pytest.mark.parametrize("path", FAULTS)
def test_what_was_announced_is_none(tmp_path: Path, path: str) -> None:
    _, words, more = FAULTS[path]
    with served(tmp_path) as server:
        server.announce(*words, **more)
        fetch(server.address, path)


def test_a_report_cannot_be_announced(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="a sanitizer's report"), served(tmp_path) as server:
        server.announce("runtime error")
        fetch(server.address, "/report")


def test_a_ledger_that_does_not_add_up_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="does not add up"), served(tmp_path) as server:
        fetch(server.address, "/")
        assert server.stop() == 0
        text = server.log()
        assert "accepted 1 = answered 1 +" in text
        server.error_log.write_text(text.replace("accepted 1", "accepted 2"))


def test_a_master_without_a_ledger_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="without a last line"), served(tmp_path) as server:
        assert server.stop() == 0
        server.error_log.write_text(invariants.LEDGER.sub("", server.log()))


def test_a_critical_event_is_noticed(tmp_path: Path) -> None:
    config = tmp_path / "conf.py"
    config.write_text("def when_ready(server): server.log.critical('planted')\n")
    options = ("--config", str(config))
    with pytest.raises(AssertionError, match="planted"), served(tmp_path, *options) as server:
        assert "planted" in server.log()


def test_a_test_that_has_failed_hears_of_that_alone(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), served(tmp_path) as server:
        fetch(server.address, "/raise")
        raise ZeroDivisionError

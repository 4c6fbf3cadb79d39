"""The parts of the master that need no processes: its loop, a generation, a child, a place."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from monoceros.master.child import Child
from monoceros.master.generation import Generation, View
from monoceros.master.loop import Loop
from monoceros.master.rollout import Rollout
from monoceros.workers.adopted import adopted
from monoceros.workers.place import Place


def test_the_loop_calls_who_watches_what_is_ready() -> None:
    """Nobody else's descriptor is read: the pipe of signals not at an older master's end."""
    loop, calls = Loop(), []
    pipes = {name: os.pipe() for name in ("signals", "older master")}
    for name, (fd, _) in pipes.items():
        loop.watch(fd, lambda name=name: calls.append(name))  # type: ignore[misc]
    assert not loop.wait(0)
    os.close(pipes["older master"][1])
    assert loop.wait(1000)
    assert calls == ["older master"]
    os.write(pipes["signals"][1], b"\0")
    loop.wait(1000)
    assert sorted(calls) == ["older master", "older master", "signals"]


def test_a_reader_may_forget_others_and_itself() -> None:
    loop, calls = Loop(), []
    first, second = os.pipe(), os.pipe()

    def read() -> None:
        calls.append("read")
        for fd in (first[0], second[0]):
            loop.forget(fd)

    loop.watch(first[0], read)
    loop.watch(second[0], read)
    os.write(first[1], b"x")
    os.write(second[1], b"x")
    assert loop.wait(1000)
    assert calls == ["read"]
    assert not loop.wait(0)


class Server:
    cfg = View()
    LISTENERS = View("listeners")

    def __init__(self, generation: Generation) -> None:
        self.generation = generation


def test_a_generation_does_not_change() -> None:
    first = Generation(cfg="one", listeners=[1])
    with pytest.raises(AttributeError):
        first.cfg = "two"
    server: Any = Server(first)
    server.LISTENERS = [1, 2]
    assert (first.listeners, server.generation.listeners, server.cfg) == ([1], [1, 2], "one")


def test_the_way_back_is_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Environment, directory, and what an application keeps, of which nobody has a list."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KEPT", "before")
    app = SimpleNamespace(cfg="one", callable=None)
    way_back = Generation(app=app, cfg="one").captured()
    monkeypatch.chdir("/")
    monkeypatch.setenv("KEPT", "after")
    monkeypatch.setenv("NEW", "1")
    app.cfg, app.more = "two", True
    way_back.enter()
    assert Path.cwd() == tmp_path
    assert (os.environ["KEPT"], "NEW" in os.environ) == ("before", False)
    assert vars(app) == {"cfg": "one", "callable": None}
    assert way_back.cfg == "one"


def test_listeners_are_closed_when_no_generation_has_them() -> None:
    app = SimpleNamespace(cfg=None)
    rollout = Rollout(Generation(app=app, listeners=["old", "both"]), 1)
    fresh = Generation(app=app, listeners=["both", "new"])
    assert rollout.only_proven(fresh) == ["old"]
    assert rollout.unused(["old", "both", "new", "tried"], fresh) == ["tried"]
    former = rollout.commit(fresh)
    assert rollout.unused(former.listeners, fresh) == ["old"]


def test_a_child_is_closed_once() -> None:
    closed = []
    handover = SimpleNamespace(close=lambda: closed.append("handover"))
    box = os.memfd_create("box")
    child = Child(object(), 3, box, handover)
    child.close()
    child.close()
    assert closed == ["handover"]
    with pytest.raises(OSError):
        os.fstat(box)


class Foreign:
    """A worker class of others: it knows gunicorn's names only."""

    booted = False
    tmp = None


def test_any_worker_has_a_place_and_wakes_the_master_by_it() -> None:
    said = []
    board: Any = SimpleNamespace(set_ready=said.append, beat=lambda slot: said.append("beat"))
    reading, writing = os.pipe()
    cls = adopted(Foreign)
    assert cls is adopted(Foreign)
    worker = cls()
    worker.attach(Place(board, 5, writing, (-1, -1), -1))
    worker.notify()
    assert said == ["beat"]
    worker.booted = True
    worker.notify()
    worker.notify()
    assert said == ["beat", 5, "beat"]
    assert os.read(reading, 10) == b"\0"

"""A process that the application forks is not a worker, in any worker class (docs/adr/0018)."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from client import Client, fetch
from conftest import StartServer
from harness import IS_GUNICORN, Server, children_of, is_running, wait_for

pytestmark = pytest.mark.skipif(IS_GUNICORN, reason="gunicorn's children are workers")

# At gunicorn's flags; the last three applications are asynchronous.
CLASSES: dict[str, tuple[str, ...]] = {
    "sync": ("forking:app",),
    "gthread": ("forking:app", "--threads", "4"),
    "gevent": ("forking:app", "-k", "gevent"),
    "asyncio": ("forking:asgi_app", "-k", "asgi", "--asgi-loop", "asyncio"),
    "uvloop": ("forking:asgi_app", "-k", "asgi", "--asgi-loop", "uvloop"),
    "tornado": ("forking:app", "-k", "tornado"),
}
CROWDS = [name for name in CLASSES if name not in ("sync", "tornado")]  # many requests at once
LEDGER = re.compile(r"accepted (\d+) = answered (\d+) \+ refused (\d+) \+ aborted (\d+)")


def start(serve: StartServer, name: str, *args: str, **options: object) -> Server:
    return serve(*CLASSES[name], "-c", "forking_conf.py", *args, **options)


def ask(client: Client, path: str) -> tuple[str, int]:
    """What the application said, and which process it was."""
    said, _, pid = client.ask(path).text.rpartition(" ")
    return said, int(pid)


def place(server: Server, name: str) -> Path:
    return server.directory / name


@contextlib.contextmanager
def ended_child(server: Server) -> Iterator[int]:
    """The child that an application leaves behind; ended at the end."""
    pid = int(wait_for(lambda: place(server, "child").exists(), "a child") and "0")
    pid = int(place(server, "child").read_text())
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)


def check_end(server: Server, name: str) -> None:
    """The hooks ran in the worker alone, and every request is accounted for, once."""
    assert server.stop() == 0
    exits = place(server, "worker-exits").read_text().splitlines()
    assert [line.split()[0] == line.split()[1] for line in exits] == [True], exits
    if name != "tornado":  # whose requests nobody counts
        found = LEDGER.search(server.log())
        assert found, server.log()
        accepted, answered, refused, aborted = map(int, found.groups())
        assert (accepted, refused, aborted) == (answered, 0, 0), found[0]


ANSWERS = {
    "/crash": "-6",
    "/return-soon": "parent",
    "/raise-soon": "parent",
    "/library-fork": "parent",
    "/library-abort": "-6",
    "/terminal": "parent",
    "/terminate": "-15",
    "/kill-each": "True",
    "/strike-each": "True",
    "/pool": "14",
    "/spawn": "42 0 0",
    "/daemon": "0",
    "/thread": "0",
    "/own-handler": "42",
    "/logging-child": "{0}",
    "/exit-soon": "parent",
}


UNFIT = {
    ("gthread", "/own-handler"),  # handlers are the main thread's to set
}


@pytest.mark.parametrize("name", CLASSES)
def test_every_way_to_fork(name: str, serve: StartServer) -> None:
    """Answers stay in step on a kept connection, whatever the children do."""
    server = start(serve, name)
    server.announce("the child's own fault")
    (worker,) = server.worker_pids()
    with Client(server.address) as client:
        for path, said in ANSWERS.items():
            if (name, path) in UNFIT:
                continue
            assert ask(client, path) == (said, worker), path
            assert ask(client, "/") == ("plain", worker), f"after {path}"
        wait_for(lambda: place(server, "came-back").exists(), "the child that exits")
        daemon = int(place(server, "daemon").read_text())
        assert is_running(daemon)
        assert ask(client, "/") == ("plain", worker)
        place(server, "daemon-may-go").touch()
        wait_for(lambda: not is_running(daemon), "the daemon's end")
    wait_for(lambda: children_of(worker) == [], "the children's end")
    assert "the child's own fault" in server.log()
    assert "the child's last words" in server.output()
    assert "Error handling request" not in server.log()
    assert "asked worker" not in server.log()
    check_end(server, name)


GREENLETS = {
    "/thread-returns": "0",
    "/greenlet-returns": "0",
    "/greenlet-raises": "1",
    "/greenlet-exits": "5",
}


@pytest.mark.parametrize("hub", ["libev-cext", "libuv-cffi"])
def test_a_greenlet_that_forks_is_its_childs_last(serve: StartServer, hub: str) -> None:
    server = start(serve, "gevent", env={"GEVENT_LOOP": hub})
    server.announce("the child's own fault")
    (worker,) = server.worker_pids()
    with Client(server.address) as client:
        for path, said in GREENLETS.items():
            assert ask(client, path) == (said, worker), path
            assert ask(client, "/") == ("plain", worker), f"after {path}"
    assert server.log().count("Traceback") == 1
    assert "worker process" not in server.log()
    check_end(server, "gevent")


@pytest.mark.parametrize("name", CROWDS)
@pytest.mark.parametrize("path", ["/crash", "/library-abort"])
def test_a_crashing_child_answers_nobody(path: str, name: str, serve: StartServer) -> None:
    server = start(serve, name)
    with contextlib.ExitStack() as stack:
        others = [stack.enter_context(Client(server.address)) for _ in range(3)]
        for other in others:
            other.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        assert fetch(server.address, path).status == 200
        for other in others:
            answer = other.response()
            assert (answer.status, answer.text.split()[0]) == (200, "slow")
    check_end(server, name)


@pytest.mark.parametrize("name", CLASSES)
def test_a_child_that_loops_takes_nothing_away(name: str, serve: StartServer) -> None:
    """Under gevent its hub watched, and unwatched, what the parent's engine waits for."""
    server = start(serve, name)
    (worker,) = server.worker_pids()
    assert fetch(server.address, "/leave-looping").text == f"parent {worker}"
    with ended_child(server) as pid:
        for _ in range(20):
            assert fetch(server.address, "/").text == f"plain {worker}"
        assert is_running(pid)
    check_end(server, name)


@pytest.mark.parametrize("name", CLASSES)
def test_a_child_that_lives_on_holds_no_connection(name: str, serve: StartServer) -> None:
    """A FIN comes at once, and the port is free when the server has gone."""
    server = start(serve, name)
    with Client(server.address) as before:
        assert ask(before, "/")[0] == "plain"
        with Client(server.address, 5.0) as client:
            client.send(b"GET /lodger HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert client.response().text.startswith("parent")
            with ended_child(server) as pid:
                assert client.sock.recv(1) == b"", "of its own connection"
                before.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                before.response()
                before.sock.settimeout(5.0)
                assert before.sock.recv(1) == b"", "of one that stood before"
                check_end(server, name)
                assert is_running(pid)
                with socket.socket() as again:
                    again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    again.bind(server.address)


@pytest.mark.parametrize("name", CROWDS)
def test_other_requests_do_not_go_on_in_a_child(name: str, serve: StartServer) -> None:
    """Greenlets and tasks wait in the parent; a child that gives its time away runs none."""
    server = start(serve, name)
    (worker,) = server.worker_pids()
    with ThreadPoolExecutor(3) as clients:
        slow = [clients.submit(fetch, server.address, "/slow") for _ in range(3)]
        assert fetch(server.address, "/beats").text == f"parent {worker}"
        assert [answer.result().text for answer in slow] == [f"slow {worker}"] * 3
    wait_for(lambda: place(server, "child-slept").exists(), "the child's own sleep")
    assert place(server, "slow-ended").read_text().split() == [str(worker)] * 3
    check_end(server, name)


@pytest.mark.parametrize("name", ["asyncio", "uvloop"])
def test_a_loop_does_not_go_on_in_a_child(name: str, serve: StartServer) -> None:
    """A child that awaits has come back to the parent's loop: it ends."""
    server = start(serve, name)
    server.announce("no running event loop")  # in the child, when it awaits
    (worker,) = server.worker_pids()
    with ThreadPoolExecutor(3) as clients:
        slow = [clients.submit(fetch, server.address, "/slow") for _ in range(3)]
        for _ in range(3):
            assert fetch(server.address, "/awaiting").text == f"parent {worker}"
        wait_for(lambda: children_of(worker) == [], "the children's end")
        assert [answer.result().text for answer in slow] == [f"slow {worker}"] * 3
    assert not place(server, "awaited").exists()
    assert place(server, "slow-ended").read_text().split() == [str(worker)] * 3
    check_end(server, name)


HOOKS = {"post_fork": "server, worker", "post_worker_init": "worker", "when_ready": "server"}


@pytest.mark.parametrize("where", [*HOOKS, "import"])
def test_a_child_of_a_hook_is_no_second_server(
    where: str, serve: StartServer, tmp_path: Path
) -> None:
    fork = "import os\nif os.fork() == 0:\n    import time\n    time.sleep(0.2)\n"
    if where == "import":
        (tmp_path / "forks_first.py").write_text(fork + "from forking import app\n")
        server = serve("forks_first:app", "--pythonpath", str(tmp_path))
    else:
        body = "".join(f"    {line}\n" for line in fork.splitlines())
        conf = tmp_path / "conf.py"
        conf.write_text(f"def {where}({HOOKS[where]}):\n{body}")
        server = serve("forking:app", "-c", str(conf))
    assert fetch(server.address, "/").text.startswith("plain")
    wait_for(lambda: len(children_of(server.pid)) == 1, "the hook's child's end")
    (worker,) = server.worker_pids()
    wait_for(lambda: children_of(worker) == [], "the child's end")
    assert fetch(server.address, "/").text == f"plain {worker}"
    assert server.stop() == 0
    assert server.log().count("Worker exiting") == 1

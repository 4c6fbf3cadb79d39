"""Hooks and signals: what a master and its workers do, note and log when something comes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness import is_running, wait_for
from pair import Side, gone
from patience import pace, quiet_for
from scenario import Group, Look

TRACED = "from traced import *\n"


def told(side: Side) -> Any:
    """What the hooks noted and what was logged, since it was last asked."""
    return {"hooks": side.trace(), "log": side.lines_by_process()}


def quiet(side: Side, before: Callable[[], int]) -> None:
    """Waits until nothing more is written."""
    last, since = before(), time.monotonic()
    while time.monotonic() - since < 0.25:
        quiet_for(0.02, "nothing is written")
        if before() != last:
            last, since = before(), time.monotonic()


def calm(side: Side) -> None:
    quiet(side, lambda: len(side.read("trace.txt")) + len(side.log()))


def boot(side: Side) -> Any:
    calm(side)
    return told(side)


def to_master(signum: int, workers: int | None = None) -> Look:
    """Sends the signal and waits for that many workers, or only for silence."""

    def look(side: Side) -> Any:
        old = side.workers()
        side.kill(signum)
        if signum == signal.SIGHUP:
            side.replaced(old)
        if workers is not None:
            side.settle(workers)
        calm(side)
        return told(side)

    return look


def hup_words(side: Side) -> Any:
    """What the other scenarios leave out."""
    from pair import NOT_OURS

    return sorted(set(NOT_OURS.findall(side.log())))


def to_worker(signum: int, dies: bool = True, words: bool = True) -> Look:
    """Sends the signal to the only worker; when it dies, another takes its place.

    Without words: only the level of the master's line and that it names pid and signal.
    """

    def look(side: Side) -> Any:
        old = side.workers()
        os.kill(old[0], signum)
        if dies:
            side.replaced(old)
        calm(side)
        found = told(side)
        if not words:
            name = signal.Signals(signum).name
            found["log"] = [
                line.split()[0] for lines in found["log"] for line in lines
                if "(pid:<pid>)" in line and name in line
            ]  # fmt: skip
        return {**found, "same": side.workers() == old}

    return look


def request_hooks(target: str) -> Look:
    def look(side: Side) -> Any:
        side.ask(f"GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
        calm(side)
        return side.trace()

    return look


def ending(signum: int) -> Look:
    """The exit code, what was told, and that nothing is left."""

    def look(side: Side) -> Any:
        workers = side.workers()
        code = side.stop(signum)
        gone(workers)
        return {"code": code, **told(side), "pidfile": (side.dir / "pid").exists()}

    return look


def started_and_ended(signum: int, args: str = "-w 1 scene") -> Look:
    """A server of its own for one end."""

    def look(side: Side) -> Any:
        side.start(f"-b 127.0.0.1:{{port}} -p pid {args}")
        calm(side)
        told(side)
        return ending(signum)(side)

    return look


def busy_end(signum: int, again: int | None = None) -> Look:
    """A stop while a request of half a second runs: whether it is answered."""

    def look(side: Side) -> Any:
        import threading

        side.start("-b 127.0.0.1:{port} --graceful-timeout 5 scene")
        got: list[str] = []

        def client() -> None:
            raw = b"GET /sleep?0.6 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
            try:
                got.append(side.ask(raw).split("\r\n")[0])
            except OSError as error:
                got.append(type(error).__name__)

        thread = threading.Thread(target=client)
        thread.start()
        wait_for(lambda: "sleeping" in side.read("trace.txt"), "the request to run")
        side.kill(signum)
        if again is not None:
            pace(0.2, "who sends the second signal lets the first be heard")
            side.kill(again)
        assert side.server is not None
        code = side.server.wait(12)
        thread.join()
        return {"code": code, "answer": got}

    return look


def stubborn(side: Side) -> Any:
    """graceful_timeout runs out: the worker is killed, the master still ends well."""
    import threading

    side.start("-b 127.0.0.1:{port} --graceful-timeout 1 scene")
    raw = b"GET /sleep?20 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"

    def client() -> None:
        try:
            side.ask(raw)
        except OSError:
            pass

    thread = threading.Thread(target=client)
    thread.start()
    wait_for(lambda: "sleeping" in side.read("trace.txt"), "the request to run")
    begun = time.monotonic()
    code = side.stop()
    thread.join()
    return {"code": code, "within": time.monotonic() - begun < 4.0}


def master_killed(side: Side) -> Any:
    """Workers do not outlive a killed master for long."""
    side.start("-b 127.0.0.1:{port} -w 2 -t 4 scene", workers=2)
    workers = side.workers()
    side.kill(signal.SIGKILL)
    return gone(workers, 6.0)


def many_signals(side: Side) -> Any:
    """A burst of mixed signals, HUP the last of them, ends in the number that is configured. On a
    busy machine gunicorn loses workers that have no handler for USR1 yet; here none may die so."""
    side.start("-b 127.0.0.1:{port} -w 2 scene", workers=2)
    for number in [signal.SIGTTIN, signal.SIGUSR1, signal.SIGTTOU, signal.SIGHUP] * 5:
        side.kill(number)
        pace(0.02, "a burst of signals that do not merge")
    quiet(side, lambda: len(side.log()))
    side.settle(2, 20.0)
    quiet(side, lambda: len(side.log()))
    if side.name == "monoceros":
        assert "SIGUSR1" not in side.log()
    return side.settle(2), side.status()


def reopened(side: Side) -> Any:
    """USR1: both logs go on in new files."""
    side.start("-b 127.0.0.1:{port} --access-logfile access.log --error-logfile error.log scene")
    for name in ("access.log", "error.log"):
        (side.dir / name).rename(side.dir / f"{name}.1")
    side.kill(signal.SIGUSR1)
    wait_for(
        lambda: (side.dir / "access.log").exists() and (side.dir / "error.log").exists(), "files"
    )
    calm(side)
    side.status("/")
    wait_for(lambda: side.read("access.log"), "an access line")
    code = side.stop()
    return {
        "code": code,
        "access": len(side.read("access.log").splitlines()),
        "old-access": len(side.read("access.log.1").splitlines()),
        "error": [line for line in side.lines("error.log") if "Shutting" in line],
    }


def upgrade(finish: str) -> Look:
    """USR2: two masters and two pidfiles, then either the old one or the new one ends."""

    def look(side: Side) -> Any:
        side.start("-b 127.0.0.1:{port} -p pid scene")
        old, workers = side.pid, side.workers()
        side.kill(signal.SIGUSR2)
        wait_for(lambda: side.read("pid.2"), "pid.2")
        new = int(side.read("pid.2"))
        wait_for(lambda: _children(new), "the new master's worker")
        calm(side)
        both = {
            "plain": side.read("pid") == f"{old}\n", "parent": _parent(new) == old,
            "workers": len(side.workers()) - 1, "answers": side.status(),
        }  # fmt: skip
        os.kill(new if finish == "new" else old, signal.SIGTERM)
        if finish == "new":
            gone([new])
            left = {"pid.2": side.read("pid.2"), "same": set(side.workers()) == set(workers)}
            return both, left, side.status(), side.stop()
        assert side.server is not None
        code = side.server.wait(10)
        wait_for(lambda: side.read("pid") == f"{new}\n", "the new master's pidfile")
        left = {"code": code, "pid.2": side.read("pid.2"), "answers": side.status()}
        os.kill(new, signal.SIGTERM)
        gone([new])
        return both, left, side.read("pid")

    return look


def _children(pid: int) -> list[int]:
    from harness import children_of

    return children_of(pid)


def _parent(pid: int) -> int:
    from harness import process_state

    state = process_state(pid)
    return state[1] if state else 0


def winch_in_daemon(side: Side) -> Any:
    """WINCH of a daemon takes its workers away; HUP brings them back."""
    done = side.command("-b 127.0.0.1:{port} -D -p pid --error-logfile error.log scene")
    wait_for(lambda: side.read("pid"), "the pidfile")
    side.notes["pid"] = side.read("pid")
    from pair import killing

    side.keep(killing(lambda: int(side.notes["pid"])))
    side.settle(1)
    found: dict[str, Any] = {"code": done.returncode, "out": done.stdout + done.stderr}
    stat = Path(f"/proc/{side.pid}/stat").read_text().rpartition(")")[2].split()
    found["leads-session"] = int(stat[3]) == side.pid
    found["parent"] = int(stat[1])
    found["stdin"] = os.readlink(f"/proc/{side.pid}/fd/0")
    found["stdout"] = os.readlink(f"/proc/{side.pid}/fd/1")
    found["cwd"] = side.clean(os.readlink(f"/proc/{side.pid}/cwd"))
    side.kill(signal.SIGWINCH)
    found["winch"] = side.settle(0)
    side.kill(signal.SIGHUP)
    found["hup"] = side.settle(1)
    side.kill(signal.SIGTERM)
    wait_for(lambda: not is_running(side.pid), "the daemon to end")
    found["pidfile"] = side.read("pid")
    found["log"] = sorted(side.lines("error.log"))
    return found


def hup_changes(side: Side) -> Any:
    """A HUP reads the file again: workers, address, environment, name."""
    side.write(
        "gunicorn.conf.py", "workers = 1\nbind = '127.0.0.1:{port}'\nraw_env = ['COMPAT_X=1']\n"
    )
    side.start("scene")
    first = '"env": "1"' in side.get("/process")
    new = "workers = 2\nbind = '127.0.0.1:{port2}'\nraw_env = ['COMPAT_X=2']\n"
    side.write("gunicorn.conf.py", new)
    old = side.workers()
    side.kill(signal.SIGHUP)
    wait_for(lambda: len(side.ready_workers()) == 2 and old[0] not in side.workers(), "workers")
    there = ("127.0.0.1", side.other_port)
    second = '"env": "2"' in side.get("/process", there)
    try:
        old_address = side.status()
    except OSError as error:
        old_address = type(error).__name__  # type: ignore[assignment]
    return first, second, old_address, side.stop()


def hup_broken(side: Side) -> Any:
    """A HUP with a file that no longer works."""
    side.write("gunicorn.conf.py", "workers = 1\nbind = '127.0.0.1:{port}'\n")
    server = side.start("scene")
    side.write("gunicorn.conf.py", "1 / 0\n")
    side.kill(signal.SIGHUP)
    quiet_for(1.0, "nobody leaves")
    return "runs on" if server.code() is None else server.code()


def hup_app_broken(side: Side) -> Any:
    """A HUP after which the application cannot be imported."""
    side.write("changing.py", "from scene import application\n")
    server = side.start("-b 127.0.0.1:{port} changing")
    side.status()  # a server that has never served stops when its workers cannot boot
    side.write("changing.py", "raise RuntimeError('on purpose')\n")
    side.kill(signal.SIGHUP)
    try:
        return server.wait(6)
    except AssertionError:
        return "runs on"


S = signal
GROUPS = [
    Group(
        "signals",
        {
            "boot": boot,
            "request-hooks": request_hooks("/x?y=1"),
            "request-hooks-failing": request_hooks("/respond?%7B%22raise%22:%22first%22%7D"),
            "hup": to_master(S.SIGHUP, 1),
            "hup-log-words": hup_words,
            "ttin": to_master(S.SIGTTIN, 2),
            "ttou": to_master(S.SIGTTOU, 1),
            "ttou-at-one": to_master(S.SIGTTOU, 1),
            "usr1": to_master(S.SIGUSR1, 1),
            "winch-no-daemon": to_master(S.SIGWINCH, 1),
            "chld": to_master(S.SIGCHLD, 1),
            "worker-term": to_worker(S.SIGTERM),
            "worker-quit": to_worker(S.SIGQUIT),
            "worker-int": to_worker(S.SIGINT),
            "worker-abrt": to_worker(S.SIGABRT),
            "worker-kill": to_worker(S.SIGKILL, words=False),
            "worker-hup": to_worker(S.SIGHUP, words=False),
            "worker-usr2": to_worker(S.SIGUSR2, words=False),
            "worker-segv": to_worker(S.SIGSEGV, words=False),
            "worker-killed-words": to_worker(S.SIGHUP),
            "worker-usr1": to_worker(S.SIGUSR1, dies=False),
            "worker-winch": to_worker(S.SIGWINCH, dies=False),
            "worker-ttin": to_worker(S.SIGTTIN, dies=False),
            "term": ending(S.SIGTERM),
        },
        "-w 1 -p pid scene",
        config=TRACED,
    ),
    Group("end-int", {"end-int": started_and_ended(S.SIGINT)}, config=TRACED),
    Group("end-quit", {"end-quit": started_and_ended(S.SIGQUIT)}, config=TRACED),
    Group("end-term-3", {"end-term-workers": started_and_ended(S.SIGTERM, "-w 3 scene")}),
    Group("end-abrt", {"end-abrt": started_and_ended(S.SIGABRT, "-t 2 scene")}),
    Group("busy-term", {"busy-term": busy_end(S.SIGTERM)}),
    Group("busy-int", {"busy-int": busy_end(S.SIGINT)}),
    Group("busy-term-quit", {"busy-term-quit": busy_end(S.SIGTERM, S.SIGQUIT)}),
    Group("stubborn", {"stubborn-worker": stubborn}),
    Group("master-killed", {"master-killed": master_killed}),
    Group("storm", {"signal-storm": many_signals}),
    Group("usr1", {"usr1-reopens": reopened}),
    Group("upgrade-new", {"upgrade-rolled-back": upgrade("new")}),
    Group("upgrade-old", {"upgrade-finished": upgrade("old")}),
    Group("daemon", {"daemon-winch-hup": winch_in_daemon}),
    Group("hup-changes", {"hup-changes": hup_changes}),
    Group("hup-broken", {"hup-broken-config": hup_broken}),
    Group("hup-app-broken", {"hup-broken-app": hup_app_broken}),
]

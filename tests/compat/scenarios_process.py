"""Processes: exit codes, pidfiles, users, sockets, systemd, limits of a worker's life."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness import wait_for
from monoceros import _core
from pair import Side
from patience import pace, quiet_for
from scenario import Group, Look
from scenarios_signals import TRACED, calm, told

# Becomes a server whose sockets are given as systemd does: LISTEN_FDS from descriptor 3 on.
ACTIVATE = """
import os, sys
fds = [int(fd) for fd in sys.argv[1].split(",")]
copies = [os.dup(fd) for fd in fds]
for number, fd in enumerate(copies, 3):
    os.dup2(fd, number)
    os.set_inheritable(number, True)
os.environ["LISTEN_PID"] = str(os.getpid())
os.environ["LISTEN_FDS"] = str(len(fds))
os.execv(sys.argv[2], sys.argv[2:])
"""


def leaves(args: str, env: Mapping[str, str] | None = None, words: bool = False) -> Look:
    """A server that cannot go on: its exit code, hooks, and whether a pidfile is left."""

    def look(side: Side) -> Any:
        (side.dir / "pid").unlink(missing_ok=True)
        found = side.finish(f"-b 127.0.0.1:{{port}} -p pid {args}", env)
        levels = [line.split()[0] for line in found["log"]]
        shown = found["log"] if words else sorted(set(levels) - {"INFO", "DEBUG"})
        return {
            "code": found["code"], "log": shown, "hooks": side.trace(),
            "pidfile": side.read("pid") != "", "silent": not side.log(),
        }  # fmt: skip

    return look


def port_taken(side: Side) -> Any:
    with socket.socket() as other:
        other.bind(("127.0.0.1", side.port))
        other.listen()
        begun = time.monotonic()
        found = side.finish("-b 127.0.0.1:{port} scene", timeout_s=20)
    retried = 3.5 < time.monotonic() - begun < 10
    return found["code"], retried, len([x for x in found["log"] if x.startswith("ERROR")])


def pidfile_of(content: str) -> Look:
    """A pidfile that is there already: {alive} is this process, which counts as a server because
    it has the core of one in memory; {dead} one that has ended."""
    assert _core.__file__

    def look(side: Side) -> Any:
        done = subprocess.Popen([sys.executable, "-c", ""])
        done.wait()
        text = content.replace("{alive}", str(os.getpid())).replace("{dead}", str(done.pid))
        (side.dir / "pid").write_text(text)
        server = side.launch("-b 127.0.0.1:{port} -p pid scene")
        wait_for(
            lambda: (
                server.code() is not None
                or (side.read("pid") == f"{server.pid}\n" and side.ready_workers())
            ),
            "a decision",
        )
        if server.code() is not None:
            return {"code": server.code(), "same": side.read("pid") == text}
        mode = stat.S_IMODE((side.dir / "pid").stat().st_mode)
        return {"code": side.stop(), "mode": mode, "left": side.read("pid")}

    return look


def pidfile_replaced(side: Side) -> Any:
    """Another's number in the pidfile at the end: the file stays."""
    side.start("-b 127.0.0.1:{port} -p pid scene")
    (side.dir / "pid").write_text("1\n")
    return side.stop(), side.read("pid")


def as_nobody(extra: str, bind: str = "127.0.0.1:{port}") -> Look:
    """Who the worker is, as it tells itself; the master stays root.

    The application is preloaded, for nobody may be barred from the interpreter's own files.
    """

    def look(side: Side) -> Any:
        os.chmod(side.dir, 0o777)
        for parent in list(side.dir.parents)[:4]:
            with contextlib.suppress(OSError):
                os.chmod(parent, os.stat(parent).st_mode | 0o055)
        side.start(f"-b {bind} --preload {extra} scene")
        address = None if "unix" not in bind else str(side.dir / "s")
        found = json.loads(side.get("/process", address))
        kept = ("uid", "gid", "groups", "umask", "cwd", "env", "software")
        shown: dict[str, Any] = {name: found[name] for name in kept}
        if address:
            made = (side.dir / "s").stat()
            shown["socket"] = [oct(stat.S_IMODE(made.st_mode)), made.st_uid, made.st_gid]
        shown["master"] = os.stat(f"/proc/{side.pid}").st_uid
        shown["code"] = side.stop()
        shown["socket-left"] = (side.dir / "s").exists()
        return shown

    return look


def file_in_the_way(side: Side) -> Any:
    """A plain file where the unix socket should be."""
    side.write("s", "precious")
    code = side.finish("-b unix:{dir}/s scene")["code"]
    return code, side.read("s")


def stale_socket(side: Side) -> Any:
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(str(side.dir / "s"))
    side.start("-b unix:{dir}/s scene")
    return side.status("/", str(side.dir / "s")), side.stop()


def two_binds(side: Side) -> Any:
    side.start("-b 127.0.0.1:{port} -b unix:{dir}/s -b 127.0.0.1:{port2} scene")
    answers = [side.status(), side.status("/", str(side.dir / "s"))]
    answers.append(side.status("/", ("127.0.0.1", side.other_port)))
    return answers, side.lines(), side.stop()


def bind_fd(side: Side) -> Any:
    """fd://N: a socket that was made by somebody else."""
    with socket.socket() as given:
        given.bind(("127.0.0.1", side.port))
        side.start(f"-b fd://{given.fileno()} scene", pass_fds=[given.fileno()])
        return side.status(), side.lines(), side.stop()


def ipv6(side: Side) -> Any:
    side.start("-b [::1]:{port} scene")
    environ = json.loads(side.get("/", ("::1", side.port)))
    kept = ("REMOTE_ADDR", "SERVER_NAME")
    return {name: environ[name] for name in kept}, side.lines(), side.stop()


@contextlib.contextmanager
def notified(side: Side) -> Iterator[tuple[str, socket.socket]]:
    """A NOTIFY_SOCKET."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        path = str(side.dir / "notify")
        heard.bind(path)
        heard.setblocking(False)
        yield path, heard


def said(heard: socket.socket) -> list[str]:
    found = []
    with contextlib.suppress(BlockingIOError):
        while True:
            found += heard.recv(4096).decode().split("\n")
    return found


def systemd_ready(side: Side) -> Any:
    """That READY=1 is said once, whatever else is."""
    with notified(side) as (path, heard):
        side.start("-b 127.0.0.1:{port} scene", {"NOTIFY_SOCKET": path})
        calm(side)
        first = said(heard)
        code = side.stop()
        return {"ready": first.count("READY=1"), "status": any("STATUS=" in x for x in first),
                "code": code}  # fmt: skip


def systemd_says(side: Side) -> Any:
    """The kinds of everything that systemd is told over start, reload and stop."""
    with notified(side) as (path, heard):
        side.start("-b 127.0.0.1:{port} scene", {"NOTIFY_SOCKET": path})
        calm(side)
        old = side.workers()
        side.kill(signal.SIGHUP)
        side.replaced(old)
        calm(side)
        side.stop()
        return sorted({line.split("=")[0] for line in said(heard)})


def systemd_sockets(side: Side) -> Any:
    """Socket activation with a TCP and a unix socket; bind is ignored, files are kept."""
    with socket.socket() as tcp, socket.socket(socket.AF_UNIX) as unix:
        tcp.bind(("127.0.0.1", side.port))
        tcp.listen()
        unix.bind(str(side.dir / "s"))
        unix.listen()
        fds = [tcp.fileno(), unix.fileno()]
        prefix = [side.python, "-c", ACTIVATE, ",".join(map(str, fds))]
        side.start("-b 127.0.0.1:{port2} scene", prefix=prefix, pass_fds=fds)
        answers = [side.status(), side.status("/", str(side.dir / "s"))]
        old = side.workers()
        side.kill(signal.SIGHUP)
        side.replaced(old)
        answers.append(side.status())
        return {
            "answers": answers, "log": [x for x in side.lines() if "Listening" in x],
            "code": side.stop(), "file": (side.dir / "s").exists(),
        }  # fmt: skip


def systemd_foreign(side: Side) -> Any:
    """LISTEN_PID of another process: not for us."""
    env = {"LISTEN_PID": "1", "LISTEN_FDS": "1"}
    side.start("-b 127.0.0.1:{port} scene", env)
    return side.status(), side.stop()


def reuse_port(side: Side) -> Any:
    side.start("-b 127.0.0.1:{port} -w 2 --reuse-port scene", workers=2)
    return [side.status() for _ in range(4)], side.stop()


def preload(side: Side) -> Any:
    """The application is loaded once, in the master, before the workers."""
    side.write("counted.py", "import os\nfrom scene import application, note\nnote('imported')\n")
    side.start("-b 127.0.0.1:{port} -w 2 --preload counted", workers=2)
    calm(side)
    first = side.trace()
    old = side.workers()
    side.kill(signal.SIGHUP)
    side.replaced(old)
    calm(side)
    return first, side.trace(), side.stop()


def max_requests(args: str) -> Look:
    """How many workers answer ten requests, one after the other, and what is logged."""

    def look(side: Side) -> Any:
        side.start(f"-b 127.0.0.1:{{port}} {args} scene")
        codes = []
        for _ in range(6):
            codes.append(side.status())
            calm(side)
            side.settle(1)
        boots = [line for line in side.lines() if "Booting" in line or "Autorestarting" in line]
        return codes, boots, side.stop()

    return look


def jitter(side: Side) -> Any:
    """Each worker gets its own number of requests, between 2 and 12."""
    side.start("-b 127.0.0.1:{port} --max-requests 2 --max-requests-jitter 10 scene")
    pids = [side.get("/pid") for _ in range(40)]
    lives = [len(list(same)) for _, same in itertools.groupby(pids)]
    return len(lives) > 2 and all(2 <= life <= 12 for life in lives[:-1])


def titles(args: str) -> Look:
    """What ps shows, with setproctitle installed."""

    def look(side: Side) -> Any:
        side.start(f"-b 127.0.0.1:{{port}} -w 2 {args}", workers=2)
        pids = [side.pid, *side.workers()]
        found = [Path(f"/proc/{pid}/cmdline").read_text().strip("\0") for pid in pids]
        side.stop()
        return [side.clean(text) for text in found]

    return look


def timed_out(args: str, target: str) -> Look:
    """A stuck worker: hooks, levels of what is logged, and that another takes its place."""

    def look(side: Side) -> Any:
        side.start(f"-b 127.0.0.1:{{port}} -t 1 {args} scene")
        calm(side)
        told(side)
        old = side.workers()
        try:
            answer = side.ask(
                f"GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode()
            ).split("\r\n")[0]
        except OSError as error:
            answer = type(error).__name__
        side.replaced(old)
        calm(side)
        log = side.log()
        return {
            "hooks": side.trace(), "answer": answer,
            "timeout-line": f"[CRITICAL] WORKER TIMEOUT (pid:{old[0]})" in log,
            "alive": side.status(),
        }  # fmt: skip

    return look


def not_timed_out(side: Side) -> Any:
    """timeout 0: never; and an idle worker beats its heart."""
    side.start("-b 127.0.0.1:{port} -t 1 scene")
    old = side.workers()
    quiet_for(2.5, "no worker is found stuck")
    return side.workers() == old, side.stop()


def killed_while_busy(side: Side) -> Any:
    """An application that ends its process: the client gets nothing, another worker comes."""
    side.start("-b 127.0.0.1:{port} scene")
    old = side.workers()
    try:
        answer = side.ask(b"GET /exit?5 HTTP/1.1\r\nHost: h\r\n\r\n")
    except OSError as error:
        answer = type(error).__name__
    side.replaced(old)
    lines = [line for line in side.lines() if line.startswith("ERROR")]
    return answer, lines, side.status()


def exits_in_request(code: int) -> Look:
    """An application that ends its process with the codes that mean "cannot boot"."""

    def look(side: Side) -> Any:
        server = side.start("-b 127.0.0.1:{port} scene")
        with contextlib.suppress(OSError):
            side.ask(f"GET /exit?{code} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
        try:
            return server.wait(4)
        except AssertionError:
            return "runs on"

    return look


def environment_of(side: Side) -> Any:
    """raw_env, chdir, the interpreter's path and what the server sets itself."""
    (side.dir / "sub").mkdir()
    (side.dir / "lib").mkdir()
    args = "-e COMPAT_X=a=b --chdir sub --pythonpath {dir}/lib,{dir} -m 027 -n name scene"
    side.start(f"-b 127.0.0.1:{{port}} {args}")
    return side.get("/process"), side.stop()


def no_files(side: Side) -> Any:
    """What is written where nobody asked for it."""
    before = {str(path) for path in side.dir.rglob("*")}
    side.start("-b 127.0.0.1:{port} scene")
    side.status()
    after = {
        str(path.relative_to(side.dir)) for path in side.dir.rglob("*") if str(path) not in before
    }
    side.stop()
    mine = {"stderr.log", "stdout.log"}
    return sorted(name for name in after - mine if not name.endswith(".ctl"))


def foreign_child(side: Side) -> Any:
    """A child that the master did not make as a worker is reaped quietly."""
    hook = "import subprocess\ndef when_ready(server):\n    subprocess.Popen(['sleep', '0.2'])\n"
    side.write("gunicorn.conf.py", hook)
    side.start("-b 127.0.0.1:{port} scene")
    pace(0.6, "the child that the hook started lives 0.2 s")
    zombies = 0
    for pid in os.listdir("/proc"):
        with contextlib.suppress(OSError, IndexError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            zombies += fields[0] == "Z" and int(fields[1]) == side.pid
    return zombies, [x for x in side.lines() if "INFO" not in x], side.stop()


def hook_fails(name: str, args: str = "server") -> str:
    return f"def {name}({args}):\n    raise RuntimeError('on purpose')\n"


def failing(name: str, args: str = "server") -> Group:
    """A hook that raises at the start."""
    return Group(
        f"hook-{name}",
        {f"hook-fails-{name}": leaves("-w 1 scene")},
        config=TRACED + hook_fails(name, args),
    )


def failing_later(name: str, args: str, doing: signal.Signals | str) -> Group:
    """A hook that raises in a running server: whether the server goes on."""

    def look(side: Side) -> Any:
        server = side.start("-b 127.0.0.1:{port} -w 1 scene")
        if isinstance(doing, str):
            answer: Any = side.status(doing)
        else:
            os.kill(side.workers()[0] if name == "child_exit" else side.pid, doing)
            answer = None
        with contextlib.suppress(AssertionError):
            wait_for(lambda: server.code() is not None, "an end", 2.0)
        if server.code() is not None:
            return server.code()
        wait_for(side.ready_workers, "a worker")
        return "runs on", answer, [line.split()[0] for line in side.lines() if "INFO" not in line]

    return Group(f"hook-{name}", {f"hook-fails-{name}": look}, config=hook_fails(name, args))


def two_fail(side: Side) -> Any:
    """Which of the two is first, and whether gunicorn then ends with 1 or 3, is chance."""
    return side.finish("-b 127.0.0.1:{port} -w 2 nothere")["code"] in (1, 3)


LEAVES: dict[str, Look] = {
    "exit-app-missing": leaves("nothere"),
    "exit-app-attribute": leaves("scene:nothere"),
    "exit-app-none": leaves("scene:nothing()"),
    "exit-app-fails": leaves("scene:broken()"),
    "exit-app-raises": leaves("raises"),
    "exit-app-syntax": leaves("wrong"),
    "exit-app-exits": leaves("exits"),
    "exit-app-none-given": leaves(""),
    "exit-preload-missing": leaves("--preload nothere"),
    "exit-preload-attribute": leaves("--preload scene:nothere"),
}
LEAVES_TOO: dict[str, Look] = {
    "exit-worker-class": leaves("-k nothere scene"),
    "exit-bad-address": leaves("-b nothere:x scene"),
    "exit-bad-host": leaves("-b 203.0.113.1:1 scene"),
    "exit-log-config": leaves("--log-config nothere.ini scene"),
    "exit-error-log": leaves("--error-logfile {dir}/no/where scene"),
    "exit-access-log": leaves("--access-logfile {dir}/no/where scene"),
    "exit-logger-class": leaves("--logger-class nothere.Logger scene"),
    "exit-pidfile-directory": leaves("-p {dir}/no/where scene"),
    "exit-tmp-dir": leaves("--worker-tmp-dir {dir}/no/where scene"),
    "exit-certfile": leaves("--certfile {dir}/nothere scene"),
}  # fmt: skip
FILES = {"raises.py": "1 / 0\n", "wrong.py": "def (:\n", "exits.py": "import sys\nsys.exit(7)\n"}

GROUPS = [
    Group("timeout", {"timeout-busy": timed_out("", "/sleep?30")}, config=TRACED),
    Group("timeout-none", {"timeout-idle": not_timed_out}),
    Group("port-taken", {"exit-port-taken": port_taken}),
    Group("exits", LEAVES, config=TRACED, files=FILES),
    Group("exits-too", LEAVES_TOO, config=TRACED, files=FILES),
    Group("exits-two", {"exit-two-workers": two_fail}),
    *[failing(name) for name in ("on_starting", "when_ready")],
    failing("nworkers_changed", "server, new, old"),
    failing("pre_fork", "server, worker"),
    failing("post_fork", "server, worker"),
    failing("post_worker_init", "worker"),
    failing_later("on_reload", "server", signal.SIGHUP),
    failing_later("child_exit", "server, worker", signal.SIGTERM),
    failing_later("pre_request", "worker, req", "/"),
    failing_later("post_request", "worker, req, environ, resp", "/"),
    failing_later("worker_exit", "server, worker", signal.SIGHUP),
    failing_later("pre_exec", "server", signal.SIGUSR2),
    failing_later("on_exit", "server", signal.SIGTERM),
    Group("pidfile", {
        "pidfile-fresh": pidfile_of(""),
        "pidfile-alive": pidfile_of("{alive}\n"),
        "pidfile-dead": pidfile_of("{dead}\n"),
        "pidfile-nonsense": pidfile_of("nonsense\n"),
        "pidfile-replaced": pidfile_replaced,
    }),
    Group("users", {
        "user-nobody": as_nobody("-u nobody -g nogroup"),
        "user-only": as_nobody("-u nobody"),
        "user-initgroups": as_nobody("-u nobody -g nogroup --initgroups"),
        "user-none": as_nobody(""),
    }),
    Group("unix-mode", {
        "unix-mode-default": as_nobody("", "unix:{dir}/s"),
        "unix-mode-umask": as_nobody("-m 007", "unix:{dir}/s"),
        "unix-mode-user": as_nobody("-u nobody -g nogroup -m 0117", "unix:{dir}/s"),
    }),
    Group("unix-file", {"unix-file-in-the-way": file_in_the_way}),
    Group("unix-stale", {"unix-stale": stale_socket}),
    Group("binds", {"binds-three": two_binds, "binds-ipv6": ipv6}),
    Group("bind-fd", {"bind-fd": bind_fd}),
    Group("systemd", {"systemd-ready": systemd_ready, "systemd-foreign": systemd_foreign}),
    Group("systemd-says", {"systemd-says": systemd_says}),
    Group("systemd-sockets", {"systemd-sockets": systemd_sockets}),
    Group("reuse-port", {"reuse-port": reuse_port}),
    Group("preload", {"preload": preload}),
    Group("max-requests", {"max-requests": max_requests("--max-requests 2")}),
    Group("max-requests-jitter", {"max-requests-jitter": jitter}),
    Group("titles", {
        "title-name": titles("-n some-name scene"),
        "title-app": titles("scene:create()"),
    }),
    Group("killed-busy", {"worker-dies-busy": killed_while_busy}),
    Group("exit-3", {"worker-exits-3": exits_in_request(3)}),
    Group("exit-4", {"worker-exits-4": exits_in_request(4)}),
    Group("environment", {"process-environment": environment_of}),
    Group("no-files", {"no-files": no_files}),
    Group("foreign-child", {"foreign-child": foreign_child}),
]  # fmt: skip

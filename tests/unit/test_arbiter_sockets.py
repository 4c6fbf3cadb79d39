"""Where a real master listens, what it leaves behind, and how it is upgraded (USR2)."""

from __future__ import annotations

import functools
import grp
import os
import pwd
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from arbiter_harness import Server, alive, children, free_port, until


def test_ipv6(tmp_path: Path) -> None:
    with Server(tmp_path, bind=f"[::1]:{(port := free_port())}") as server:
        server.address = ("::1", port)
        server.ready()
        assert f"Listening at: http://[::1]:{port} " in server.log()


def test_several_addresses(tmp_path: Path) -> None:
    with Server(tmp_path, "-b", "unix:b.sock") as server:
        server.ready()
        server.address = str(tmp_path / "b.sock")
        assert server.answers()
        assert f"http://127.0.0.1:{server.port},unix:b.sock (" in server.log()


@pytest.mark.parametrize(("umask", "mode"), [("0", 0o777), ("0o117", 0o660), ("0077", 0o700)])
def test_unix_socket_mode_and_cleanup(tmp_path: Path, umask: str, mode: int) -> None:
    path = tmp_path / "a.sock"
    with Server(tmp_path, "--umask", umask, bind="unix:a.sock") as server:
        server.address = str(path)
        server.ready()
        assert stat.S_IMODE(path.stat().st_mode) == mode
        assert server.stop() == 0
        assert not path.exists()


def test_a_stale_unix_socket_is_replaced_and_a_file_is_not(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    with Server(tmp_path, bind="unix:a.sock") as server:
        server.address = str(path)
        server.ready()
        assert server.stop() == 0
    path.write_text("precious")
    with Server(tmp_path, bind="unix:a.sock") as server:
        assert server.exit_code() == 1
        assert "not a socket" in server.log()
    assert path.read_text() == "precious"


def test_an_address_in_use_is_retried(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with Server(tmp_path, bind=f"127.0.0.1:{port}") as server:
            server.says("Connection in use", 2)
            taken.close()
            server.address = ("127.0.0.1", port)
            server.ready()


def test_an_address_in_use_for_good_ends_with_one(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        began = time.monotonic()
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        with Server(tmp_path, bind=place) as server:
            assert server.exit_code(60) == 1
            assert time.monotonic() - began > 4.5
            assert server.log().count("Connection in use") == 5
            assert f"Cannot listen on {place}: another program does." in server.log()


def test_an_address_of_another_machine_ends_with_one(tmp_path: Path) -> None:
    with Server(tmp_path, bind="192.0.2.1:8000") as server:  # RFC 5737: nobody's
        assert server.exit_code(60) == 1
        assert server.log().count("Invalid address") == 5
        assert "Cannot listen on 192.0.2.1:8000: this machine does not have" in server.log()


def test_an_inherited_descriptor(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        os.dup2(listener.fileno(), 77, inheritable=True)
        wrapper = [sys.executable, str(tmp_path / "wrap.py")]
        (tmp_path / "wrap.py").write_text("import os, sys\nos.execvp(sys.argv[1], sys.argv[1:])\n")
        os.set_inheritable(77, True)
        config = "bind = 'fd://77'\n"
        try:
            server = _with_fd(tmp_path, config, wrapper, listener.getsockname())
        finally:
            os.close(77)
        with server:
            server.ready()


def _with_fd(folder: Path, config: str, prefix: list[str], address: tuple[str, int]) -> Server:
    real = subprocess.Popen

    def popen(*args: object, **kwargs: object) -> object:
        return real(*args, pass_fds=[77], **kwargs)  # type: ignore[call-overload]

    subprocess.Popen = popen  # type: ignore[assignment, misc]
    try:
        server = Server(folder, bind="fd://77", config=config, prefix=prefix)
    finally:
        subprocess.Popen = real  # type: ignore[misc]
    server.address = address
    return server


def test_reuse_port_binds_in_each_worker(tmp_path: Path) -> None:
    with Server(tmp_path, "--reuse-port", "-w", "2") as server:
        server.ready(2)
        until(lambda: len({server.get() for _ in range(20)}) == 2)
        assert server.stop() == 0


# ---- pidfile


def test_pidfile(tmp_path: Path) -> None:
    path = tmp_path / "server.pid"
    path.write_text("not a number")
    with Server(tmp_path, "--pid", "server.pid") as server:
        server.ready()
        assert path.read_text() == f"{server.pid}\n"
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
        assert server.stop() == 0
        assert not path.exists()


def test_pidfile_of_a_living_process(tmp_path: Path) -> None:
    path = tmp_path / "server.pid"
    path.write_text(f"{os.getpid()}\n")
    with Server(tmp_path, "--pid", "server.pid") as server:
        assert server.exit_code() == 1
        assert str(os.getpid()) in server.log()
    assert path.read_text() == f"{os.getpid()}\n"


def test_pidfile_of_somebody_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "server.pid"
    with Server(tmp_path, "--pid", "server.pid") as server:
        server.ready()
        path.write_text("1\n")
        assert server.stop() == 0
        assert path.read_text() == "1\n"


def test_pidfile_in_no_directory(tmp_path: Path) -> None:
    with Server(tmp_path, "--pid", "nowhere/server.pid") as server:
        assert server.exit_code() == 1
        assert "nowhere" in server.log()


# ---- upgrade


def _new_master(server: Server, pidfile: Path) -> int:
    until(lambda: Path(f"{pidfile}.2").exists())
    return int(Path(f"{pidfile}.2").read_text())


def test_usr2_upgrade_and_promotion(tmp_path: Path) -> None:
    pidfile = tmp_path / "server.pid"
    with Server(tmp_path, "--pid", "server.pid") as server:
        old = server.ready()
        server.send(signal.SIGUSR2)
        new = _new_master(server, pidfile)
        until(lambda: len(children(new)) == 1)
        until(lambda: int(server.get()) in children(new))
        os.kill(new, signal.SIGUSR2)
        server.says("USR2 ignored: the master that started this one still runs")
        server.send(signal.SIGUSR2)
        server.says("USR2 ignored: a new master is running already")
        assert server.stop() == 0
        assert not any(alive(pid) for pid in old)
        server.says("Master.2 has been promoted", seconds=5)
        until(lambda: pidfile.exists() and int(pidfile.read_text()) == new)
        assert not Path(f"{pidfile}.2").exists()
        assert int(server.get()) in children(new)
        os.kill(new, signal.SIGUSR2)  # once promoted, it may be upgraded as well
        newer = _new_master(server, pidfile)
        until(lambda: len(children(newer)) == 1)
        os.kill(new, signal.SIGTERM)
        until(lambda: not alive(new))
        assert server.answers()
        os.kill(newer, signal.SIGTERM)
        until(lambda: not alive(newer))
        assert not pidfile.exists()


def test_the_pidfile_is_taken_over_as_soon_as_the_old_master_has_ended(tmp_path: Path) -> None:
    """Not at the next poll: there is none here, and nothing else wakes the new master up."""
    pidfile = tmp_path / "server.pid"
    config = "import monoceros.arbiter\nmonoceros.arbiter.PROMOTION_POLL_MS = 10**8\ntimeout = 0\n"
    with Server(tmp_path, "--pid", "server.pid", config=config) as server:
        server.ready()
        server.send(signal.SIGUSR2)
        new = _new_master(server, pidfile)
        until(lambda: len(children(new)) == 1 and int(server.get()) in children(new))
        assert server.stop() == 0
        until(lambda: pidfile.exists() and int(pidfile.read_text()) == new, 30)
        server.says("Master.2 has been promoted")
        os.kill(new, signal.SIGTERM)
        until(lambda: not alive(new), 30)
        assert not pidfile.exists()


def test_usr2_rollback_keeps_the_unix_socket(tmp_path: Path) -> None:
    pidfile = tmp_path / "server.pid"
    with Server(tmp_path, "--pid", "server.pid", bind="unix:a.sock") as server:
        server.address = str(tmp_path / "a.sock")
        server.ready()
        server.send(signal.SIGUSR2)
        new = _new_master(server, pidfile)
        until(lambda: len(children(new)) == 1)
        os.kill(new, signal.SIGTERM)
        until(lambda: not alive(new))
        assert server.answers()
        assert pidfile.exists()
        server.send(signal.SIGUSR2)
        new = _new_master(server, pidfile)
        until(lambda: len(children(new)) == 1)
        os.kill(new, signal.SIGTERM)
        until(lambda: not alive(new))
        assert server.stop() == 0
        assert not os.path.exists(server.address)


def test_usr2_with_a_broken_application_leaves_the_old_master(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        server.ready()
        (tmp_path / "app.py").write_text("raise RuntimeError('typo')\n")
        server.send(signal.SIGUSR2)
        server.says("The new master is gone")
        assert server.answers()


def test_usr2_with_reuse_port(tmp_path: Path) -> None:
    pidfile = tmp_path / "server.pid"
    with Server(tmp_path, "--pid", "server.pid", "--reuse-port") as server:
        server.ready()
        server.send(signal.SIGUSR2)
        new = _new_master(server, pidfile)
        until(lambda: len(children(new)) == 1)
        assert server.stop() == 0
        until(server.answers)
        os.kill(new, signal.SIGTERM)
        until(lambda: not alive(new))


# ---- systemd


SYSTEMD = """
import os, sys
fds = [int(text) for text in sys.argv[1].split(",")]
high = [os.dup2(fd, 100 + index) for index, fd in enumerate(fds)]
for index, fd in enumerate(high):
    os.dup2(fd, 3 + index, inheritable=True)
os.environ["LISTEN_FDS"] = str(len(fds))
os.environ["LISTEN_PID"] = str(os.getpid())
os.execvp(sys.argv[2], sys.argv[2:])
"""


def test_systemd_activation_notification_and_upgrade(tmp_path: Path) -> None:
    (tmp_path / "wrap.py").write_text(SYSTEMD)
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(str(tmp_path / "notify"))
    notify.settimeout(10)
    heard: list[str] = []

    def hear(text: str) -> None:
        while not any(text in message for message in heard):
            heard.append(notify.recv(4096).decode())

    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "act.sock"))
    listener.listen()
    os.dup2(listener.fileno(), 77, inheritable=True)
    pidfile = tmp_path / "server.pid"
    env = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "400000"}
    prefix = [sys.executable, str(tmp_path / "wrap.py"), "77"]
    real = subprocess.Popen
    passing = functools.partial(real, pass_fds=[77])
    subprocess.Popen = passing  # type: ignore[assignment, misc]
    try:
        server = Server(tmp_path, "--pid", "server.pid", prefix=prefix, env=env)
    finally:
        subprocess.Popen = real  # type: ignore[misc]
        os.close(77)
    with server, notify, listener:
        server.address = str(tmp_path / "act.sock")
        server.ready()
        hear("READY=1")
        hear("WATCHDOG=1")
        assert "unix:" in server.log()
        heard.clear()
        server.send(signal.SIGHUP)
        hear("RELOADING=1")
        hear("READY=1")
        server.send(signal.SIGUSR2)
        new = _new_master(server, pidfile)
        until(lambda: len(children(new)) == 1)
        heard.clear()
        assert server.stop() == 0
        hear("STOPPING=1")
        assert server.answers()
        os.kill(new, signal.SIGTERM)
        until(lambda: not alive(new))
        assert os.path.exists(server.address)  # it is systemd's


# ---- identity


def test_daemon(tmp_path: Path) -> None:
    pidfile = tmp_path / "server.pid"
    log = tmp_path / "error.log"
    args = ["--daemon", "--pid", "server.pid", "--error-logfile", str(log), "-w", "2"]
    with Server(tmp_path, *args) as server:
        assert server.exit_code() == 0
        pid = int(str(until(lambda: pidfile.exists() and pidfile.read_text())))
        try:
            until(server.answers)
            assert os.getsid(pid) not in (pid, os.getsid(0))
            assert os.readlink(f"/proc/{pid}/fd/0") == "/dev/null"
            os.kill(pid, signal.SIGWINCH)
            until(lambda: not children(pid))
            os.kill(pid, signal.SIGHUP)
            until(lambda: len(children(pid)) == 2)
            until(server.answers)
        finally:
            os.kill(pid, signal.SIGTERM)
            until(lambda: not alive(pid))
        assert not pidfile.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_user_and_group_without_roots_other_groups(tmp_path: Path) -> None:
    user, group = pwd.getpwnam("nobody"), grp.getgrgid(pwd.getpwnam("nobody").pw_gid)
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents:
        if parent != Path("/tmp") and str(parent).startswith("/tmp/"):
            parent.chmod(0o755)
    # The interpreter's own files may be closed to nobody: all modules are loaded before.
    config = "import importlib, logging, socket, app, small\npreload_app = True\n"
    with Server(tmp_path, "-u", "nobody", "-g", group.gr_name, config=config) as server:
        (worker,) = server.ready()
        assert server.get("/ids") == f"{user.pw_uid} {group.gr_gid} []"
        # The change of user cleared the parent-death signal; it was set again.
        os.kill(server.pid, signal.SIGKILL)
        server.process.wait()
        until(lambda: not alive(worker), 0.5)


def test_as_pid_1_foreign_orphans_are_reaped_quietly(tmp_path: Path) -> None:
    if subprocess.run(["unshare", "-pf", "true"], check=False).returncode != 0:
        pytest.skip("no pid namespaces here")
    (tmp_path / "app.py").write_text(
        "import os, subprocess\n"
        "def app(environ, start_response):\n"
        "    if environ['PATH_INFO'] == '/orphan':\n"
        "        subprocess.run(['sh', '-c', 'sleep 0.2 & exit 0'])\n"
        "    return [b'ok']\n"
    )
    with Server(tmp_path, "--log-level", "debug", prefix=["unshare", "-pf"]) as server:
        until(server.answers)
        server.get("/orphan")
        server.says("which is no worker")
        assert server.answers()
        master = children(server.pid)[0]
        assert len(children(master)) == 1
        os.kill(master, signal.SIGTERM)
        assert server.exit_code() == 0

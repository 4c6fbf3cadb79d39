"""Starts that meet an obstacle: an address that is taken or not permitted, closed descriptors, a
pidfile of the past, a daemon whose application fails. Each ends in a sentence, or goes on."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from arbiter_harness import Server, alive, children, until

as_root = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root and setpriv"
)


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder that other users may enter: pytest's own are private."""
    folder = Path("/tmp") / f"monoceros-start-{os.getpid()}-{time.monotonic_ns()}"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def refused(server: Server, said: str) -> None:
    assert server.exit_code(20) == 1, server.log()
    assert said in server.log()
    assert "Traceback" not in server.log()


# ---- unix sockets


@pytest.mark.parametrize("name", ["unix:a.sock", "unix:./link/a.sock"])
def test_a_second_start_leaves_a_live_socket_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / "link").symlink_to(".")
    with Server(tmp_path, bind="unix:a.sock") as server:
        server.address = str(tmp_path / "a.sock")
        server.ready()
        command = [sys.executable, "-m", "monoceros", "-k", "small.Small", "-b", name, "app:app"]
        environ = {**os.environ, "READY_PATH": str(server.ready_path)}
        second = subprocess.run(
            command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60,
            check=False,
        )  # fmt: skip
        assert second.returncode == 1
        assert second.stderr.count("Connection in use") == 5
        assert f"Cannot listen on {name}: another program does" in second.stderr
        assert server.answers()
        assert server.stop() == 0
        assert not (tmp_path / "a.sock").exists()


def test_any_program_that_listens_is_left_alone(tmp_path: Path) -> None:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        path = tmp_path / f"{kind}.sock"
        with socket.socket(socket.AF_UNIX, kind) as taken:
            taken.bind(str(path))
            if kind == socket.SOCK_STREAM:
                taken.listen(0)
                with contextlib.ExitStack() as stack:  # its queue is full: connect() would wait
                    for _ in range(2):
                        client = stack.enter_context(socket.socket(socket.AF_UNIX))
                        client.setblocking(False)
                        client.connect_ex(str(path))
                    _is_in_use(tmp_path, path)
            else:
                _is_in_use(tmp_path, path)


def _is_in_use(folder: Path, path: Path) -> None:
    with Server(folder, bind=f"unix:{path}") as server:
        server.says("Connection in use")
        assert path.exists()


def test_two_that_start_at_once_do_not_share_a_socket(tmp_path: Path) -> None:
    """Both may find the file of one that died: one of them wins."""
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(tmp_path / "a.sock"))
    with contextlib.ExitStack() as stack:
        servers = []
        for name in ("one", "two", "three"):
            (tmp_path / name).mkdir()
            servers.append(
                stack.enter_context(Server(tmp_path / name, bind=f"unix:{tmp_path}/a.sock"))
            )
        until(lambda: sum(bool(server.workers()) for server in servers) == 1)
        for server in servers:
            if not server.workers():
                server.says("Connection in use")
        until(lambda: sum(bool(server.workers()) for server in servers) == 1)


def test_a_socket_of_another_server_is_not_removed_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    with Server(tmp_path, bind="unix:a.sock") as server:
        server.address = str(path)
        server.ready()
        path.unlink()
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(path))
            other.listen()
            assert server.stop() == 0
        assert path.exists()


def test_hup_with_another_name_of_the_same_path(tmp_path: Path) -> None:
    config = "worker_class = 'small.Small'\nbind = 'unix:a.sock'\n"
    with Server(tmp_path, bind="", config=config) as server:
        server.address = str(tmp_path / "a.sock")
        server.ready()
        inode = os.stat(server.address).st_ino
        server.configure(config.replace("a.sock", f"{tmp_path}/a.sock"))
        server.send(signal.SIGHUP)
        server.says("Booting worker", 2)
        server.wait_workers(1)
        assert "in use" not in server.log()
        assert os.stat(server.address).st_ino == inode
        assert server.answers()


def test_reuse_port_shares_a_unix_socket_and_names_its_ports(tmp_path: Path) -> None:
    with Server(tmp_path, "--reuse-port", "-w", "2", "-b", "unix:a.sock") as server:
        server.ready(2)
        assert f"Listening at: unix:a.sock,http://127.0.0.1:{server.port} (" in server.log()
        server.address = str(tmp_path / "a.sock")
        assert server.answers()
        assert server.stop() == 0
        assert not (tmp_path / "a.sock").exists()


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("none/a.sock", "the folder {0}/none does not exist. Make it"),
        ("file", "{0}/file exists and is not a socket. It is left alone"),
        ("file/a.sock", "{0}/file is not a folder"),
        ("long/" + 60 * "x" + "/" + 60 * "x", "a unix socket's path has at most 107 bytes"),
    ],
)
def test_a_path_that_cannot_be(tmp_path: Path, path: str, said: str) -> None:
    (tmp_path / "file").write_text("precious")
    (tmp_path / "long" / (60 * "x")).mkdir(parents=True)
    with Server(tmp_path, bind=f"unix:{tmp_path}/{path}") as server:
        refused(server, f"Cannot listen on unix:{tmp_path}/{path}: ")
        assert said.format(tmp_path) in server.log()
    assert (tmp_path / "file").read_text() == "precious"


@as_root
def test_a_folder_that_is_not_permitted(short: Path) -> None:
    nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    with Server(short, prefix=nobody, bind=f"unix:{short}/a.sock") as server:
        refused(server, f"the user nobody may not create files in {short}.")


@as_root
def test_a_port_that_needs_a_capability(tmp_path: Path) -> None:
    if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) <= 80:
        pytest.skip("any user may open port 80 here")
    without = ["setpriv", "--bounding-set", "-net_bind_service"]
    with Server(tmp_path, prefix=without, bind="127.0.0.1:80") as server:
        refused(server, "the user root may not open a port below 1024. Choose a higher one")
        assert "CAP_NET_BIND_SERVICE" in server.log()


@as_root
def test_another_user_without_root(short: Path) -> None:
    nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    with Server(short, "-u", "daemon", prefix=nobody) as server:
        refused(server, "user and group need root, and this process runs as nobody")
    with Server(short, "-u", "nobody", "-g", "nogroup", prefix=nobody) as server:
        server.ready()


# ---- an address in use: nothing waits for it but itself


def _taken() -> socket.socket:
    holder = socket.socket()
    holder.bind(("127.0.0.1", 0))
    holder.listen()
    return holder


def _port(holder: socket.socket) -> int:
    return int(holder.getsockname()[1])


def test_a_stop_does_not_wait_for_an_address(tmp_path: Path) -> None:
    with _taken() as holder, Server(tmp_path, bind=f"127.0.0.1:{_port(holder)}") as server:
        server.says("Retrying in 1 second")
        assert server.stop() == 0
        assert server.log().count("Connection in use") < 5


def test_a_stop_comes_through_a_reload_that_waits_for_an_address(tmp_path: Path) -> None:
    config = "worker_class = 'small.Small'\nbind = ['127.0.0.1:{}']\n"
    with _taken() as holder, Server(tmp_path, bind="", config=config.format(0)) as server:
        server.says("Booting worker")
        server.configure(config.format(_port(holder)))
        server.send(signal.SIGHUP)
        server.says("Retrying in 1 second")
        assert server.stop() == 0
        assert server.log().count("Connection in use") < 5


def test_a_reload_goes_on_once_the_address_is_free(tmp_path: Path) -> None:
    config = "worker_class = 'small.Small'\nbind = ['unix:a.sock'{}]\n"
    with _taken() as holder:
        port = _port(holder)
        with Server(tmp_path, bind="", config=config.format("")) as server:
            server.address = str(tmp_path / "a.sock")
            (worker,) = server.ready()
            server.configure(config.format(f", '127.0.0.1:{port}'"))
            server.send(signal.SIGHUP)
            server.says("Retrying in 1 second")
            assert server.workers() == [worker]
            assert server.answers()
            holder.close()
            server.says(f"Listening at: unix:a.sock,http://127.0.0.1:{port}")
            until(lambda: not alive(worker))
            server.address = ("127.0.0.1", port)
            until(server.answers)


# ---- descriptors 0 to 2


@pytest.mark.parametrize("more", ["", "--daemon --pid server.pid"])
def test_closed_standard_streams(tmp_path: Path, more: str) -> None:
    (tmp_path / "app.py").write_text(
        "import os, sys\n"
        "os.write(1, b'PRINTED'); os.write(2, b'PRINTED'); print('PRINTED')\n"
        "sys.stderr.write('PRINTED')\n"
        "def app(environ, start_response):\n"
        "    print('PRINTED', flush=True)\n"
        "    os.system('echo PRINTED')\n"
        "    return [b'%d' % os.getpid()]\n"
    )
    (tmp_path / "closed.sh").write_text('exec "$@" 0<&- 1>&- 2>&-\n')
    args = ["--error-logfile", "error.log", "--access-logfile", "access.log", *more.split()]
    with Server(tmp_path, *args, prefix=["sh", str(tmp_path / "closed.sh")]) as server:
        until(server.answers)
        worker = int(server.get())
        master = int(Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[1])
        try:
            for pid in (worker, master):
                for number in (0, 1, 2):
                    assert os.readlink(f"/proc/{pid}/fd/{number}") == "/dev/null"
        finally:
            os.kill(master, signal.SIGTERM)
            until(lambda: not alive(master))
        for name in ("error.log", "access.log"):
            text = (tmp_path / name).read_text() if (tmp_path / name).exists() else ""
            assert "PRINTED" not in text
        assert "Booting worker" in (tmp_path / "error.log").read_text()


# ---- daemons


def test_a_daemon_that_fails_says_so(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("raise RuntimeError('no database')\n")
    with Server(tmp_path, "--daemon") as server:
        assert server.exit_code() == 3
        assert "no database" in server.log()
        assert "the daemon did not start (it ended with 3)" in server.log()
    with Server(tmp_path, "--daemon", "--preload") as server:
        assert server.exit_code() == 1
        assert "no database" in server.log()
    with Server(tmp_path, "--daemon", bind=f"unix:{tmp_path}/none/a.sock") as server:
        assert server.exit_code() == 1
        assert "does not exist" in server.log()


def test_a_daemon_that_serves_is_quiet_and_holds_no_stream(tmp_path: Path) -> None:
    with Server(tmp_path, "--daemon", "--pid", "server.pid", "-w", "2") as server:
        assert server.exit_code() == 0
        assert server.log() == ""
        assert server.answers()  # at once: the command has waited for that
        master = int((tmp_path / "server.pid").read_text())
        try:
            for pid in (master, *until(lambda: children(master))):  # type: ignore[misc]
                for number in (0, 1, 2):
                    assert os.readlink(f"/proc/{pid}/fd/{number}") == "/dev/null"
        finally:
            os.kill(master, signal.SIGTERM)
            until(lambda: not alive(master))


def test_a_daemon_fills_no_memory_with_what_nobody_reads(tmp_path: Path) -> None:
    args = ["--daemon", "--pid", "server.pid", "--access-logfile", "/dev/stderr", "-k", "sync"]
    (tmp_path / "app.py").write_text(
        "import os\n"
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    return [b'%d' % os.getpid()]\n"
    )
    with Server(tmp_path, *args) as server:
        assert server.exit_code() == 0
        worker = int(server.get())
        master = int((tmp_path / "server.pid").read_text())
        files = [
            link for link in Path(f"/proc/{worker}/fd").iterdir()
            if "monoceros-start" in os.readlink(link)
        ]  # fmt: skip
        try:
            sizes = [link.stat().st_size for link in files]
            for _ in range(20):
                assert server.get()
            assert all(link.stat().st_size <= max(sizes) for link in files)
        finally:
            os.kill(master, signal.SIGTERM)
            until(lambda: not alive(master))


# ---- pidfile


def test_a_pidfile_whose_number_is_another_programs(tmp_path: Path) -> None:
    path = tmp_path / "server.pid"
    with subprocess.Popen(["sleep", "1000"]) as other:
        try:
            path.write_text(f"{other.pid}\n")
            with Server(tmp_path, "--pid", "server.pid") as server:
                server.ready()
                said = f"named process {other.pid}, which is no server of ours: sleep 1000."
                assert said in server.log()
                assert path.read_text() == f"{server.pid}\n"
        finally:
            other.kill()


def test_a_pidfile_of_a_living_server(tmp_path: Path) -> None:
    """Whatever its command line is called: here it is a program that has the server inside."""
    path = tmp_path / "server.pid"
    (tmp_path / "own.py").write_text(
        "import runpy, sys\nsys.argv[0] = 'own'\nrunpy.run_module('monoceros', run_name='__main__')"
    )
    (tmp_path / "gunicorn").write_text("import time\ntime.sleep(1000)\n")
    with subprocess.Popen([sys.executable, "-X", "dev", str(tmp_path / "gunicorn")]) as gunicorn:
        try:
            for folder in ("one", "two"):
                (tmp_path / folder).mkdir()
            with Server(tmp_path / "one") as first:
                first.ready()
                for pid in (first.pid, gunicorn.pid):
                    path.write_text(f"{pid}\n")
                    with Server(tmp_path / "two", "--pid", str(path)) as second:
                        refused(second, f"process {pid} is running already")
        finally:
            gunicorn.kill()


# ---- the command line and its files


def test_a_configuration_file_in_another_language(tmp_path: Path) -> None:
    for name, text in (
        ("x.ini", "[server:main]\nuse = egg:monoceros\n"),
        ("y.ini", "[loggers]\nkeys = root\n"),
        ("x.toml", "[monoceros]\nworkers = 4\n"),
        ("x.yaml", "workers: four\n"),
    ):
        (tmp_path / name).write_text(text)
        with Server(tmp_path, "-c", name) as server:
            refused(server, f"The configuration file {name} is not written in Python")
    (tmp_path / "settings.conf").write_text("workers = 2\n")  # any suffix does
    with Server(tmp_path, "-c", "settings.conf") as server:
        server.ready(2)

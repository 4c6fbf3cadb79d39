"""Logger: lines, handlers, files, configuration, access atoms, and when C++ may do it."""

from __future__ import annotations

import datetime
import json
import logging
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from monoceros.config import Config
from monoceros.glogging import Logger, SafeAtoms, parse_syslog_address
from monoceros.instrument.statsd import Statsd

LINE = r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}\] \[\d+\] \[INFO\] hello 1\n"


@pytest.fixture(autouse=True)
def clean_loggers() -> Iterator[None]:
    yield
    for name in ("gunicorn.error", "gunicorn.access"):
        log = logging.getLogger(name)
        for handler in list(log.handlers):
            log.removeHandler(handler)
            handler.close()
        log.filters.clear()


def configured(**settings: Any) -> Config:
    cfg = Config()
    for name, value in settings.items():
        cfg.set(name, value)
    return cfg


class Response:
    status = "200 OK"
    sent = 10
    headers = [("X-A", "1"), ("X-A", "2")]


class Request:
    headers = [("HOST", "example.org")]


ENVIRON = {
    "REMOTE_ADDR": "192.0.2.1",
    "REQUEST_METHOD": "GET",
    "RAW_URI": "/x?y",
    "PATH_INFO": "/x",
    "QUERY_STRING": "y",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "HTTP_AUTHORIZATION": "bAsic YWxhZGRpbjpzZXNhbWU=",
    "HTTP_USER_AGENT": 'a"b\n',
    "HTTP_HOST": "example.org",
}
TIME = datetime.timedelta(seconds=1, microseconds=5)


# ---- the light state, in processes that have not imported logging


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


START = """
import sys
from monoceros.config import Config
from monoceros.glogging import Logger
cfg = Config()
log = Logger(cfg)
"""


def test_plain_logging_needs_no_logging_module() -> None:
    done = run_python(
        START + "log.info('hello %s', 1); log.debug('no'); print('logging' in sys.modules)"
    )
    assert done.stdout == "False\n", done.stderr
    assert re.fullmatch(LINE, done.stderr)


def test_whoever_imports_logging_finds_the_loggers_ready() -> None:
    done = run_python(
        START + "import logging\n"
        "log2 = logging.getLogger('gunicorn.error')\n"
        "print(len(log2.handlers), log2.level, log2.propagate, type(logging.__loader__).__name__)\n"
        "log.info('hello %s', 1); log2.info('hello %s', 1); print(sys.meta_path[0].__name__)"
    )
    assert done.stdout == "1 20 False SourceFileLoader\nBuiltinImporter\n", done.stderr
    assert re.fullmatch(LINE * 2, done.stderr)


def test_asking_for_the_logger_makes_it() -> None:
    done = run_python(
        START + "print(log.error_log.name, log.access_log.handlers); log.info('hello 1')"
    )
    assert done.stdout == "gunicorn.error []\n", done.stderr
    assert re.fullmatch(LINE, done.stderr)


# ---- the full state


def test_error_log_file_and_levels(tmp_path: Path) -> None:
    path = tmp_path / "error.log"
    log = Logger(configured(errorlog=str(path), loglevel="WARNING"))
    log.info("hidden")
    log.warning("%(a)s shown", {"a": 1})
    try:
        raise ValueError("why")
    except ValueError:
        log.exception("caught")
    log.log("error", "by name")
    text = path.read_text()
    assert "hidden" not in text
    assert "[WARNING] 1 shown" in text
    assert "ValueError: why" in text
    assert "[ERROR] by name" in text


class Louder(Logger):
    def info(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        super().info(f"{msg}!", *args, **kwargs)


@pytest.mark.parametrize("kind", [Logger, Louder, Statsd])
def test_records_name_the_place_that_speaks(kind: type[Logger]) -> None:
    log = kind(configured(loglevel="debug"))
    records: list[logging.LogRecord] = []

    def take(record: logging.LogRecord) -> bool:
        records.append(record)
        return False

    log.error_log.addFilter(take)

    def speak() -> None:
        for method in (log.critical, log.error, log.warning, log.info, log.debug):
            method("said")
        log.log(20, "said")
        log.log("warning", "said")
        log.warning("said", stacklevel=1)
        try:
            raise ValueError("why")
        except ValueError:
            log.exception("said")

    speak()
    assert {(record.funcName, record.filename) for record in records} == {
        ("speak", "test_glogging.py")
    }
    assert len(records) == 9
    assert records[-1].exc_info is not None
    log.info("said", stacklevel=2)
    assert records[-1].funcName != "test_records_name_the_place_that_speaks"


def test_a_log_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="cannot be written"):
        Logger(configured(errorlog=str(tmp_path / "no" / "x.log")))


def test_reload_does_not_stack_handlers_and_failure_keeps_the_old(tmp_path: Path) -> None:
    first, second = tmp_path / "1.log", tmp_path / "2.log"
    log = Logger(configured(errorlog=str(first), accesslog="-"))
    log.setup(configured(errorlog=str(second), accesslog="-"))
    for made in (log.error_log, log.access_log):
        assert sum(hasattr(handler, "_gunicorn") for handler in made.handlers) == 1
    with pytest.raises(RuntimeError):
        log.setup(configured(errorlog=str(tmp_path / "no" / "x")))
    log.info("after")
    assert first.read_text() == ""
    assert "after" in second.read_text()


def test_reopen_files_follows_a_rename(tmp_path: Path) -> None:
    path = tmp_path / "error.log"
    log = Logger(configured(errorlog=str(path)))
    log.info("one")
    path.rename(tmp_path / "old")
    log.reopen_files()
    log.info("two")
    log.close_on_exec()
    assert "two" in path.read_text()
    assert "two" not in (tmp_path / "old").read_text()
    handler = log._get_gunicorn_handler(log.error_log)
    assert not os.get_inheritable(handler.stream.fileno())


def test_capture_output(tmp_path: Path) -> None:
    path = tmp_path / "error.log"
    code = (
        "import os\nfrom monoceros.config import Config\nfrom monoceros.glogging import Logger\n"
        f"cfg = Config(); cfg.set('errorlog', {str(path)!r}); cfg.set('capture_output', True)\n"
        "log = Logger(cfg); print('printed', flush=True); log.info('logged')\n"
        f"os.rename({str(path)!r}, {str(path) + '.1'!r}); log.reopen_files()\n"
        "os.write(2, b'written')"
    )
    done = run_python(code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    old = Path(f"{path}.1").read_text()
    assert "printed\n" in old
    assert "logged" in old
    assert path.read_text() == "written"


def test_logconfig_dict_json_and_ini(tmp_path: Path) -> None:
    out = tmp_path / "out"
    handler = {"class": "logging.FileHandler", "filename": str(out), "formatter": "generic"}
    wanted = {"handlers": {"error_console": handler, "console": handler}}
    Logger(configured(logconfig_dict=wanted)).info("by dict")
    path = tmp_path / "log.json"
    path.write_text(json.dumps(wanted))
    Logger(configured(logconfig_json=str(path))).info("by json")
    ini = tmp_path / "log.ini"
    ini.write_text(
        "[loggers]\nkeys=root,e\n[handlers]\nkeys=h\n[formatters]\nkeys=\n"
        "[logger_root]\nlevel=INFO\nhandlers=h\n"
        "[logger_e]\nqualname=gunicorn.error\nlevel=INFO\nhandlers=h\npropagate=0\n"
        "[handler_h]\nclass=FileHandler\nargs=('%(here)s/out',)\n"
    )
    Logger(configured(logconfig=str(ini))).info("by ini")
    assert [word in out.read_text() for word in ("by dict", "by json", "by ini")] == [True] * 3
    for bad in ({"logconfig": str(tmp_path / "no")}, {"logconfig_dict": {"version": 7}}):
        with pytest.raises(RuntimeError):
            Logger(configured(**bad))


def test_syslog() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(5)
        address = f"udp://127.0.0.1:{server.getsockname()[1]}"
        cfg = configured(
            syslog=True, syslog_addr=address, proc_name="a:b", syslog_facility="local0"
        )
        log = Logger(cfg)
        log.info("said")
        assert server.recv(999) == b"<134>gunicorn.a.b.error: [%d] said\x00" % os.getpid()
        assert log.access_log_enabled
        with pytest.raises(RuntimeError, match="no syslog facility called 'x'"):
            log.setup(configured(syslog=True, syslog_addr=address, syslog_facility="x"))


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("unix:///dev/log", (None, "/dev/log")),
        ("unix:///dev/log#dgram", (socket.SOCK_DGRAM, "/dev/log")),
        ("unix:///x#stream", (None, "/x")),
        ("udp://h", (socket.SOCK_DGRAM, ("h", 514))),
        ("udp://", (socket.SOCK_DGRAM, ("localhost", 514))),
        ("tcp://[::1]:5", (socket.SOCK_STREAM, ("::1", 5))),
    ],
)
def test_syslog_addresses(text: str, address: Any) -> None:
    assert parse_syslog_address(text) == address


@pytest.mark.parametrize("text", ["http://x", "udp://h:x", "localhost:5"])
def test_wrong_syslog_addresses(text: str) -> None:
    with pytest.raises(RuntimeError):
        parse_syslog_address(text)


# ---- the access log


def access_line(tmp_path: Path, pattern: str | None = None) -> str:
    path = tmp_path / "access.log"
    cfg = configured(accesslog=str(path))
    if pattern:
        cfg.set("access_log_format", pattern)
    Logger(cfg).access(Response(), Request(), ENVIRON, TIME)
    return path.read_text()


def test_combined_format(tmp_path: Path) -> None:
    line = access_line(tmp_path)
    rest = re.sub(r"\[.*?\]", "[t]", line)
    assert rest == '192.0.2.1 - aladdin [t] "GET /x?y HTTP/1.1" 200 10 "-" "a\\"b\\x0A"\n'


@pytest.mark.parametrize(
    ("atom", "text"),
    [
        ("m", "GET"), ("U", "/x"), ("q", "y"), ("H", "HTTP/1.1"), ("B", "10"), ("T", "1"),
        ("M", "1000"), ("D", "1000005"), ("L", "1.000005"), ("p", "<pid>"),
        ("{Host}i", "example.org"), ("{x-a}o", "2"), ("{remote_addr}e", "192.0.2.1"),
        ("{nope}i", "-"), ("z", "-"), ("f", "-"),
    ],
)  # fmt: skip
def test_atoms(tmp_path: Path, atom: str, text: str) -> None:
    expected = text.replace("pid", str(os.getpid()))
    assert access_line(tmp_path, f"%({atom})s") == expected + "\n"


def test_ready_made_formats(tmp_path: Path) -> None:
    found = json.loads(access_line(tmp_path, "json"))
    assert (found["status"], found["user"], found["user_agent"]) == (200, "aladdin", 'a"b\n')
    assert (found["target"], found["referer"], found["duration_us"]) == ("/x?y", None, 1000005)
    (tmp_path / "access.log").unlink()
    line = access_line(tmp_path, "logfmt")
    assert " target=/x?y " in line
    assert ' referer=- user_agent="a\\"b\\x0A" ' in line


def test_ready_made_json_holds_nothing_that_shapes_the_line(tmp_path: Path) -> None:
    """As the C++ core's: C1 controls, separators, turns of direction, DEL, lone surrogates."""
    agent = "caf\u00e9 \u009b \u007f \u2028 \u2029 \u202e \u2066 \ud800 \U0001f984"
    path = tmp_path / "access.log"
    cfg = configured(accesslog=str(path), access_log_format="json")
    Logger(cfg).access(Response(), Request(), {**ENVIRON, "HTTP_USER_AGENT": agent}, TIME)
    line = path.read_text()
    assert "\\u009B \\u007F \\u2028 \\u2029 \\u202E \\u2066 \\uD800 \U0001f984" in line
    assert json.loads(line)["user_agent"] == agent


def test_ready_made_json_shows_utf8(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    cfg = configured(accesslog=str(path), access_log_format="json")
    agent = "caf\u00e9".encode().decode("latin-1")
    Logger(cfg).access(Response(), Request(), {**ENVIRON, "HTTP_USER_AGENT": agent}, TIME)
    assert json.loads(path.read_text())["user_agent"] == "caf\u00e9"


def test_safe_atoms() -> None:
    atoms = SafeAtoms({"a": 'x"y', "{h}i": "q", "n": None})
    assert (atoms["a"], atoms["{H}i"], atoms["n"], atoms["zz"]) == ('x\\"y', "q", None, "-")


def test_a_broken_access_line_is_an_error_not_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "error.log"
    log = Logger(configured(errorlog=str(path), accesslog=str(tmp_path / "a")))
    log.access(None, None, ENVIRON, TIME)
    assert "AttributeError" in path.read_text()


IN_CORE = """
import logging
from monoceros.config import Config
from monoceros.glogging import Logger
def made(kind=Logger, **settings):
    cfg = Config()
    for name, value in settings.items():
        cfg.set(name, value)
    return kind(cfg)
class Own(Logger):
    def atoms(self, *args): return {}
class Quiet(Logger):
    def setup(self, cfg): super().setup(cfg)
"""


@pytest.mark.parametrize(
    ("made", "in_core"),
    [
        ("log = made()", False),
        ("log = made(accesslog='-')", True),
        ("log = made(accesslog='-', access_log_format='json')", True),
        ("log = made(accesslog='-'); log.access_log.addFilter(print)", False),
        ("log = made(accesslog='-'); log.access_log.addHandler(logging.NullHandler())", False),
        ("log = made(accesslog='-'); log.access_log.setLevel(30)", False),
        ("log = made(accesslog='-', logconfig_dict={'version': 1})", False),
        ("log = made(accesslog='-', syslog=True, syslog_addr='udp://127.0.0.1:9')", False),
        ("log = made(Own, accesslog='-')", False),
        ("log = made(Quiet, accesslog='-')", True),
    ],
)
def test_when_the_core_may_write_the_access_log(made: str, in_core: bool) -> None:
    done = run_python(IN_CORE + made + "\nprint(log.access_in_core)")
    assert done.stdout == f"{in_core}\n", done.stderr


def test_logger_class_by_configuration() -> None:
    assert configured().logger_class is Logger
    assert configured(logger_class="gunicorn.glogging.Logger").logger_class is Logger
    assert configured(logger_class="simple").logger_class is Logger
    assert configured(statsd_host="localhost:1").logger_class is Statsd
    assert configured(logger_class=Statsd).logger_class is Statsd


# ---- statsd


def test_statsd_metrics() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(5)
        log = Statsd(
            configured(
                statsd_host=f"127.0.0.1:{server.getsockname()[1]}",
                statsd_prefix="pre..",
                dogstatsd_tags="a:b",
            )
        )
        assert not log.access_in_core
        log.info("", extra={"metric": "gunicorn.workers", "value": 0, "mtype": "gauge"})
        log.warning("careful")
        log.access(Response(), Request(), ENVIRON, TIME)
        got = [server.recv(999).decode() for _ in range(5)]
    assert got == [
        "pre.gunicorn.workers:0|g|#a:b",
        "pre.gunicorn.log.warning:1|c|@1.0|#a:b",
        "pre.gunicorn.request.duration:1000.005|ms|#a:b",
        "pre.gunicorn.requests:1|c|@1.0|#a:b",
        "pre.gunicorn.request.status.200:1|c|@1.0|#a:b",
    ]


def test_statsd_without_a_server_is_silent() -> None:
    log = Statsd(configured(statsd_host="unix:///nonexistent/socket"))
    assert log.sock is None
    log.gauge("x", 1)

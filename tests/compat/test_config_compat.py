"""Settings beside gunicorn 27: names, defaults, flags, what is accepted, what it becomes.

Every intended difference is named in this file, with its reason.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Both = Callable[..., tuple[Any, Any]]

# Settings that only monoceros has.
OURS = {
    "behind", "body_rate_min", "client_body_buffer_size", "client_body_timeout",
    "client_header_timeout", "drain_delay", "explain", "forwarded_client",
    "http2_connection_window_size", "http2_max_continuations", "http2_max_empty_frames",
    "http2_max_pings",
    "http2_max_priorities", "http2_max_queued_frames", "http2_max_resets", "http2_max_settings",
    "http2_max_window_updates", "limit_request_body", "limit_request_head", "max_surge",
    "max_unavailable", "max_worker_memory", "proxy_protocol_timeout", "queue_timeout",
    "readiness_path", "request_buffering", "request_id_header", "request_kill_timeout",
    "request_timeout", "send_timeout", "server_timing", "stream_grace", "tls_certificates",
    "tls_crl_file", "tls_handshake_timeout", "tls_key_log_file", "tls_key_password_file",
    "tls_ocsp_file", "tls_ticket_lifetime", "tmp_upload_max", "warmup_path", "worker_lifetime_min",
    "worker_memory_kind", "ws_ping_interval", "ws_ping_timeout",
}  # fmt: skip
# Default -> why it differs.
OTHER_DEFAULTS = {
    "keepalive": "an idle connection holds no worker",
    "config": "our own file's name goes first",
    "default_proc_name": "our own name",
    "logger_class": "our own class",
    "control_socket": "there is none yet; gunicorn's default is one path for all of a user's",
}

DESCRIBE = """
import importlib, json, sys
config = importlib.import_module(sys.argv[1] + ".config")
def describe(made):
    setting = made()
    default = setting.default
    return {
        "class": made.__name__, "section": setting.section, "cli": setting.cli,
        "meta": setting.meta, "action": setting.action, "nargs": setting.nargs,
        "const": setting.const, "default": "hook" if callable(default) else repr(default),
        "value": "hook" if callable(setting.get()) else repr(setting.get()),
    }
print(json.dumps({made.name: describe(made) for made in config.KNOWN_SETTINGS}))
"""


def test_every_setting_of_gunicorn_is_here(both_print: Both) -> None:
    theirs, ours = both_print(DESCRIBE)
    assert set(ours) - set(theirs) == OURS
    assert set(theirs) - set(ours) == set()
    assert len(theirs) == 120
    for name, wanted in theirs.items():
        for part, value in wanted.items():
            if part in ("default", "value") and name in (*OTHER_DEFAULTS, "chdir", "user", "group"):
                continue
            if part in ("default", "value") and name in ("ssl_version", "cert_reqs"):
                continue  # an enum of Python's ssl there, its number here
            assert ours[name][part] == value, (name, part)


SETTLE = """
import importlib, json, sys
config = importlib.import_module(sys.argv[1] + ".config")
cases = CASES
found = []
for name, value in cases:
    cfg = config.Config()
    try:
        cfg.set(name, value)
        found.append(repr(cfg.settings[name].get()))
    except BaseException as error:
        found.append("refused")
print(json.dumps(found))
"""

VALUES: dict[str, list[Any]] = {
    "workers": ["0x10", "010", " 7 ", "1_0", "-1", -1, True, 1.5, None, "", "abc", "+3", b"3"],
    "umask": ["0o22", "022", 18, "0x12", "0b11"],
    "cert_reqs": ["0", None, 2],
    "limit_request_fields": [40000],
    "reload": ["TRUE", "False", "yes", None, 1, " true ", "", True],
    "sendfile": [None, True, False, "true", "x"],
    "pidfile": [None, 5, " x ", "", b"x"],
    "bind": ["a,b", ["a ", "b"], ("x",), None, "", [""], [1], " x "],
    "raw_env": ["A=B", ["A=B ", "C"]],
    "forwarder_headers": ["a,b , c", "", None, ["x"], "*", ",,"],
    "forwarded_allow_ips": [
        "*", "10.0.0.0/8,::1", "10.0.0.1/8", "x", "", None, "10.0.0.0/255.0.0.0", "*,1.2.3.4",
        ["1.2.3.4"], "010.0.0.1", "::ffff:1.2.3.4", "fd00::/8", "fd00::1/8", "1.2.3.4/33", "1.2.3",
    ],
    "proxy_protocol": [
        "V1", "AUTO", True, False, None, "none", "0", "1", "true", "x", " v2 ", 1, "off", "false",
    ],
    "http2_cleartext": [True, False, None, "BOTH", "upgrade", "x", " both "],
    "http_protocols": ["H1,h2", "h2, h1", "h1,h1", "h3", "", None, ["h1"], "h1,"],
    "http2_initial_window_size": ["2147483648", 0, -1, 2147483647],
    "http2_max_frame_size": [16383, 16384, 16777215, 16777216],
    "http2_max_concurrent_streams": [0, 1],
    "header_map": ["DROP", "Refuse", " drop ", None, "x", "", True],
    "reload_engine": ["poll", "auto", "x", None, ""],
    "asgi_loop": ["UVLOOP", "auto", "x", None, ""],
    "asgi_lifespan": ["ON", "x", True, None],
    "http_parser": ["FAST", "x", None],
    "statsd_host": [
        "localhost:8125", "localhost", "unix:///x", "unix:5", "[::1]:9", "a:b", None, ":5", " h:1 ",
    ],
    "user": ["root", "0", 0, None, "nosuchuser", "-1", ""],
    "group": ["root", "0", None, "nosuchgroup"],
    "chdir": ["/", "nope", ".", None, ""],
    "secure_scheme_headers": [{"a": "b"}, "x", None, {}],
    "logconfig_dict": [None, {"a": 1}],
    "worker_class": [5, None, "sync", " x "],
    "reload_extra_files": ["/nonexistent", "/nonexistent/*.py", None, "/etc/passwd"],
    "on_exit": [None, 5, "x.y.z", "nodots", "os.path.abspath"],
    "nosuchsetting": [1],
}  # fmt: skip


@pytest.mark.parametrize("name", VALUES)
def test_values(both_print: Both, name: str) -> None:
    cases = [(name, value) for value in VALUES[name]]
    theirs, ours = both_print(SETTLE.replace("CASES", repr(cases)))
    different = {
        repr(value): (a, b)
        for value, a, b in zip(VALUES[name], theirs, ours, strict=True)
        if a != b and not a.startswith("<function") and not b.startswith("<function")
    }
    assert different == {}


ARITIES = """
import functools, importlib, json, sys
config = importlib.import_module(sys.argv[1] + ".config")
class K:
    def one(self, a): pass
    def __call__(self, a): pass
hooks = {
    "lambda0": lambda: 0, "lambda1": lambda a: 0, "lambda2": lambda a, b: 0,
    "default": lambda a, b=1: 0, "varargs": lambda *a: 0, "onlykw": lambda a, *, b=1: 0,
    "method": K().one, "instance": K(), "partial": functools.partial(lambda a, b: 0, 1),
    "lambda3": lambda a, b, c: 0, "lambda4": lambda a, b, c, d: 0,
    "lambda5": lambda a, b, c, d, e: 0,
}
def settle(name, hook):
    try:
        config.Config().set(name, hook)
    except TypeError:
        return False
    return True
print(json.dumps({
    name: {label: settle(name, hook) for label, hook in hooks.items()}
    for name in ("on_exit", "pre_fork", "nworkers_changed", "post_request", "ssl_context")
}))
"""


def test_hooks_by_arity(both_print: Both) -> None:
    theirs, ours = both_print(ARITIES)
    assert ours == theirs


ADDRESSES = """
import importlib, json, sys
util = importlib.import_module(sys.argv[1] + ".util")
def parse(text):
    try:
        return repr(util.parse_address(text))
    except RuntimeError:
        return "refused"
texts = ["0.0.0.0:8000", ":80", "host", "HOST:5", "[::1]:80", "[::1]", "::1", "unix:/a",
         "unix:///a", "unix://a/b", "unix:a", "fd://3", "fd://x", "tcp://h:1", "tcp://h",
         "http://h:1", "h:x", "h:", "", "[::1", "TCP://h:1", "UNIX:/A", "h:0x10", "[Z]:1",
         "unix:" + chr(0) + "x", "tcp://[::1]:5"]
print(json.dumps({text: parse(text) for text in texts}))
"""


def test_addresses(both_print: Both) -> None:
    theirs, ours = both_print(ADDRESSES)
    assert ours == theirs


UTIL = """
import importlib, json, sys
util = importlib.import_module(sys.argv[1] + ".util")
print(json.dumps({
    "hop": sorted(util.hop_headers), "date": util.http_date(1700000000),
    "split": [list(util.split_request_uri(u)) for u in ("//a/b?c#d", "/x?y", "http://h/p", "*")],
    "unquote": util.unquote_to_wsgi_str("/%e2%82%ac%2f"),
    "ipv6": [util.is_ipv6(a) for a in ("::1", "1.2.3.4", "x")],
}))
"""


def test_util(both_print: Both) -> None:
    theirs, ours = both_print(UTIL)
    assert ours == theirs


# ---- the command

MODULE = """
def application(environ, start_response): ...
def create_app(name=None): return application
def nothing(): return None
number = 5
"""

# Arguments -> the same exit status is wanted. The words on stderr are ours.
LINES = [
    "--check-config m",
    "--check-config m:application",
    "--check-config m:create_app()",
    "--check-config m:create_app('x')",
    "--check-config m:create_app(name='x')",
    "--check-config m:create_app(number)",
    "--check-config m:nothing()",
    "--check-config m:number",
    "--check-config m:nope",
    "--check-config m:a.b",
    "--check-config m.py",
    "--check-config nope",
    "--check-config",
    "--check-config m extra",
    "m -w 2 extra",
    "--wor 2 m",
    "--nosuch m",
    "-w x m",
    "-w -1 m",
    "-w",
    "--header-map x m",
    "--header-map REFUSE --check-config m",
    "--check-config -w4 -t=5 m",
    "--check-config -w4 --timeout=5 m",
    "--check-config -m 022 --control-socket-mode 0x1 m",
    "--check-config -m 08 m",
    "--check-config --proxy-protocol v1 m",
    "--check-config --proxy-protocol m",
    "--check-config -c nope.py m",
    "--check-config -c good.py m",
    "--check-config -c bad.py m",
    "--check-config -c raises.py m",
    "--check-config -c odd.txt m",
    "--check-config -c file:good.py m",
    "--check-config -c python:good m",
    "--check-config -c python:nope m",
    "--check-config -c app.py",
    "--check-config --chdir nope m",
    "--check-config --chdir / m",
    "--check-config --chdir sub inner",
    "--check-config -k nosuchworker m",
    "--check-config -b ::1 m",
    "--check-config -e NOEQUALS m",
    "--check-config --log-level nonsense m",
    "--check-config --certfile nope m",
    "--check-config --forwarded-allow-ips 10.0.0.1/8 m",
    "--check-config --http-protocols h1,h1 m",
    "-v",
    "--help",
]


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "inner.py").write_text(MODULE)
    for name, text in {
        "m.py": MODULE,
        "good.py": "timeout = 5\nimport os\nUnrelated = 1\n",
        "bad.py": "workers = 'x'\n",
        "raises.py": "1 / 0\n",
        "odd.txt": "timeout = 5\n",
        "app.py": "wsgi_app = 'm'\n",
    }.items():
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize("line", LINES)
def test_exit_status(both_commands: Both, here: Path, line: str) -> None:
    theirs, ours = both_commands(*line.split())
    assert ours.returncode == theirs.returncode, ours.stderr
    assert bool(ours.stdout) == bool(theirs.stdout)
    # Whoever was silent stays silent, and whoever spoke on stderr does so.
    assert bool(ours.stderr) == bool(theirs.stderr), ours.stderr


SOURCES = [
    ("--print-config m", {}),
    ("--print-config -w 3 m", {"GUNICORN_CMD_ARGS": "-w 4 -t 9"}),
    ("--print-config -c good.py m", {"GUNICORN_CMD_ARGS": "-c nope.py"}),
    ("--print-config m", {"GUNICORN_CMD_ARGS": "-c good.py --bind 'x y'"}),
    ("--print-config m", {"PORT": "81", "WEB_CONCURRENCY": "6", "FORWARDED_ALLOW_IPS": "*"}),
    ("--print-config -b a -b b m", {"PORT": "81"}),
    ("--print-config -e A=1 -e B=2 --no-sendfile --reload m", {}),
    ("--print-config --paste-global a=b --statsd-host h -m 022 --name x m", {}),
    ("--print-config -c python:good -u root -g 0 --proxy-protocol auto m", {}),
]


def shown(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    pairs = (line.split(" = ", 1) for line in done.stdout.splitlines())
    return {name.strip(): value for name, value in pairs}


@pytest.mark.parametrize(("line", "environ"), SOURCES)
def test_print_config(both_commands: Both, here: Path, line: str, environ: dict[str, str]) -> None:
    theirs, ours = (shown(done) for done in both_commands(*line.split(), **environ))
    assert len(theirs) == 120
    for name, value in theirs.items():
        if name not in OTHER_DEFAULTS or (name == "config" and " -c " in line):
            assert ours[name] == value, name


def test_hup_again_reads_gunicorns_file(both_commands: Both, here: Path) -> None:
    (here / "gunicorn.conf.py").write_text("timeout = 77\n")
    theirs, ours = (shown(done) for done in both_commands("--print-config", "m"))
    assert ours["timeout"] == theirs["timeout"] == "77"


# ---- loggers

STATSD = """
import datetime, importlib, json, socket, sys
config = importlib.import_module(sys.argv[1] + ".config")
Statsd = importlib.import_module(sys.argv[1] + ".instrument.statsd").Statsd
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 0))
server.settimeout(0.3)
found = []
class R:
    status = "204 No"; sent = 5; headers = []
for prefix, tags in (("", ""), ("a", ""), ("ab", "x:y"), ("ab..", ""), (".", "")):
    cfg = config.Config()
    cfg.set("statsd_host", "127.0.0.1:%d" % server.getsockname()[1])
    cfg.set("statsd_prefix", prefix)
    cfg.set("dogstatsd_tags", tags)
    log = Statsd(cfg)
    log.gauge("g", 0); log.histogram("h", 3); log.timer("t", 4)
    log.increment("i", 1); log.decrement("d", 2)
    log.warning("w"); log.critical("c"); log.error("e"); log.exception("x")
    log.info("m", extra={"metric": "gunicorn.workers", "value": 0, "mtype": "gauge"})
    log.info("", extra={"metric": "b", "value": 0.5, "mtype": "histogram"})
    log.access(R, R, {}, datetime.timedelta(seconds=1, milliseconds=5))
while True:
    try:
        found.append(server.recv(999).decode())
    except OSError:
        break
print(json.dumps(found))
"""


def test_statsd_datagrams(both_print: Both) -> None:
    theirs, ours = both_print(STATSD)
    assert len(theirs) > 50
    assert ours == theirs


LOGGER = """
import datetime, importlib, json, os, sys
config = importlib.import_module(sys.argv[1] + ".config")
glogging = importlib.import_module(sys.argv[1] + ".glogging")
class R:
    status = "200 OK"; sent = 10; headers = [("X-A", "1"), ("X-A", "2")]
class Q:
    headers = [("HOST", "h"), ("X", 'a"b')]
environ = {"REQUEST_METHOD": "GET", "RAW_URI": "/x?y", "SERVER_PROTOCOL": "HTTP/1.1",
    "HTTP_AUTHORIZATION": "bAsic YWxhZGRpbjpzZXNhbWU=", "PATH_INFO": "/x", "QUERY_STRING": "y",
    "REMOTE_ADDR": "192.0.2.1", "HTTP_REFERER": 'r"', "HTTP_USER_AGENT": "agent"}
cfg = config.Config()
cfg.set("accesslog", "access.log")
cfg.set("errorlog", "error.log")
for name in ("access.log", "error.log"):
    if os.path.exists(name):
        os.unlink(name)
atoms = "hlutrmUqHsBbfaTMDL"
cfg.set("access_log_format", " ".join("%%(%s)s" % a for a in atoms.replace("t", ""))
    + " %({X}i)s %({x-a}o)s %({raw_uri}e)s %({none}i)s %(zz)s")
log = glogging.Logger(cfg)
log.access(R, Q, environ, datetime.timedelta(seconds=1, microseconds=5))
R.status, R.sent = "404", None
environ.pop("HTTP_AUTHORIZATION"); environ.pop("REMOTE_ADDR")
log.access(R, Q, environ, datetime.timedelta(days=1, microseconds=999))
log.info("a %s", 1); log.debug("hidden"); log.log("error", "b"); log.warning("%(k)s", {"k": 2})
import re
errors = re.sub(r"\\d+", "N", open("error.log").read())
print(json.dumps([open("access.log").read(), errors, log.access_log_enabled,
    log.error_log.name, log.error_log.propagate, glogging.CONFIG_DEFAULTS,
    log.error_fmt, log.datefmt, log.access_fmt, log.syslog_fmt]))
"""


def test_log_lines(both_print: Both) -> None:
    theirs, ours = both_print(LOGGER)
    assert ours == theirs

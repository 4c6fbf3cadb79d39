"""What existing config files, hooks, workers and loggers may import from gunicorn, where it is
absent: each name is monoceros', or docs/compat.md says that and why it is not."""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from arbiter_harness import Server, until
from monoceros import compat

PAGE = Path(__file__).resolve().parents[2] / "docs" / "compat.md"

# module -> names, absent ones included.
NAMES = {
    "app.base": "BaseApplication Application",
    "app.wsgiapp": "WSGIApplication run",
    "app.pasterapp": "serve get_wsgi_app has_logging_config",
    "arbiter": "Arbiter",
    "workers": "SUPPORTED_WORKERS",
    "workers.base": "Worker",
    "workers.sync": "SyncWorker",
    "workers.gthread": "ThreadWorker TConn",
    "workers.ggevent": "GeventWorker GeventPyWSGIWorker PyWSGIHandler PyWSGIServer",
    "workers.gtornado": "TornadoWorker",
    "workers.gasgi": "ASGIWorker",
    "workers.base_async": "AsyncWorker ALREADY_HANDLED",
    "workers.workertmp": "WorkerTmp",
    "glogging": "Logger CONFIG_DEFAULTS SafeAtoms parse_syslog_address loggers",
    "instrument.statsd": "Statsd",
    "config": "Config Setting SettingMeta KNOWN_SETTINGS make_settings get_default_config_file"
    " auto_int AccessLogFormat Bind Workers LoggerClass WorkerClass Postfork ChildExit"
    " validate_bool validate_callable validate_chdir validate_class validate_dict"
    " validate_file_exists validate_group validate_header_map_behaviour validate_list_string"
    " validate_list_of_files_or_patterns validate_pos_int validate_post_request"
    " validate_proxy_protocol validate_reload_engine validate_ssl_version validate_statsd_address"
    " validate_string validate_string_to_addr_list validate_string_to_list validate_user"
    " validate_asgi_lifespan validate_asgi_loop validate_http_parser validate_http_protocols"
    " validate_http2_cleartext validate_http2_frame_size validate_http2_stream_limit"
    " validate_http2_window_size",
    "errors": "HaltServer ConfigError AppImportError",
    "util": "import_app load_class parse_address http_date daemonize is_ipv6 close_on_exec"
    " set_non_blocking write write_nonblock write_chunk write_error bytes_to_str to_bytestring"
    " getcwd seed set_owner_process make_fail_app split_request_uri unquote_to_wsgi_str get_arity"
    " warn reraise check_is_writable _setproctitle hop_headers is_hoppish unlink",
    "sock": "create_sockets close_sockets ssl_context ssl_wrap_socket TCPSocket TCP6Socket"
    " UnixSocket BaseSocket",
    "pidfile": "Pidfile",
    "systemd": "listen_fds sd_notify",
    "debug": "spew unspew",
    "reloader": "reloader_engines",
    "http": "get_parser Message Request RequestParser",
    "http.body": "Body ChunkedReader LengthReader",
    "http.errors": "ParseException NoMoreData InvalidRequestLine InvalidRequestMethod"
    " InvalidHTTPVersion InvalidHeader InvalidHeaderName LimitRequestLine LimitRequestHeaders"
    " InvalidProxyLine InvalidProxyHeader ForbiddenProxyRequest InvalidSchemeHeaders"
    " ConfigurationProblem ChunkMissingTerminator InvalidChunkSize InvalidChunkExtension"
    " UnsupportedTransferCoding ObsoleteFolding ExpectationFailed InvalidH2CPreface"
    " InvalidResponseHeader InvalidResponseHeaderName",
    "http.message": "Request",
    "http.parser": "RequestParser",
    "http.unreader": "SocketUnreader",
    "http.wsgi": "Response FileWrapper create default_environ base_environ",
    "asgi": "",
    "ctl": "ControlClient",
    "dirty": "get_dirty_client",
    "http2": "",
    "uwsgi": "",
}

SERVER = (
    "cfg log app pid master_pid reexec_pid WORKERS LISTENERS num_workers worker_age proc_name"
    " address timeout worker_class master_name pidfile systemd SIG_QUEUE START_CTX spawn_worker"
    " spawn_workers kill_worker kill_workers manage_workers murder_workers reap_workers reload"
    " reexec halt stop wakeup WORKER_BOOT_ERROR APP_LOAD_ERROR"
)
WORKER = (
    "age pid ppid sockets app timeout cfg log booted aborted reloader nr max_requests alive tmp"
    " wsgi PIPE wait_fds SIGNALS init_process init_signals load_wsgi run notify handle_quit"
    " handle_exit handle_usr1 handle_abort handle_winch handle_error"
)
LOGGER = (
    "setup critical error warning info debug exception log access atoms atoms_wrapper_class now"
    " reopen_files close_on_exec access_log_enabled cfg loglevel error_log access_log error_fmt"
    " access_fmt syslog_fmt datefmt lock logfile"
)
CONFIG = (
    "settings set worker_class worker_class_str address uid gid proc_name logger_class is_ssl"
    " ssl_options env env_orig sendfile reuse_port paste_global_conf forwarded_allow_networks"
    " proxy_allow_networks parser get_cmd_args_from_env validate"
)
REQUEST = "method uri path query headers scheme version remote_addr peer_addr body trailers"
RESPONSE = "status status_code headers headers_sent sent response_length req"


def documented_absent() -> set[str]:
    """Of the section about imports of docs/compat.md: the first column."""
    section = PAGE.read_text().partition("\n## Imports\n")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`([\w.]+)`", row)}


ABSENT = documented_absent()


def is_documented(name: str) -> bool:
    """The name itself, or something that it is in."""
    parts = name.split(".")
    return any(".".join(parts[:count]) in ABSENT for count in range(2, len(parts) + 1))


@pytest.fixture
def alias() -> Iterator[None]:
    compat.uninstall()  # other tests load classes, which installs it
    assert importlib.util.find_spec("gunicorn") is None, "the tests' environment has gunicorn"
    compat.install()
    yield
    compat.uninstall()


@pytest.mark.parametrize("module", NAMES)
def test_what_is_imported(alias: None, module: str) -> None:
    own = f"gunicorn.{module}"
    try:
        found = importlib.import_module(own)
    except ModuleNotFoundError as error:
        assert is_documented(own), error
        assert "monoceros" in str(error)  # it says whose fault it is
        return
    assert own not in ABSENT, "documented as absent, but there"
    for name in NAMES[module].split():
        is_there = hasattr(found, name)
        assert is_there != is_documented(f"{own}.{name}"), f"{own}.{name} there: {is_there}"


def test_methods_that_are_absent_by_design() -> None:
    for name in ABSENT:
        owner, _, method = name.rpartition(".")
        module, _, kind = owner.rpartition(".")
        if kind[:1].isupper():
            cls = getattr(importlib.import_module(module.replace("gunicorn", "monoceros")), kind)
            assert not hasattr(cls, method), name


HOOKS = """
import json

def note(name, thing, names):
    absent = [n for n in names.split() if not hasattr(thing, n)]
    with open(name + ".json", "w") as out:
        json.dump(absent, out)

def when_ready(server):
    note("server", server, SERVER)
    note("log", server.log, LOGGER)
    note("cfg", server.cfg, CONFIG)

def post_worker_init(worker):
    note("worker", worker, WORKER)

def post_request(worker, req, environ, resp):
    note("request", req, REQUEST)
    note("response", resp, RESPONSE)
"""


def test_what_hooks_are_given(tmp_path: Path) -> None:
    names = {
        "SERVER": SERVER, "LOGGER": LOGGER, "CONFIG": CONFIG, "WORKER": WORKER,
        "REQUEST": REQUEST, "RESPONSE": RESPONSE,
    }  # fmt: skip
    lines = "".join(f"{name} = {text!r}\n" for name, text in names.items())
    (tmp_path / "hooks.py").write_text(lines + HOOKS)
    with Server(tmp_path, "-c", "hooks.py", "-k", "sync") as server:
        until(server.answers)
        response = tmp_path / "response.json"
        until(lambda: response.exists() and response.read_text().endswith("]"))
    missing = {path.stem: json.loads(path.read_text()) for path in tmp_path.glob("*.json")}
    assert missing.pop("server") == ["spawn_worker"]
    assert missing == {name: [] for name in ("log", "cfg", "worker", "request", "response")}

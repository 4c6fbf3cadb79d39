"""An application that configures logging does not end the server's own log without a word."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from conftest import StartServer
from harness import IS_GUNICORN, Server, wait_for

pytestmark = pytest.mark.skipif(IS_GUNICORN, reason="gunicorn's logs end")

CLASSES = {
    "sync": ("log_taker:app", []),
    "gthread": ("log_taker:app", ["--threads", "2"]),
    "gevent": ("log_taker:app", ["-k", "gevent"]),
    "asgi": ("log_taker:aapp", ["-k", "asgi"]),
}
GO_ON = {
    "dictConfig": "import logging.config; logging.config.dictConfig({'version': 1})",
    "fileConfig": (
        "import io, logging.config; logging.config.fileConfig(io.StringIO("
        "'[loggers]\\nkeys=root\\n[handlers]\\nkeys=\\n[formatters]\\nkeys=\\n"
        "[logger_root]\\nhandlers=\\n'))"
    ),
    "Django": (
        "import django, django.conf; django.conf.settings.configure(LOGGING={'version': 1}); "
        "django.setup()"
    ),
    "root": "import logging; logging.basicConfig(); logging.getLogger().handlers.clear()",
    "closed": "import logging; logging.shutdown()",
}
LOG = "import logging; log = logging.getLogger('gunicorn.{}'); "
ENDS = {
    "disabled": LOG + "log.disabled = True",
    "handlers": LOG + "log.handlers.clear()",
    "level": LOG + "log.setLevel(100)",
    "all": "import logging; logging.disable(logging.CRITICAL)",
}


def ask(server: Server, path: str) -> int:
    try:
        with urllib.request.urlopen(server.url + path, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def check_both(server: Server, access: Path, tracebacks: int = 1) -> None:
    """One request more, in both logs."""
    assert ask(server, "/raise") == 500
    wait_for(
        lambda: server.log().count("ValueError: on purpose") == tracebacks, f"in {server.log()}"
    )
    wait_for(lambda: "/raise" in access.read_text(), "the access line")


@pytest.mark.parametrize("way", GO_ON)
@pytest.mark.parametrize("name", CLASSES)
def test_what_disables_in_bulk_disables_nothing_of_ours(
    serve: StartServer, tmp_path: Path, name: str, way: str
) -> None:
    app, options = CLASSES[name]
    access = tmp_path / "access.log"
    server = serve(app, *options, "--access-logfile", str(access), env={"TAKES": GO_ON[way]})
    check_both(server, access)
    assert "[WARNING]" not in server.log()


@pytest.mark.parametrize("way", GO_ON)
def test_tornado(serve: StartServer, way: str) -> None:
    """Its access log is its own."""
    server = serve("log_taker:app", "-k", "tornado", env={"TAKES": GO_ON[way]})
    assert ask(server, "/raise") == 500
    server.wait_log("ValueError: on purpose")
    assert "[WARNING]" not in server.log()


@pytest.mark.parametrize("way", GO_ON)
def test_loggers_of_python_go_on_too(serve: StartServer, tmp_path: Path, way: str) -> None:
    """Where Python writes the access lines; and when it happens amid the service, or preloaded."""
    access = tmp_path / "access.log"
    server = serve(
        "log_taker:app", "--access-logfile", str(access), "--access-logformat",
        "%(r)s %({wsgi.url_scheme}e)s", "--preload",
        env={"TAKES": GO_ON[way], "LATER": GO_ON["dictConfig"]},
    )  # fmt: skip
    assert ask(server, "/later") == 200
    check_both(server, access)


@pytest.mark.parametrize("way", ENDS)
@pytest.mark.parametrize("name", ["error", "access"])
def test_what_ends_on_purpose_is_said_once(
    serve: StartServer, tmp_path: Path, name: str, way: str
) -> None:
    code = ENDS[way].format(name)
    access = tmp_path / "access.log"
    server = serve("log_taker:app", "--access-logfile", str(access), env={"TAKES": code})
    ask(server, "/")
    log = server.log()
    assert server.stop() == 0
    (line,) = [line for line in log.splitlines() if "[WARNING]" in line]
    if way == "disabled":
        assert f"log_taker.py, line 8, disables the logger gunicorn.{name}" in line or (
            f"<string>, line 1, disables the logger gunicorn.{name}" in line
        )
    elif way == "all":
        assert "the handlers of gunicorn.access and gunicorn.error" in line
    else:
        assert f"the handlers of gunicorn.{name}: " in line
    if name == "access":
        assert access.read_text() == ""


def test_a_logger_that_is_disabled_amid_the_service(serve: StartServer) -> None:
    server = serve("log_taker:app", env={"LATER": ENDS["disabled"].format("error")})
    ask(server, "/")
    ask(server, "/later")
    server.wait_log("disables the logger gunicorn.error")
    ask(server, "/later")
    ask(server, "/raise")
    assert server.log().count("disables the logger") == 1
    assert "on purpose" not in server.log()


def test_log_files_that_the_worker_may_not_open_stay_open(
    launch: StartServer, tmp_path: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    folder = tmp_path / "logs"
    folder.mkdir(mode=0o700)
    access, errors = folder / "access.log", folder / "error.log"
    server = launch(
        "log_taker:app", "--user", "nobody", "--access-logfile", str(access), "--preload",
        "--error-logfile", str(errors), "--access-logformat", "%(r)s %({wsgi.url_scheme}e)s",
        env={"LATER": GO_ON["dictConfig"], "TAKES": "import logging.config"},
    )  # fmt: skip

    def answers() -> bool:
        try:
            return ask(server, "/later") == 200
        except OSError:
            return False

    wait_for(answers, "an answer")
    assert ask(server, "/raise") == 500
    wait_for(lambda: "ValueError: on purpose" in errors.read_text(), "the traceback")
    wait_for(lambda: "/raise" in access.read_text(), "the access line")
    assert server.stop() == 0

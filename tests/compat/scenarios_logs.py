"""Access and error logs, syslog, statsd, and the classes that users bring."""

from __future__ import annotations

import json
import re
import socket
from typing import Any

from harness import wait_for
from pair import Side
from patience import quiet_for
from scenario import Group, Look
from scenarios_signals import calm

CLOSE = b"Host: h\r\nConnection: close\r\n\r\n"
# Requests whose access lines are compared in several formats.
REQUESTS = [
    b'GET /fixed/%20y?q=1&r=%22 HTTP/1.1\r\nReferer: http://r/"q"\r\nUser-Agent: a\\b "c"\r\n'
    b"X-One: 1\r\nx-one: 2\r\nAuthorization: Basic dXNlcjpwYXNz\r\n" + CLOSE,
    b"HEAD /x HTTP/1.0\r\n\r\n",
    b"POST /body?read HTTP/1.1\r\nContent-Length: 3\r\nAuthorization: bearer x\r\n"
    + CLOSE
    + b"abc",
    b'GET /respond?{"status":"404%20Not%20Here","headers":[["X-Out","o"],["Content-Length","5"]]}'
    b" HTTP/1.1\r\n" + CLOSE,
    b'GET /respond?{"status":"204%20None","body":[]} HTTP/1.1\r\n' + CLOSE,
    b'GET /respond?{"raise":"first"} HTTP/1.1\r\n' + CLOSE,
    b"GET /fixed/caf\x25c3\x25a9\x250a HTTP/1.1\r\nAuthorization: Basic !!\r\n" + CLOSE,
]
FORMATS = {
    "default": None,
    "words": "%(h)s %(l)s %(u)s %(r)s %(m)s %(q)s %(H)s %(s)s %(B)s %(b)s",
    "path": "%(U)s",
    "agents": "%(f)s | %(a)s",
    "fields": "%({x-one}i)s %({X-ONE}i)s %({x-out}o)s %({Content-Length}o)s %({none}i)s",
    "environ": "%({path_info}e)s %({REQUEST_METHOD}e)s %({wsgi.url_scheme}e)s %({none}e)s",
    "own-fields": "%({server}o)s %({date}o)s %({connection}o)s",
    "unknown": "%(z)s %(nothere)s 100%%",
    "widths": "[%(s)6s] [%(m)-8s] [%(b)08s] [%(B)d]",
}
SHAPES = "%(t)s %(p)s %(T)s %(M)s %(D)s %(L)s"


def logged(requests: list[bytes]) -> Look:
    """The access lines of the requests, one after the other."""

    def look(side: Side) -> Any:
        side.records("access.log")
        for raw in requests:
            before = side.read("access.log")
            side.ask(raw)
            wait_for(lambda had=before: side.read("access.log") != had, "the line")  # type: ignore
        return side.clean(side.read("access.log")).splitlines()

    return look


def atom_group(name: str, format_text: str | None) -> Group:
    config = "accesslog = 'access.log'\n"
    if format_text is not None:
        config += f"access_log_format = {format_text!r}\n"
    return Group(f"access-{name}", {f"access-{name}": logged(REQUESTS)}, "scene", config=config)


def time_shapes(side: Side) -> Any:
    """Numbers differ, their shape and unit do not: a request of a tenth of a second."""
    side.ask(b"GET /sleep?0.15 HTTP/1.1\r\n" + CLOSE)
    wait_for(lambda: side.read("access.log"), "the line")
    stamp, zone, pid, *rest = side.read("access.log").split()
    seconds, milli, micro, decimal = rest
    return {
        "stamp": re.sub(r"\d", "9", re.sub("[A-Z][a-z]+", "Mon", stamp + " " + zone)),
        "pid": pid == f"<{side.workers()[0]}>", "seconds": seconds,
        "milli": 140 < int(milli) < 1000, "micro": 140000 < int(micro) < 1000000,
        "decimal": re.sub(r"\d", "9", decimal), "agree": 0.14 < float(decimal) < 1.0,
    }  # fmt: skip


def unix_peer(side: Side) -> Any:
    side.ask(REQUESTS[0], str(side.dir / "s"))
    wait_for(lambda: side.read("access.log"), "the line")
    return side.clean(side.read("access.log"))


def refused_line(side: Side) -> Any:
    """Which refused requests have an access line."""
    found = {}
    for name, raw in {
        "garbage": b"garbage\r\n\r\n",
        "field": b"GET / HTTP/1.1\r\nHost : h\r\n\r\n",
        "length": b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n",
        "script-name": b"GET /x HTTP/1.1\r\nHost: h\r\nSCRIPT_NAME: /a\r\n\r\n",
    }.items():
        before = side.read("access.log").count("\n")
        side.ask(raw)
        quiet_for(0.2, "no second line comes")
        found[name] = side.read("access.log").count("\n") - before
    return found


def refused_words(side: Side) -> Any:
    """Level and start of what the error log says of requests that were refused."""
    side.records()
    for raw in (b"garbage\r\n\r\n", b"GET / HTTP/1.1\r\nHost : h\r\n\r\n",
                b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: x\r\n\r\n"):  # fmt: skip
        side.ask(raw)
    calm(side)
    return [line.partition(": ")[0] for line in side.lines()]


def refused_server_error(side: Side) -> Any:
    side.records()
    side.ask(b"GET /x HTTP/1.1\r\nHost: h\r\nSCRIPT_NAME: /a\r\n\r\n")
    calm(side)
    return [line.split()[0] for line in side.lines()]


def wsgi_errors(side: Side) -> Any:
    """environ["wsgi.errors"] and print(), where they end."""
    side.status("/errors")
    calm(side)
    return {name: [word for word in ("a note", "printed") if word in side.read(name)]
            for name in ("stderr.log", "stdout.log", "error.log")}  # fmt: skip


def levels(side: Side) -> Any:
    """What a quiet level leaves."""
    side.status("/")
    side.ask(b"garbage\r\n\r\n")
    code = side.stop()
    return code, [line.split()[0] for line in side.lines()]


def debug_lines(side: Side) -> Any:
    """Whether the whole configuration is shown at debug, and requests as "GET /x"."""
    side.ask(b"GET /x?y HTTP/1.1\r\n" + CLOSE)
    calm(side)
    log = side.log()
    return "Current configuration" in log, bool(re.search(r"\bworkers\W+1\n", log)), "GET /x" in log


def datagrams(side: Side, count: int) -> list[str]:
    heard: socket.socket = side.notes["heard"]
    heard.settimeout(3)
    found: list[str] = []
    try:
        while len(found) < count:
            found.append(heard.recv(4096).decode())
    except TimeoutError:
        pass
    return found


def listening(side: Side, args: str, family: int = socket.AF_INET) -> None:
    heard = socket.socket(family, socket.SOCK_DGRAM)
    side.keep(heard)
    side.notes["heard"] = heard
    heard.bind(("127.0.0.1", 0) if family == socket.AF_INET else str(side.dir / "dgram"))
    where = heard.getsockname()
    port = str(where[1]) if family == socket.AF_INET else ""
    side.start(f"-b 127.0.0.1:{{port}} {args.replace('UDP', port)} scene")


def syslog(args: str, family: int = socket.AF_INET) -> Look:
    def look(side: Side) -> Any:
        listening(side, args, family)
        side.ask(REQUESTS[0])
        found = [side.clean(text) for text in datagrams(side, 6)]
        found = [text for text in found if "Control socket" not in text]
        side.stop()
        return sorted(re.sub(r"\[\d+\]", "[<pid>]", text) for text in found)

    return look


def statsd(args: str) -> Look:
    """Every datagram of a start, some requests and a warning; durations are masked."""

    def look(side: Side) -> Any:
        listening(side, f"--statsd-host 127.0.0.1:UDP {args}")
        for raw in (REQUESTS[0], REQUESTS[3], REQUESTS[5], b"garbage\r\n\r\n"):
            side.ask(raw)
        found = datagrams(side, 12)
        side.stop()
        return sorted(re.sub(r"(duration:)[\d.e-]+", r"\1N", text) for text in found)

    return look


def captured(side: Side) -> Any:
    """capture_output: what the application prints is in the error log, also after USR1."""
    import signal

    side.start("-b 127.0.0.1:{port} --capture-output --error-logfile error.log scene")
    side.status("/errors")
    calm(side)
    first = side.read("error.log").count("printed"), side.read("stdout.log")
    (side.dir / "error.log").rename(side.dir / "error.log.1")
    side.kill(signal.SIGUSR1)
    wait_for((side.dir / "error.log").exists, "the new file")
    calm(side)
    side.status("/errors")
    calm(side)
    return first, side.read("error.log").count("printed"), side.stop()


INI = """
[loggers]
keys=root, gunicorn.error, gunicorn.access
[handlers]
keys=file
[formatters]
keys=short
[logger_root]
level=INFO
handlers=file
[logger_gunicorn.error]
level=INFO
handlers=file
propagate=0
qualname=gunicorn.error
[logger_gunicorn.access]
level=INFO
handlers=file
propagate=0
qualname=gunicorn.access
[handler_file]
class=FileHandler
formatter=short
args=('configured.log', 'a')
[formatter_short]
format=%(name)s %(levelname)s %(message)s
"""
HANDLERS = {
    "version": 1, "disable_existing_loggers": False,
    "formatters": {"short": {"format": "%(name)s %(levelname)s %(message)s"}},
    "handlers": {"f": {"class": "logging.FileHandler", "filename": "configured.log",
                       "formatter": "short"}},
    "root": {"level": "INFO", "handlers": ["f"]},
    "loggers": {
        "gunicorn.error": {"level": "INFO", "handlers": ["f"], "propagate": False},
        "gunicorn.access": {"level": "INFO", "handlers": ["f"], "propagate": False},
    },
}  # fmt: skip


def configured(args: str) -> Look:
    """What a configuration of the user's makes of a start, a request, a refusal and the end."""

    def look(side: Side) -> Any:
        side.start(f"-b 127.0.0.1:{{port}} {args} scene")
        side.ask(REQUESTS[3])
        calm(side)
        code = side.stop()
        text = side.clean(side.read("configured.log")).splitlines()
        return code, [line for line in text if "Control socket" not in line], side.lines()

    return look


def custom_worker(name: str) -> Look:
    def look(side: Side) -> Any:
        side.start(f"-b 127.0.0.1:{{port}} -k {name} scene")
        got = [side.get("/"), side.get("/")]
        if got[0].startswith("{"):
            got = [json.loads(text).get("custom.worker") for text in got]
        calm(side)
        code = side.stop()
        return got, code, side.lines(), [lines for lines in side.trace() if lines]

    return look


def custom_leaves(name: str) -> Look:
    def look(side: Side) -> Any:
        return side.finish(f"-b 127.0.0.1:{{port}} -k {name} scene")["code"]

    return look


def custom_logger(name: str, more: str = "") -> Look:
    def look(side: Side) -> Any:
        side.start(f"-b 127.0.0.1:{{port}} --logger-class {name} {more} scene")
        side.ask(REQUESTS[3])
        calm(side)
        code = side.stop()
        return code, side.lines(), side.clean(side.read("access.log")), side.trace()

    return look


EMBEDDED = """
import importlib, os
name, port = os.environ["COMPAT_NAME"], os.environ["COMPAT_PORT"]
base = importlib.import_module(name + ".app.base")
wsgiapp = importlib.import_module(name + ".app.wsgiapp")
from scene import application
class Mine(base.BaseApplication):
    def __init__(self, options):
        self.options = options
        super().__init__()
    def load_config(self):
        for key, value in self.options.items():
            if key in self.cfg.settings and value is not None:
                self.cfg.set(key.lower(), value)
    def load(self):
        return application
class Whole(base.Application):
    def init(self, parser, opts, args):
        return {"workers": 2, "BIND": "127.0.0.1:" + port}
    def load(self):
        return application
class Named(wsgiapp.WSGIApplication):
    def init(self, parser, opts, args):
        self.app_uri = "scene:create('named')"
        return {"bind": "127.0.0.1:" + port, "proc_name": "n"}
made = {
    "mine": lambda: Mine({"bind": "127.0.0.1:" + port, "workers": 1, "nothere": 5}),
    "whole": lambda: Whole("usage %(prog)s"), "named": lambda: Named("usage %(prog)s"),
}
made[os.environ["COMPAT_KIND"]]().run()
"""


def embedded(kind: str, workers: int, *args: str) -> Look:
    """A server made from Python: BaseApplication, Application and WSGIApplication."""

    def look(side: Side) -> Any:
        side.write("embedded.py", EMBEDDED)
        more = {"COMPAT_NAME": "{name}", "COMPAT_PORT": "{port}", "COMPAT_KIND": kind}
        side.launch([], more, command=["embedded.py", *args])
        wait_for(lambda: len(side.ready_workers()) >= workers, "the workers")
        body = side.get("/")
        body = "environ" if body.startswith("{") else body
        return body, len(side.workers()), side.lines_by_process(), side.stop()

    return look


PASTE = """
[app:main]
paste.app_factory = pasted:factory
greeting = hello from paste
[app:other]
paste.app_factory = pasted:factory
greeting = the other
[server:main]
use = egg:%s#main
host = 127.0.0.1
port = %d
"""
PASTED = """
def factory(global_conf, **local):
    from scene import plain
    def app(environ, start_response):
        return plain(start_response, local["greeting"] + " " + global_conf.get("x", "-"))
    return app
"""


def pasted(args: str) -> Look:
    def look(side: Side) -> Any:
        side.write("site.ini", PASTE % (side.name, side.port))
        side.write("pasted.py", PASTED)
        side.start(f"-b 127.0.0.1:{{port}} {args}")
        return side.get("/"), side.stop(), side.lines()

    return look


GROUPS = [
    *[atom_group(name, text) for name, text in FORMATS.items()],
    Group(
        "access-times", {"access-times": time_shapes}, "scene",
        config=f"accesslog = 'access.log'\naccess_log_format = {SHAPES!r}\n",
    ),
    Group(
        "access-unix", {"access-unix-peer": unix_peer}, "-b unix:{dir}/s scene",
        config="accesslog = 'access.log'\n",
    ),
    Group(
        "refused-logs",
        {"access-of-refused": refused_line, "log-of-refused": refused_words,
         "log-of-server-error": refused_server_error},
        "scene", config="accesslog = 'access.log'\n",
    ),
    Group("errors-stderr", {"wsgi-errors-stderr": wsgi_errors}, "scene"),
    Group("errors-file", {"wsgi-errors-file": wsgi_errors}, "--error-logfile error.log scene"),
    Group("level-error", {"level-error": levels}, "--log-level error scene"),
    Group("level-warning", {"level-warning": levels}, "--log-level WARNING scene"),
    Group("level-debug", {"level-debug": debug_lines}, "--log-level debug scene"),
    Group("syslog", {"syslog-udp": syslog("--log-syslog --log-syslog-to udp://127.0.0.1:UDP")}),
    Group("syslog-more", {"syslog-prefix": syslog(
        "--log-syslog --log-syslog-to udp://127.0.0.1:UDP --log-syslog-prefix pre"
        " --log-syslog-facility local3 -R --disable-redirect-access-to-syslog")}),
    Group("syslog-unix", {"syslog-unix": syslog(
        "--log-syslog --log-syslog-to unix://{dir}/dgram#dgram", socket.AF_UNIX)}),
    Group("statsd", {"statsd": statsd("")}),
    Group("statsd-more", {"statsd-prefix-tags": statsd(
        "--statsd-prefix site --dogstatsd-tags a:b,c --access-logfile access.log")}),
    Group("capture", {"capture-output": captured}),
    Group("log-ini", {"log-config-ini": configured("--log-config log.ini")},
          files={"log.ini": INI}),
    Group("log-json", {"log-config-json": configured("--log-config-json log.json")},
          files={"log.json": json.dumps(HANDLERS)}),
    Group("log-dict", {"log-config-dict": configured("")},
          config=f"logconfig_dict = {HANDLERS!r}\n"),
    Group("log-json-short", {"log-config-json-merged": configured("--log-config-json log.json")},
          files={"log.json": '{"root": {"level": "ERROR", "handlers": []}}'}),
    Group("worker-plain", {"worker-class-base": custom_worker("custom.Plain")}),
    Group("worker-sync", {"worker-class-sync": custom_worker("custom.Counting")}),
    Group("worker-refusing", {"worker-class-refuses": custom_leaves("custom.Refusing")}),
    Group("worker-failing", {"worker-class-fails": custom_leaves("custom.Failing")}),
    Group("worker-object", {"worker-class-object": custom_worker("sync")},
          config="from custom import Counting as worker_class\n"),
    Group("logger-shouting", {"logger-class-atoms": custom_logger(
        "custom.Shouting", "--access-logfile access.log --access-logformat %(custom)s|%(s)s")}),
    Group("logger-silent", {"logger-class-access": custom_logger(
        "custom.Silent", "--access-logfile access.log")}),
    Group("embed-base", {"embed-base": embedded("mine", 1)}),
    Group("embed-app", {"embed-application": embedded("whole", 2)}),
    Group("embed-args", {"embed-application-args": embedded("whole", 3, "-w", "3")}),
    Group("embed-wsgi", {"embed-wsgi": embedded("named", 1)}),
    Group("paste", {"paste": pasted("--paste site.ini"),
                    "paste-section": pasted("--paste site.ini#other --paste-global x=1")}),
]  # fmt: skip

"""The command line, config files, environment variables and ways to name the application."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pair import Side
from scenario import Group, Look

NO_CONTROL = "--no-control-socket"


def outcome(args: str, env: Mapping[str, str] | None = None) -> Look:
    """Exit code, and which kind of words appear where. The words themselves are our own."""

    def look(side: Side) -> Any:
        done = side.command(args, env)
        return {
            "code": done.returncode,
            "out": side.clean(done.stdout),
            "usage": "usage:" in done.stderr,
            "error": "rror:" in done.stderr,
            "traceback": "Traceback" in done.stderr,
            "silent": not done.stderr,
        }

    return look


def settings(args: str, *names: str, env: Mapping[str, str] | None = None) -> Look:
    """Rows of --print-config."""

    def look(side: Side) -> Any:
        done = side.command(f"--print-config {args}", env)
        rows = dict(line.split(" = ", 1) for line in done.stdout.splitlines() if " = " in line)
        found = {name.strip(): side.clean(value) for name, value in rows.items()}
        return done.returncode, {name: found.get(name, "no such row") for name in names}

    return look


def help_options(side: Side) -> Any:
    """Every option string of gunicorn's --help, and whether we know it."""
    import re

    text = side.command("--help").stdout
    found = set(re.findall(r"(?<![\w-])--?[a-zA-Z][\w-]*", text))
    # Some of the sentences mention options; only the lines that declare them count.
    declared = re.findall(r"^  (-.*?)(?:  |$)", text, re.MULTILINE)
    listed = {name for line in declared for name in re.findall(r"--?[a-zA-Z][\w-]*", line)}
    side.notes["options"] = found & listed
    wanted = OURS_ONLY if side.name == "monoceros" else set()
    return sorted((found & listed) - wanted)


OURS_ONLY = {
    "--limit-request-head", "--limit-request-body", "--client-header-timeout",
    "--client-body-timeout", "--send-timeout", "--client-body-buffer-size", "--explain",
    "--behind", "--drain-delay", "--request-id-header", "--server-timing",
}  # fmt: skip

COMMANDS = {
    "cli-version": "-v",
    "cli-version-long": "--version",
    "cli-ambiguous": "--check-config --max 5 scene",
    "cli-abbreviated": "--check-config --worker-cl sync scene",
    "cli-equals": "--check-config --workers=2 --bind=127.0.0.1:0 scene",
    "cli-glued": "--check-config -w2 -b127.0.0.1:0 -t5 scene",
    "cli-unknown": "--check-config --nonsense scene",
    "cli-no-value": "app -b",
    "cli-not-a-number": "-t x scene",
    "cli-negative": "--check-config --timeout -1 scene",
    "cli-two-apps": "--check-config app scene:nothing",
    "cli-flag-value": "--check-config --reload=yes scene",
    "cli-no-app": "--check-config",
    "cli-app-dotted": "--check-config pack.inner:application",
    "cli-app-missing": "--check-config nothere:app",
    "cli-app-attribute": "--check-config scene:nothere",
    "cli-app-py": "--check-config inner.py",
    "cli-app-factory": "--check-config scene:create('x',code=3)",
    "cli-app-factory-wrong": "--check-config scene:create(1,2,3)",
    "cli-app-factory-fails": "--check-config scene:broken()",
    "cli-app-factory-none": "--check-config scene:nothing()",
    "cli-app-number": "--check-config scene:number",
    "cli-app-nested": "--check-config scene:a.b",
    "cli-app-expression": "--check-config scene:create(number)",
    "cli-app-syntax": "--check-config wrong",
    "cli-app-raises": "--check-config raises",
    "cli-app-import": "--check-config imports",
    "cli-app-empty-part": "--check-config scene:",
    "cli-app-exits": "--check-config exits",
    "cli-config-missing": "--check-config -c nothere.py scene",
    "cli-config-directory": "--check-config -c {dir} scene",
    "cli-config-syntax": "--check-config -c wrong.py scene",
    "cli-config-raises": "--check-config -c raises.py scene",
    "cli-config-bad-value": "--check-config -c badvalue.py scene",
    "cli-config-hook-arity": "--check-config -c badhook.py scene",
    "cli-config-extension": "--check-config -c conf.txt scene",
    "cli-config-module": "--check-config -c python:goodconf scene",
    "cli-config-module-missing": "--check-config -c python:nothere scene",
    "cli-config-file-url": "--check-config -c file:goodconf.py scene",
    "cli-config-misspelt": "--check-config -c misspelt.py scene",
    "cli-config-exits": "--check-config -c exits.py scene",
    "cli-config-app": "--check-config -c withapp.py",
    "cli-config-sibling": "--check-config -c sibling.py scene",
    "cli-access-format": "--check-config --access-logformat %h scene",
    "cli-logger-class": "--check-config --logger-class nothere.Logger scene",
    "cli-paste-missing": "--check-config --paste nothere.ini",
    "cli-certfile": "--check-config --certfile {dir}/nothere --keyfile {dir}/nothere scene",
    "cli-statsd-host": "--check-config --statsd-host a:b scene",
    "cli-chdir": "--check-config --chdir pack inner",
    "cli-chdir-missing": "--check-config --chdir nothere scene",
    "cli-pythonpath": "--check-config --pythonpath pack inner",
    "cli-user": "--check-config -u nosuchuser scene",
    "cli-group": "--check-config -g nosuchgroup scene",
    "cli-umask": "--check-config --umask 09 scene",
    "cli-raw-env": "--check-config -e NAME scene",
}
FILES = {
    "goodconf.py": "workers = 3\nUpper = 1\nother = 2\n_timeout = 5\n",
    "badvalue.py": "timeout = 'soon'\n",
    "misspelt.py": "tiemout = 5\n",
    "badhook.py": "def on_exit(server, more): pass\n",
    "withapp.py": "wsgi_app = 'scene'\n",
    "sibling.py": "import goodconf\ntimeout = goodconf.workers + 4\n",
    "conf.txt": "timeout = 9\n",
    "exits.py": "import sys\nsys.exit(7)\n",
    "wrong.py": "def (:\n",
    "raises.py": "raise RuntimeError('on purpose')\n",
    "imports.py": "import nothere_at_all\n",
    "inner.py": "application = print\n",
    "pack/__init__.py": "",
    "pack/inner.py": "def application(environ, start_response): ...\n",
    "named.py": "__name__\nproc_name = __name__\nbind = ['unix:' + __file__]\n",
    "types.py": "workers = '0x10'\nreload = 'True'\ntimeout = True\nbind = 'a,b'\n",
}
ENV = {"GUNICORN_CMD_ARGS": "--workers 4 --timeout=7 --bind 'unix:/a b'"}
PRINTED: dict[str, Look] = {
    "print-defaults": settings(
        "scene", "bind", "workers", "worker_class", "threads", "timeout", "graceful_timeout",
        "backlog", "umask", "sendfile", "loglevel", "accesslog", "errorlog", "pre_fork",
        "access_log_format", "forwarded_allow_ips", "secure_scheme_headers", "worker_tmp_dir",
        "limit_request_line", "ssl_version", "cert_reqs", "user", "raw_env", "proc_name",
    ),
    "print-cli-over-env": settings("-w 5 scene", "workers", "timeout", "bind", env=ENV),
    "print-env-over-file": settings("-c goodconf.py scene", "workers", "timeout", env=ENV),
    "print-file": settings("-c goodconf.py scene", "workers", "timeout", "config"),
    "print-env-names-file": settings(
        "scene", "workers", env={"GUNICORN_CMD_ARGS": "-c goodconf.py"}
    ),
    "print-env-app-ignored": settings(
        "scene", "wsgi_app", env={"GUNICORN_CMD_ARGS": "-w 2 other:app"}
    ),
    "print-env-wrong": outcome("--print-config scene", {"GUNICORN_CMD_ARGS": "--nonsense"}),
    "print-env-quotes": outcome("--print-config scene", {"GUNICORN_CMD_ARGS": "--bind 'x"}),
    "print-port": settings("scene", "bind", env={"PORT": "8123"}),
    "print-port-and-bind": settings("-b 127.0.0.1:1 scene", "bind", env={"PORT": "8123"}),
    "print-port-empty": settings("scene", "bind", env={"PORT": ""}),
    "print-port-word": settings("scene", "bind", env={"PORT": "http"}),
    "print-concurrency": settings("scene", "workers", env={"WEB_CONCURRENCY": "6"}),
    "print-concurrency-cli": settings("-w 2 scene", "workers", env={"WEB_CONCURRENCY": "6"}),
    "print-concurrency-word": outcome("--print-config scene", {"WEB_CONCURRENCY": "many"}),
    "print-forwarded": settings(
        "scene", "forwarded_allow_ips", env={"FORWARDED_ALLOW_IPS": "10.0.0.0/8"}
    ),
    "print-forwarded-wrong": outcome("--print-config scene", {"FORWARDED_ALLOW_IPS": "nonsense"}),
    "print-sendfile": settings("scene", "sendfile", env={"SENDFILE": "no"}),
    "print-two-binds": settings("-b a:1 -b b:2 scene", "bind"),
    "print-comma-bind": settings("-b a:1,b:2 scene", "bind"),
    "print-raw-env": settings("-e A=1 -e B=2 scene", "raw_env"),
    "print-umask": settings("-m 027 scene", "umask"),
    "print-umask-hex": settings("-m 0x1f scene", "umask"),
    "print-user": settings("-u nobody -g nogroup scene", "user", "group"),
    "print-chdir": settings("--chdir pack inner", "chdir"),
    "print-app-row": settings("scene:create()", "wsgi_app", "proc_name", "default_proc_name"),
    "print-config-names": settings("-c named.py scene", "proc_name", "bind"),
    "print-config-types": settings("-c types.py scene", "workers", "reload", "timeout", "bind"),
    "print-config-twice": settings("-c goodconf.py -c named.py scene", "workers", "proc_name"),
    "print-hooks": settings("-c hooked.py scene", "on_exit"),
    "print-threads": settings("--threads 3 scene", "worker_class", "threads"),
    "print-flags": settings(
        "--no-sendfile --reload --spew --preload --daemon -R --reuse-port scene",
        "sendfile", "reload", "spew", "preload_app", "daemon", "capture_output", "reuse_port",
        "enable_stdio_inheritance",
    ),
    "print-log-flags": settings(
        "--access-logfile - --error-logfile e --log-level DEBUG --log-syslog --disable-redirect"
        "-access-to-syslog --log-syslog-facility local1 --dogstatsd-tags a:b --statsd-prefix p"
        " scene",
        "accesslog", "errorlog", "loglevel", "syslog", "disable_redirect_access_to_syslog",
        "syslog_facility", "syslog_addr", "dogstatsd_tags", "statsd_prefix", "statsd_host",
    ),
    "print-limits": settings(
        "--limit-request-line 0 --limit-request-fields 5 --limit-request-field_size 9 scene",
        "limit_request_line", "limit_request_fields", "limit_request_field_size",
    ),
    "print-keepalive": settings("scene", "keepalive"),
    "print-keepalive-given": settings("--keep-alive 2 scene", "keepalive"),
    "print-control-socket": settings("scene", "control_socket"),
    "print-not-a-worker": settings("-k nosuch scene", "worker_class"),
    "print-name": settings("-n some-name scene", "proc_name"),
}  # fmt: skip


def app_found(args: str, body: str = "/") -> Look:
    """A server that starts with these arguments, and what it answers."""

    def look(side: Side) -> Any:
        side.start(f"-b 127.0.0.1:{{port}} {args}")
        got = side.get(body)
        side.stop()
        return got

    return look


def names_config_default(side: Side) -> str:
    done = side.command("--print-config scene")
    rows = dict(line.split(" = ", 1) for line in done.stdout.splitlines() if " = " in line)
    return next(value for name, value in rows.items() if name.strip() == "config")


def row_names(side: Side) -> list[str]:
    """That --print-config, with an application that is missing, prints and then fails."""
    done = side.command("--print-config --check-config nothere:app")
    return [str(done.returncode), *(line.split(" ")[0] for line in done.stdout.splitlines())]


HALF = len(COMMANDS) // 2
GROUPS = [
    Group(
        f"cli-{half}",
        {name: outcome(args) for name, args in part},
        files=FILES,
    )
    for half, part in enumerate((list(COMMANDS.items())[:HALF], list(COMMANDS.items())[HALF:]))
] + [
    Group("cli-print", PRINTED, files={**FILES, "hooked.py": "on_exit = 'os.path.abspath'\n"}),
    Group("cli-help", {"cli-help-options": help_options}),
    Group(
        "cli-rows",
        {"name-config-default": names_config_default, "print-rows": row_names},
    ),
    Group(
        "app-forms",
        {
            "app-factory": app_found("scene:create('x',code=3)"),
            "app-module-only": app_found("pack.inner", "/"),
            "app-from-config": app_found("-c withfactory.py"),
            "app-cli-over-config": app_found("-c withfactory.py scene:create('cli')"),
            "app-chdir": app_found("--chdir pack inner"),
            "app-pythonpath": app_found("--pythonpath {dir}/pack,{dir} inner"),
        },
        files={
            "withfactory.py": "wsgi_app = \"scene:create('conf')\"\n",
            "pack/__init__.py": "",
            "pack/inner.py": "from scene import create\napplication = create('inner')\n",
        },
    ),
]

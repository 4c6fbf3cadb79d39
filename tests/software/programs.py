"""The programs: how each is installed, started, asked and driven."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

APPS = Path(__file__).resolve().parent / "apps"


@dataclass(frozen=True)
class Program:
    """`command` and `setup` know {port}, {bin} (of the environment), {apps} and {dir} (scratch)."""

    name: str
    environment: str
    command: list[str]
    probes: dict[str, str]  # path -> what its answer contains
    setup: list[list[str]] = field(default_factory=list)  # commands to run before
    client: list[str] = field(
        default_factory=list
    )  # a program that must end with 0, before and after
    env: dict[str, str] = field(default_factory=dict)
    loaded: tuple[str, ...] = ()  # what the load asks for, where it is not all of `probes`
    needs: tuple[str, ...] = ()  # services: postgres, redis
    boot_s_max: float = 60.0


def served(app: str, *args: str) -> list[str]:
    """The command that most start with; `app` lies in apps/."""
    server = ["{bin}/monoceros", "--bind", "127.0.0.1:{port}", "--workers", "2"]
    return [*server, "--chdir", "{apps}", "--graceful-timeout", "10", *args, app]


def named(app: str, *args: str) -> list[str]:
    """The same by the name gunicorn, as a Dockerfile would say it."""
    return ["{bin}/gunicorn", *served(app, *args)[1:]]


WEBSOCKETS = "geventwebsocket.gunicorn.workers.GeventWebSocketWorker"
UVICORN = ["-k", "uvicorn.workers.UvicornWorker"]
PROGRAMS = [
    Program(
        "flask-sock",
        "light",
        served("sock:app", "--threads", "20"),
        {"/": "sock"},
        client=["{bin}/python", "{apps}/ws_client.py", "ws://127.0.0.1:{port}/echo"],
    ),
    Program(
        "flask-socketio-threads",
        "light",
        served("socketio_flask:app", "--threads", "50", "-w", "1"),
        {"/": "socketio", "/socket.io/?EIO=4&transport=polling": "sid"},
        client=["{bin}/python", "{apps}/socketio_client.py", "http://127.0.0.1:{port}"],
        env={"ASYNC_MODE": "threading"},
    ),
    Program(
        "flask-socketio-gevent",
        "light",
        served("socketio_flask:app", "-k", "gevent", "-w", "1"),
        {"/": "socketio", "/socket.io/?EIO=4&transport=polling": "sid"},
        client=["{bin}/python", "{apps}/socketio_client.py", "http://127.0.0.1:{port}", "polling"],
    ),
    Program(
        "flask-socketio-gevent-websocket",
        "light",
        served("socketio_flask:app", "-k", WEBSOCKETS, "-w", "1"),
        {"/": "socketio", "/socket.io/?EIO=4&transport=polling": "sid"},
        client=[
            "{bin}/python",
            "{apps}/socketio_client.py",
            "http://127.0.0.1:{port}",
            "websocket",
        ],
    ),
    Program(
        "python-socketio",
        "light",
        named("socketio_asgi:app", *UVICORN, "-w", "1"),
        {"/": "beside it", "/socket.io/?EIO=4&transport=polling": "sid"},
        client=["{bin}/python", "{apps}/socketio_client.py", "http://127.0.0.1:{port}"],
    ),
    Program(
        "sse-starlette",
        "light",
        named("sse:app", *UVICORN),
        {"/": "sse", "/events?count=3": "data: 2"},
        client=["{bin}/python", "{apps}/sse_client.py", "http://127.0.0.1:{port}/events"],
    ),
    Program(
        "functions-framework",
        "light",
        [
            "{bin}/functions-framework",
            "--target",
            "hello",
            "--source",
            "{apps}/function.py",
            "--host",
            "127.0.0.1",
            "--port",
            "{port}",
        ],
        {"/": "function"},
    ),
    Program(
        "prometheus-flask-exporter",
        "light",
        named("exporter:app", "-c", "{apps}/exporter_conf.py"),
        {"/": "exported", "/metrics": "flask_http_request_total"},
        env={"PROMETHEUS_MULTIPROC_DIR": "{dir}"},
        # prometheus_client fails (struct.error) when it reads what another process has just begun.
        loaded=("/",),
    ),
    Program(
        "opentelemetry",
        "light",
        named("telemetry:app", "-c", "{apps}/telemetry_conf.py"),
        {"/": "traced"},
    ),
    Program("sentry", "light", named("sentry:app", "--threads", "4"), {"/": "watched"}),
    Program(
        "sqlalchemy-postgresql",
        "light",
        named("database:app", "--threads", "4", "--preload"),
        {"/": "rows"},
        needs=("postgres",),
    ),
    Program(
        "redis-celery",
        "light",
        named("tasks:app", "--threads", "4"),
        {"/": "sum 3"},
        needs=("redis", "celery"),
    ),
    Program(
        "datasette",
        "light",
        named("data:app", *UVICORN),
        {"/": "Datasette", "/-/versions.json": "python"},
    ),
    Program(
        "wagtail",
        "wagtail",
        [
            "{bin}/monoceros",
            "--bind",
            "127.0.0.1:{port}",
            "--workers",
            "2",
            "--chdir",
            "{dir}/site",
            "mysite.wsgi:application",
        ],
        {"/": "Wagtail", "/admin/login/": "password"},
        setup=[
            ["mkdir", "{dir}/site"],
            ["{bin}/wagtail", "start", "mysite", "{dir}/site"],
            ["{bin}/python", "{dir}/site/manage.py", "migrate", "--verbosity", "0"],
        ],
        env={"DJANGO_SETTINGS_MODULE": "mysite.settings.dev"},
    ),
    Program(
        "nicegui", "nicegui", named("nice:app", *UVICORN, "-w", "1"), {"/": "nice"}, boot_s_max=90
    ),
    Program(
        "mlflow",
        "mlflow",
        [
            "{bin}/mlflow",
            "server",
            "--host",
            "127.0.0.1",
            "--port",
            "{port}",
            "--workers",
            "2",
            "--backend-store-uri",
            "sqlite:///{dir}/mlflow.db",
            "--artifacts-destination",
            "{dir}",
            "--gunicorn-opts",
            "--timeout 120",
        ],
        {"/health": "OK", "/version": "."},
        boot_s_max=240,
    ),
    Program(
        "superset",
        "superset",
        [
            "{bin}/gunicorn",
            "--bind",
            "127.0.0.1:{port}",
            "--workers",
            "2",
            "-k",
            "gthread",
            "--threads",
            "8",
            "--timeout",
            "120",
            "superset.app:create_app()",
        ],
        {"/health": "OK"},
        setup=[["{bin}/superset", "db", "upgrade"]],
        env={
            "SUPERSET_SECRET_KEY": "a-key-of-thirty-two-or-more-bytes",
            "FLASK_APP": "superset",
            "SUPERSET_HOME": "{dir}",
            "SUPERSET_CONFIG_PATH": "{apps}/superset_conf.py",
        },
        boot_s_max=240,
    ),
]

"""Contracts: what one part of the package needs of another that stands above it.

For type checkers only: import it under TYPE_CHECKING. A lower room names what it is handed by a
protocol, so that it need not know who hands it; tests/meta checks that no module knows one above
it, and that no two know each other.
"""

from __future__ import annotations

from typing import Any, Protocol

from monoceros import _core


class Setting(Protocol):
    """config.Setting: one row of the table, for those who show it or read it."""

    name: Any
    cli: Any
    type: Any
    meta: Any
    action: Any
    default: Any
    short: str
    nargs: Any
    const: Any
    order: int

    def get(self) -> Any: ...
    def add_option(self, parser: Any) -> None: ...


class Settings(Protocol):
    """config.Config. Every setting is an attribute as well."""

    usage: str | None
    prog: Any

    def __getattr__(self, name: str) -> Any: ...


class Application(Protocol):
    """app.base.BaseApplication: what the master and the workers need of it."""

    cfg: Any  # a config.Config
    callable: Any  # once it is loaded

    def reload(self) -> None:
        """Reads the configuration again. Raises, or exits, where it is wrong."""

    def wsgi(self) -> Any:
        """The application, loaded at the first call in this process."""


class Worker(Protocol):
    """workers.base.Worker, in its own process."""

    pid: int | str
    alive: bool
    booted: bool
    nr: int
    cfg: Any
    log: Any
    sockets: list[Any]
    place: Any  # a workers.place.Place; None without a master
    wsgi: Any

    def notify(self) -> None: ...
    def server_stops(self) -> bool: ...
    def waits_for_master(self) -> bool: ...


class EngineWorker(Worker, Protocol):
    """workers.runner.EngineWorker, for what tells of its requests."""

    def base_environ(self, listener: Any) -> dict[str, Any]: ...
    def wake_to_tell(self) -> None: ...
    def is_running(self, exchange: _core.Exchange) -> bool: ...
    def stack_of(self, exchange: _core.Exchange, frame: Any) -> Any: ...
    def others(self, late: list[_core.Exchange]) -> list[tuple[str, Any]]: ...
    def interrupt_soon(self, exchanges: list[_core.Exchange]) -> None: ...


class GeventWorker(Worker, Protocol):
    """workers.ggevent.GeventWorker, for gevent's own server."""

    wsgi_handler: Any
    server_class: Any

    def check_max_requests(self) -> None: ...
    def check_master(self) -> None: ...
    def wake_loop(self) -> None: ...
    def wait_awake(self, seconds: float) -> None: ...


class Master(Protocol):
    """arbiter.Arbiter, for the parts of the master process and for hooks."""

    WORKER_BOOT_ERROR: int
    APP_LOAD_ERROR: int
    SIGNALS: list[Any]
    START_CTX: dict[str | int, object]
    PIPE: list[int]
    loop: Any  # a master.loop.Loop
    LISTENERS: Any
    WORKERS: dict[int, Any]
    generation: Any  # a master.generation.Generation; the next four are views of it
    app: Any
    cfg: Any
    proc_name: Any
    relay: Any
    log: Any
    pid: int
    pidfile: Any
    master_pid: int
    master_name: str
    reexec_pid: int
    systemd: bool
    scoreboard: _core.Scoreboard
    supervisor: _core.Supervisor
    configured_workers: int | None
    directory: Any  # a master.release.Directory

    @property
    def num_workers(self) -> int: ...
    def setup(self, app: Application) -> None: ...
    def set_logger(self, cfg: Any) -> None: ...
    def call_hook(self, name: str, *args: Any) -> None: ...
    def workers_changed(self, new: int, old: int | None) -> None: ...
    def reload(self) -> None: ...
    def reexec(self) -> None: ...
    def keep_from_children(self) -> None: ...
    def owns_files(self) -> bool: ...
    def forget_being_master(self) -> None: ...

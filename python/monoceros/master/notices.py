"""What the master says at its start and at a reload: where it listens, what it cannot do."""

from __future__ import annotations

from monoceros import _core, sock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from monoceros.contracts import Master
    from monoceros.master.generation import Generation


def say_where(server: Master) -> None:
    urls = [*map(str, server.LISTENERS), *sock.own_urls(server.cfg)]
    server.log.info("Listening at: %s (%s)", ",".join(urls), server.pid)


def say_what_binds(server: Master) -> None:
    """What the configuration asks for and does not get."""
    if server.num_workers == 0:
        server.log.warning("workers is 0: nobody serves until TTIN, or a HUP with another number")
    bound = _core.connections_bound()
    asked = server.cfg.worker_connections
    if bound < asked and "worker_connections" in server.cfg.sources:
        server.log.warning(
            "worker_connections is %s, but a worker holds about %s: it may open %s files, some "
            "of which are the application's. Raise ulimit -n (LimitNOFILE=).",
            asked, bound, _core.open_files_max(),
        )  # fmt: skip


def say_worker_class(generation: Generation, log: Any) -> None:
    cls, cfg = generation.worker_class, generation.cfg
    turns_asgi = getattr(cls, "turns_asgi", None)
    loaded = generation.app.callable
    asgi = turns_asgi is not None and loaded is not None and turns_asgi(cfg, loaded)
    log.info("Using worker: %s", "asgi" if asgi else cfg.worker_class_str)


def check_worker_class(generation: Generation, log: Any) -> None:
    """What the class itself, or what it is built on, has to say of the configuration."""
    cls = generation.worker_class
    if hasattr(cls, "check_config"):
        cls.check_config(generation.cfg, log)
    if not cls.__module__.startswith("monoceros."):
        from monoceros.workers import overrides

        overrides.announce(cls, log)


def report_backlog(server: Master) -> None:
    for waiting in sock.waiting_connections(server.LISTENERS):
        metric = {"metric": "gunicorn.backlog", "value": waiting, "mtype": "histogram"}
        server.log.debug("socket backlog: %s", waiting, extra=metric)

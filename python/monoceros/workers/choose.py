"""Which kind of worker an application needs, where nobody has asked for one.

The class of an asgi worker is found by its name in the table of workers, as for `-k asgi`: a worker
that turns into one need not know its module, which builds on the worker's own.
"""

from __future__ import annotations

from monoceros import util
from monoceros.errors import AppImportError
from monoceros.workers import SUPPORTED_WORKERS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from monoceros.config import Config

CO_COROUTINE = 0x80  # inspect.CO_COROUTINE, without importing inspect


def signature_of(app: Any) -> tuple[int, bool]:
    """How many positional arguments a call takes, and whether it is an async def; (0, False) where
    that cannot be seen."""
    bound = 0
    names: set[str] = set()
    while type(app).__name__ == "partial":  # of functools, which is not imported for this
        bound += len(app.args)
        names.update(app.keywords)
        app = app.func
    call = app if hasattr(app, "__code__") else type(app).__call__
    if hasattr(app, "__func__"):
        call = app.__func__
    bound += 0 if call is app else 1  # self
    code = getattr(call, "__code__", None)
    if code is None:
        return 0, False
    bound += len(names.intersection(code.co_varnames[: code.co_argcount]))
    return code.co_argcount - bound, bool(code.co_flags & CO_COROUTINE)


def is_asynchronous(app: Any) -> bool:
    """Whether it is an ASGI 3 application: an async def of three, or an object called so."""
    return signature_of(app) == (3, True)


def turns_asgi(streams: bool, cfg: Config, app: Any) -> bool:
    """Whether an asgi worker is to take the place of a worker; streams: it is one already."""
    return not streams and "worker_class" not in cfg.sources and is_asynchronous(app)


def refuse_asgi(worker: Any) -> None:
    """AppImportError where the application is an ASGI 3 one, of which each request would fail."""
    if is_asynchronous(worker.wsgi):
        name = getattr(worker.app, "app_uri", None) or "The application"
        kind = worker.cfg.worker_class_str
        raise AppImportError(
            f"{name} is asynchronous (ASGI), which -k {kind} cannot run: use -k asgi, or leave the "
            "worker class out."
        )


def asgi_worker() -> Any:
    return util.load_class(SUPPORTED_WORKERS["asgi"])


def runnable(cls: Any) -> Any:
    """The class that the master runs: itself, unless it is built on an installed gunicorn."""
    if hasattr(cls, "attach"):
        return cls
    from monoceros.workers.adopted import adopted

    return adopted(cls)

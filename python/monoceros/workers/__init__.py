"""The kinds of workers by their short names. A class is imported only when it is asked for."""

SUPPORTED_WORKERS = {
    "sync": "monoceros.workers.sync.SyncWorker",
    "gthread": "monoceros.workers.gthread.ThreadWorker",
    "gevent": "monoceros.workers.ggevent.GeventWorker",
    "gevent_wsgi": "monoceros.workers.ggevent.GeventPyWSGIWorker",
    "gevent_pywsgi": "monoceros.workers.ggevent.GeventPyWSGIWorker",
    "tornado": "monoceros.workers.gtornado.TornadoWorker",
    "asgi": "monoceros.workers.gasgi.ASGIWorker",
}

# Worker classes of others that serve what ours serves: by these names, ours is meant.
FOREIGN_WORKERS = {
    f"{module}.{name}": f"monoceros.workers.guvicorn.{name}"
    for module in ("uvicorn.workers", "uvicorn_worker")
    for name in ("UvicornWorker", "UvicornH11Worker")
}

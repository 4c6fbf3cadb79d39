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

"""Tells who the server says a request is, and when it passed where: as WSGI and as ASGI.

/spoil changes what it was given, which no later request may notice; /raise fails.
"""

import json

STATIONS = ("balancer_us", "accepted_us", "started_us", "ready_us", "dispatched_us")


def told(own, field):
    """The request in JSON."""
    found = {"request_id": own["request_id"], "trace_id": own.get("trace_id"), "field": field}
    found["times"] = {name: getattr(own["times"], name) for name in STATIONS}
    return json.dumps(found).encode()


def wsgi(environ, start_response):
    if environ["PATH_INFO"] == "/raise":
        raise RuntimeError("on purpose")
    names = [name for name in environ if name.startswith("monoceros.")]
    own = {name.removeprefix("monoceros."): environ[name] for name in names}
    headers = [("X-Request-ID", "own")] if environ["PATH_INFO"] == "/own" else []
    start_response("200 OK", headers)
    return [told(own, environ.get("HTTP_X_REQUEST_ID"))]


async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    if scope["path"] == "/raise":
        raise RuntimeError("on purpose")
    own = scope["extensions"]["monoceros"]
    body = told(own, dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1") or None)
    headers = [(b"x-request-id", b"own")] if scope["path"] == "/own" else []
    if scope["path"] == "/spoil":
        assert set(scope["extensions"]) == {"monoceros"}
        assert set(own) <= {"request_id", "trace_id", "times"}
        own["request_id"] = own["more"] = "spoilt"
        scope["extensions"]["another"] = {}
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})

"""Tells who the client is, as what stands in front says it: the same facts as WSGI and as ASGI."""

import json


def wsgi(environ, start_response):
    body = environ["wsgi.input"].read()
    facts = {
        "client": [environ["REMOTE_ADDR"], int(environ.get("REMOTE_PORT") or 0)],
        "scheme": environ["wsgi.url_scheme"],
        "root": environ["SCRIPT_NAME"],
        "path": environ["PATH_INFO"].encode("latin-1").decode(),
        "query": environ["QUERY_STRING"],
        "method": environ["REQUEST_METHOD"],
        "version": environ["SERVER_PROTOCOL"].removeprefix("HTTP/").removesuffix(".0"),
        "host": environ.get("HTTP_HOST"),
        "user": environ.get("REMOTE_USER"),
        "variables": {key: environ[key] for key in environ if key.startswith(("PROXY_", "SSL_"))},
        "body": len(body),
        "fields": sorted(key for key in environ if key.startswith("HTTP_")),
    }
    data = json.dumps(facts).encode()
    headers = [] if "stream" in facts["query"] else [("Content-Length", str(len(data)))]
    start_response("200 OK", headers)
    return iter([] if facts["method"] == "HEAD" else [data[:1], data[1:]])


async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    size = 0
    while True:
        message = await receive()
        size += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    own = scope["extensions"]["monoceros"]
    root = scope["root_path"]
    fields = ["HTTP_" + name.decode().upper().replace("-", "_") for name, _ in scope["headers"]]
    facts = {
        "client": list(scope["client"] or ["", 0]),
        "scheme": scope["scheme"],
        "root": root,
        "path": scope["path"].removeprefix(root),
        "query": scope["query_string"].decode(),
        "method": scope["method"],
        "version": scope["http_version"],
        "tls": scope["extensions"].get("tls"),
        "host": dict(scope["headers"]).get(b"host", b"").decode() or None,
        "user": own.get("uwsgi", {}).get("REMOTE_USER"),
        "variables": own.get("variables", {}),
        "body": size,
        "fields": sorted({name for name in fields if not name.startswith("HTTP_CONTENT_")}),
    }
    data = json.dumps(facts).encode()
    headers = [] if "stream" in facts["query"] else [(b"content-length", b"%d" % len(data))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": data[:1], "more_body": True})
    await send({"type": "http.response.body", "body": data[1:]})

"""Tells who the client is, as what stands in front says it: the same facts as WSGI and as ASGI.

/download?N answers with N bytes in pieces, without a length."""

import hashlib
import json

BLOCK = bytes(range(256)) * 256


def pieces(size):
    for at in range(0, size, len(BLOCK)):
        yield BLOCK[: size - at]


def wsgi(environ, start_response):
    if environ["PATH_INFO"] == "/download":
        start_response("200 OK", [])
        return pieces(int(environ["QUERY_STRING"]))
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
        "digest": hashlib.sha256(body).hexdigest(),
        "fields": sorted(key for key in environ if key.startswith("HTTP_")),
    }
    data = json.dumps(facts).encode()
    headers = [] if "stream" in facts["query"] else [("Content-Length", str(len(data)))]
    start_response("200 OK", headers)
    return iter([] if facts["method"] == "HEAD" else [data[:1], data[1:]])


async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    size, digest = 0, hashlib.sha256()
    while True:
        message = await receive()
        size += len(message.get("body", b""))
        digest.update(message.get("body", b""))
        if not message.get("more_body"):
            break
    if scope["path"] == "/download":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for piece in pieces(int(scope["query_string"])):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body"})
        return
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
        "user": own.get("variables", {}).get("REMOTE_USER"),
        "variables": own.get("variables", {}),
        "body": size,
        "digest": digest.hexdigest(),
        "fields": sorted({name for name in fields if not name.startswith("HTTP_CONTENT_")}),
    }
    data = json.dumps(facts).encode()
    headers = [] if "stream" in facts["query"] else [(b"content-length", b"%d" % len(data))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": data[:1], "more_body": True})
    await send({"type": "http.response.body", "body": data[1:]})

"""Configures logging as applications do: TAKES when it is loaded, LATER at its first /later.

Both are Python, from the environment.
"""

import os

exec(os.environ.get("TAKES", ""))


def answer(path):
    if path == "/later":
        exec(os.environ["LATER"])
    if path == "/raise":
        raise ValueError("on purpose")
    return b"taken"


def app(environ, start_response):
    body = answer(environ["PATH_INFO"])
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


async def aapp(scope, receive, send):
    if scope["type"] != "http":
        return
    body = answer(scope["path"])
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})

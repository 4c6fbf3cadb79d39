"""Tells about its process."""

import gc
import json
import os
import tempfile

MANY = [[number] for number in range(100_000)]


def app(environ, start_response):
    body = environ["wsgi.input"].read()
    found = {
        "pid": os.getpid(),
        "frozen": gc.get_freeze_count(),
        "uid": os.getuid(),
        "gid": os.getgid(),
        "groups": os.getgroups(),
        "body": len(body),
    }
    if environ["PATH_INFO"] == "/write":
        try:
            with tempfile.TemporaryFile("wb"):
                found["writes"] = True
        except OSError:
            found["writes"] = False
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(found).encode()]

"""Writes to the logs in every way: raises, uses wsgi.errors, tells how it is logged."""

import os
import sys


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/raise":
        raise ValueError("on purpose " + "x" * 500)
    if path == "/errors":
        environ["wsgi.errors"].write("from the application\n")
    if path == "/print":
        print("printed by the application", flush=True)
        os.write(2, b"written to descriptor 2\n")
    if path == "/numbered":
        number = environ["QUERY_STRING"]
        environ["wsgi.errors"].write(f"number {number} {'y' * 200}\n")
        if "CAPTURED" in os.environ:
            sys.stdout.write(f"printed {number}\n")  # in one piece, unlike print()
            sys.stdout.flush()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"logging" if "logging" in sys.modules else b"light"]

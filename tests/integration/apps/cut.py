"""An answer that ends with its connection, and a worker that ends in its midst."""

import ctypes
import os
import time


def app(environ, start_response):
    start_response("200 OK", [])

    def body():
        yield b"half"
        time.sleep(0.2)
        p = environ["PATH_INFO"]
        if p == "/kill":
            os.kill(os.getpid(), 9)
        if p == "/segv":
            ctypes.string_at(0)
        if p == "/exit":
            os._exit(1)
        yield b"whole"

    return body()

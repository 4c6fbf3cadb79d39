"""Does what no server may do, as the path says: test_harness.py looks whether that is noticed."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

kept = []


def spin() -> None:
    while True:
        pass


def app(environ: dict[str, Any], start_response: Callable[..., object]) -> list[bytes]:
    path = environ["PATH_INFO"]
    if path == "/spin":
        threading.Thread(target=spin, daemon=True).start()
    elif path == "/open":
        kept.append(os.open("/dev/null", os.O_RDONLY))
    elif path == "/fork":
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
    elif path == "/raise":
        raise ValueError("unannounced")
    elif path == "/crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif path == "/report":
        os.write(2, b"src/x.cpp:3:7: runtime error: signed integer overflow\n")
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]

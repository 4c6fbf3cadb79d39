"""For the gevent worker: blocking calls of the standard library, and one that stays blocking."""

import os
import socket
import subprocess
import threading
import time
from urllib.parse import parse_qs
from urllib.request import urlopen

import gevent
from gevent import monkey

STILL_BLOCKING = monkey.get_original("time", "sleep")
LOCAL = threading.local()


def sleep(wanted):
    """In a local variable of the greenlet, which others must not see."""
    LOCAL.token = wanted["token"][0]
    time.sleep(float(wanted["s"][0]))
    return LOCAL.token.encode()


def fetch(wanted):
    """Asks this very worker, over the network."""
    with urlopen(wanted["url"][0], timeout=5) as answer:
        return b"fetched " + answer.read()


def process(wanted):
    return subprocess.check_output(["/bin/sh", "-c", "sleep 0.3; echo ran"])


def pair(wanted):
    """A thread and a socket that waits for it."""
    left, right = socket.socketpair()
    threading.Timer(0.1, lambda: right.sendall(b"woken")).start()
    with left, right:
        return left.recv(10)


def stuck(wanted):
    STILL_BLOCKING(60)
    return b"never"


def loop(wanted):
    return type(gevent.get_hub().loop).__module__.encode()


def killed(wanted):
    gevent.getcurrent().throw(gevent.GreenletExit)


def pid(wanted):
    return str(os.getpid()).encode()


def app(environ, start_response):
    handler = globals()[environ["PATH_INFO"][1:] or "pid"]
    data = handler(parse_qs(environ["QUERY_STRING"]))
    start_response("200 OK", [("Content-Length", str(len(data)))])
    return [data]

"""Log records of what the C++ core says: they name the place there, not the relay in Python."""

from __future__ import annotations

from pathlib import Path

import pytest

from client import Client
from conftest import StartServer
from harness import IS_GUNICORN

pytestmark = pytest.mark.skipif(IS_GUNICORN, reason="it is about our own core")

CONFIG = """
logconfig_dict = {
    "formatters": {
        "generic": {
            "format": "[%(asctime)s] {%(filename)s:%(lineno)d %(funcName)s} %(message)s",
            "datefmt": "%Y-%m-%d %H:%M:%S",
        }
    }
}
"""
KINDS = {
    "sync": "probe:app",
    "gthread": "probe:app",
    "gevent": "probe:app",
    "asgi": "asgi_hello:app",
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_refusal(serve: StartServer, kind: str, tmp_path: Path) -> None:
    conf = tmp_path / "logs_conf.py"
    conf.write_text(CONFIG)
    server = serve(KINDS[kind], "-k", kind, "-c", str(conf))
    with Client(server.address) as client:
        client.send(b"GET /\r\n\r\n")
        assert client.response().status == 400
    line = next(line for line in server.wait_log("Invalid request").splitlines() if "ip=" in line)
    assert "{answers.cpp:" in line
    assert " note_refusal} Invalid request from ip=" in line

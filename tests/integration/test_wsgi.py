"""The environ, key by key, as an application sees it (contract: PEP 3333 and gunicorn's names)."""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path

import pytest

from client import Client, fetch, request
from conftest import StartServer
from harness import IS_GUNICORN, SERVER, Server


def environ_of(server: Server, target: str = "/environ", **headers: str) -> dict[str, object]:
    """What the application was given for GET `target`."""
    found = json.loads(fetch(server.address, target, **headers).body)
    assert isinstance(found, dict)
    return found


def environ_raw(server: Server, data: bytes) -> dict[str, object]:
    """What the application was given for these bytes."""
    with Client(server.address) as client:
        client.send(data)
        response = client.response()
    assert response.status == 200, response
    found = json.loads(response.body)
    assert isinstance(found, dict)
    return found


def test_request_line(probe: Server) -> None:
    found = environ_of(probe, "/environ?a=1&b=%20c")
    assert found["REQUEST_METHOD"] == "GET"
    assert found["PATH_INFO"] == "/environ"
    assert found["QUERY_STRING"] == "a=1&b=%20c"
    assert found["RAW_URI"] == "/environ?a=1&b=%20c"
    assert found["SERVER_PROTOCOL"] == "HTTP/1.1"
    assert found["SCRIPT_NAME"] == ""


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/caf%C3%A9", "/caf\u00c3\u00a9", ""),
        ("/a%20b%2Fc?d%20e", "/a b/c", "d%20e"),
        ("/50%25%", "/50%%", ""),
        ("/%zz", "/%zz", ""),
        ("//double//slash", "//double//slash", ""),
        ("/dots/../x/./y", "/dots/../x/./y", ""),
        ("/x??a=?", "/x", "?a=?"),
        ("/x?", "/x", ""),
        ("/;p=1", "/;p=1", ""),
        ("/a:b@c", "/a:b@c", ""),
        ("http://testing/abs?q=1", "/abs", "q=1"),
    ],
)
def test_target(probe: Server, target: str, path: str, query: str) -> None:
    found = environ_raw(probe, request(target))
    assert (found["PATH_INFO"], found["QUERY_STRING"]) == (path, query)
    assert found["RAW_URI"] == target


def test_empty_query_is_there(probe: Server) -> None:
    assert environ_of(probe)["QUERY_STRING"] == ""


def test_options_asterisk(probe: Server) -> None:
    found = environ_raw(probe, request("*", "OPTIONS"))
    assert found["REQUEST_METHOD"] == "OPTIONS"
    assert found["PATH_INFO"] == "*"
    assert found["RAW_URI"] == "*"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "PROPFIND", "M-SEARCH"])
def test_method(probe: Server, method: str) -> None:
    assert environ_raw(probe, request("/environ", method))["REQUEST_METHOD"] == method


def test_http_1_0(probe: Server) -> None:
    found = environ_raw(probe, b"GET /environ HTTP/1.0\r\n\r\n")
    assert found["SERVER_PROTOCOL"] == "HTTP/1.0"
    assert "HTTP_HOST" not in found


def test_header_fields(probe: Server) -> None:
    fields = (
        b"Host: testing:81\r\nX-Mixed-CASE:  padded \t\r\nx-list: a\r\nX-List: b\r\nX-Empty:\r\n"
        b"X-Latin: caf\xe9\r\nAccept: */*\r\nX-Inner: a  b\tc\r\nX-1!#$%&'*+-.^`|~: odd\r\n"
    )
    found = environ_raw(probe, b"GET /environ HTTP/1.1\r\n" + fields + b"\r\n")
    assert found["HTTP_HOST"] == "testing:81"
    assert found["HTTP_X_MIXED_CASE"] == "padded"
    assert found["HTTP_X_LIST"] == "a,b"
    assert found["HTTP_X_EMPTY"] == ""
    assert found["HTTP_X_LATIN"] == "caf\xe9"
    assert found["HTTP_X_INNER"] == "a  b\tc"
    assert found["HTTP_X_1!#$%&'*+_.^`|~"] == "odd"


def test_underscore_is_dropped(probe: Server) -> None:
    found = environ_of(probe, **{"X_Under": "1"})  # fetch() sends X-Under
    assert found["HTTP_X_UNDER"] == "1"
    raw = b"GET /environ HTTP/1.1\r\nHost: a\r\nX_Under: 2\r\nX-Under: 1\r\n\r\n"
    assert environ_raw(probe, raw)["HTTP_X_UNDER"] == "1"


def test_body_fields(probe: Server) -> None:
    headers = {"Content-Type": "text/x; charset=a", "Content-Length": "3"}
    found = environ_raw(probe, request("/environ", "POST", headers, b"abc"))
    assert found["CONTENT_TYPE"] == "text/x; charset=a"
    assert found["CONTENT_LENGTH"] == "3"
    assert not {"HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"} & found.keys()


def test_body_fields_only_if_sent(probe: Server) -> None:
    assert not {"CONTENT_TYPE", "CONTENT_LENGTH"} & environ_of(probe).keys()


def test_chunked_body_fields(probe: Server) -> None:
    data = request("/environ", "POST", {"Transfer-Encoding": "chunked"}, b"0\r\n\r\n")
    found = environ_raw(probe, data)
    assert found["HTTP_TRANSFER_ENCODING"] == "chunked"
    assert "CONTENT_LENGTH" not in found


def test_addresses(probe: Server) -> None:
    with Client(probe.address) as client:
        port = client.sock.getsockname()[1]
        found = json.loads(client.ask("/environ").body)
    assert found["REMOTE_ADDR"] == "127.0.0.1"
    assert found["REMOTE_PORT"] == str(port)
    assert found["SERVER_NAME"] == "127.0.0.1"
    assert found["SERVER_PORT"] == str(probe.port)


def test_no_foreign_keys(probe: Server) -> None:
    found = environ_of(probe, X_Forwarded_For="9.9.9.9")
    assert found["REMOTE_ADDR"] == "127.0.0.1"
    assert not {"REMOTE_HOST", "REMOTE_USER", "HTTPS", "AUTH_TYPE"} & found.keys()
    assert "PATH" not in found  # the process environment stays out


def test_server_keys(probe: Server) -> None:
    found = environ_of(probe)
    assert str(found["SERVER_SOFTWARE"]).startswith(f"{SERVER}/")
    assert found["wsgi.version"] == [1, 0]
    assert found["wsgi.url_scheme"] == "http"
    assert found["wsgi.multithread"] is IS_GUNICORN  # its threaded worker stands in there
    assert found["wsgi.multiprocess"] is False
    assert found["wsgi.run_once"] is False
    assert found["wsgi.input_terminated"] is True
    for key in ("wsgi.file_wrapper", "wsgi.early_hints"):
        described = found[key]
        assert isinstance(described, dict) and described["callable"], key
    for key in ("wsgi.input", "wsgi.errors", "gunicorn.socket"):
        assert isinstance(found[key], dict), key


def test_multiprocess(serve: StartServer) -> None:
    assert environ_of(serve(workers=2))["wsgi.multiprocess"] is True


def test_environ_is_fresh_for_each_request(probe: Server) -> None:
    with Client(probe.address) as client:
        first = json.loads(client.ask("/environ", headers={"X-One": "1"}).body)
        second = json.loads(client.ask("/environ", headers={"X-Two": "2"}).body)
    assert "HTTP_X_ONE" in first and "HTTP_X_ONE" not in second and "HTTP_X_TWO" in second


@pytest.mark.skipif(IS_GUNICORN, reason="it makes every object anew")
@pytest.mark.parametrize("options", [[], ["--request-timeout", "30"], ["--threads", "2"]])
def test_what_an_application_does_to_an_environ_stays_there(
    serve: StartServer, tmp_path: Path, options: list[str]
) -> None:
    """Requests share what hardly ever differs, until an application keeps it."""
    server = serve("keeper:app", *options, "--bind", f"unix:{tmp_path}/second.sock")
    requests = [
        b"GET /?q=1 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /keep HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody",
        b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ]
    with Client(server.address) as one, Client(f"{tmp_path}/second.sock") as two:
        for number in range(20):
            client = (one, two)[number // len(requests) % 2]
            sent = requests[number % len(requests)]
            client.send(sent)
            given = json.loads(client.response().body)
            assert given["again"] == [], number
            line = f"{given['REQUEST_METHOD']} {given['RAW_URI']} {given['SERVER_PROTOCOL']}"
            assert sent.startswith(line.encode())
            assert given["QUERY_STRING"] == ("q=1" if b"?" in sent else "")
            assert given["body"] == ("body" if b"POST" in sent else "")
            assert ("REMOTE_PORT" in given) == (client is one)


@pytest.mark.parametrize(("value", "scheme"), [("https", "https"), ("http", "http")])
def test_scheme_from_trusted_peer(probe: Server, value: str, scheme: str) -> None:
    found = environ_of(probe, X_Forwarded_Proto=value)
    assert found["wsgi.url_scheme"] == scheme
    assert found["HTTP_X_FORWARDED_PROTO"] == value


def test_scheme_conflict(probe: Server) -> None:
    fields = {"X_Forwarded_Proto": "https", "X_Forwarded_Ssl": "off"}
    assert fetch(probe.address, "/environ", **fields).status == 400


def test_scheme_from_stranger(serve: StartServer) -> None:
    server = serve("probe:app", "--forwarded-allow-ips", "10.1.2.3")
    assert environ_of(server, X_Forwarded_Proto="https")["wsgi.url_scheme"] == "http"


def test_script_name_header(probe: Server) -> None:
    raw = b"GET /mount/environ HTTP/1.1\r\nHost: a\r\nSCRIPT_NAME: /mount\r\n\r\n"
    found = environ_raw(probe, raw)
    assert (found["SCRIPT_NAME"], found["PATH_INFO"]) == ("/mount", "/environ")


def test_script_name_that_does_not_fit(probe: Server) -> None:
    with Client(probe.address) as client:
        client.send(b"GET /environ HTTP/1.1\r\nHost: a\r\nSCRIPT_NAME: /mount\r\n\r\n")
        assert client.response().status == 500


def test_script_name_from_process(serve: StartServer) -> None:
    server = serve(env={"SCRIPT_NAME": "/mount"})
    found = environ_of(server, "/mount/environ")
    assert (found["SCRIPT_NAME"], found["PATH_INFO"]) == ("/mount", "/environ")


def test_unix_peer(serve: StartServer, tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    serve(binds=[f"unix:{path}"])
    with Client(path) as client:
        found = json.loads(client.ask("/environ", headers={"Host": "name:8080"}).body)
        plain = json.loads(client.ask("/environ", headers={"Host": "name"}).body)
    assert found["REMOTE_ADDR"] == "" and "REMOTE_PORT" not in found
    assert (found["SERVER_NAME"], found["SERVER_PORT"]) == ("name", "8080")
    assert (plain["SERVER_NAME"], plain["SERVER_PORT"]) == ("name", "80")
    assert os.path.exists(path)


def test_wsgi_errors_reach_the_log(probe: Server) -> None:
    token = uuid.uuid4().hex
    fetch(probe.address, f"/errors?token={token}")
    probe.wait_log(f"note to the operator {token}")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_validator_is_content(probe: Server, method: str) -> None:
    body = b"validate me" if method == "POST" else b""
    headers = {"Content-Type": "text/plain"} if body else {}
    with Client(probe.address) as client:
        response = client.ask("/validated", method, headers, body)
    assert (response.status, response.body) == (200, body), probe.log()[-3000:]

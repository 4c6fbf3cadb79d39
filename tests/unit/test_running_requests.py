"""Engine.tasks(), Engine.running and the end of an Exchange, without a worker around them."""

from __future__ import annotations

import gc
import select
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from monoceros import _core

GET = b"GET /%C3%BC?q HTTP/1.1\r\nHost: here\r\n\r\n"
SOCKET = (
    b"GET /chat HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
COMPLETE, HTTP, ROOM = 1, 2, 4
WAIT_S = 20.0


class Loop:
    """As much of an event loop as set_asgi() asks for; nothing here waits for a future."""

    def create_future(self) -> Any:
        raise NotImplementedError


class Asked:
    """An ASGI engine, and clients that have asked it something."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)
        listeners: Any = [(self.listener.fileno(), {}, False)]
        self.engine = _core.Engine(_core.Settings({}), listeners, print, nested=True, slots=8)
        self.engine.set_asgi(Loop(), [{"type": "http", "scheme": "http"}], None)
        self.clients: list[socket.socket] = []

    def exchange(self, request: bytes = GET, most: int = 8) -> _core.Exchange:
        client = socket.create_connection(self.listener.getsockname(), WAIT_S)
        client.sendall(request)
        self.clients.append(client)
        while not (fresh := self.engine.turn(most)[0]):
            assert select.select([self.engine.fileno()], [], [], WAIT_S)[0]
        (only,) = fresh
        return only


@pytest.fixture
def asked() -> Iterator[Asked]:
    made = Asked()
    yield made
    for client in made.clients:
        client.close()
    made.listener.close()


def answer(exchange: _core.Exchange) -> None:
    exchange.scope()
    for message in (
        {"type": "http.response.start", "status": 200},
        {"type": "http.response.body", "body": b"x"},
    ):
        with pytest.raises(StopIteration):
            exchange.send(message).send(None)


def test_tasks_are_those_that_have_not_ended(asked: Asked) -> None:
    first, second, third = (asked.exchange() for _ in range(3))
    assert asked.engine.running == 3 and asked.engine.tasks() == []
    first.task, second.task = "first", "second"
    assert sorted(asked.engine.tasks()) == ["first", "second"]
    answer(first)
    assert "first" in asked.engine.tasks(), "it has answered, and works on"
    assert first.close(False) == COMPLETE | HTTP
    assert first.task is None
    assert asked.engine.tasks() == ["second"] and asked.engine.running == 2
    assert first.close(False) == COMPLETE | HTTP and asked.engine.running == 2
    del third  # it will never come to its end
    assert asked.engine.running == 1
    second.close(True)
    assert asked.engine.running == 0 and asked.engine.tasks() == []


def test_an_end_may_make_room(asked: Asked) -> None:
    first, second = asked.exchange(), asked.exchange(most=2)
    assert first.close(True) & ROOM
    assert not second.close(True) & ROOM, "there was some already"


def test_how_a_request_has_ended(asked: Asked) -> None:
    left = asked.exchange()
    left.scope()
    assert left.close(False) == HTTP
    upgraded = asked.exchange(SOCKET)
    assert upgraded.scope()["type"] == "websocket"
    assert not upgraded.close(True) & HTTP


def test_what_logs_call_it(asked: Asked) -> None:
    plain, upgraded = asked.exchange(), asked.exchange(SOCKET)
    assert plain.about == ("http", "-", "-")
    scope = plain.scope()
    scope.update(path="/elsewhere", method="PUT", type="mine")
    assert plain.about == ("http", "GET", "/\xfc")
    plain.close(True)
    assert plain.about == ("http", "GET", "/\xfc")
    upgraded.scope()
    assert upgraded.about == ("websocket", "WEBSOCKET", "/chat")


def test_a_task_that_waits_is_not_collected(asked: Asked) -> None:
    exchange = asked.exchange()
    exchange.task = [exchange]  # as a task has its coroutine, which has the exchange
    del exchange
    gc.collect()
    assert asked.engine.running == 1
    ((exchange,),) = asked.engine.tasks()
    exchange.close(True)
    assert asked.engine.running == 0


def test_an_abandoned_request_ends(asked: Asked) -> None:
    exchange = asked.exchange()
    exchange.task = [exchange]  # a cycle, as of a task that was cancelled before it began
    assert exchange.abandon() is False
    assert exchange.task is None and asked.engine.running == 0
    assert asked.clients[0].recv(100) == b"", "its connection is cut"
    assert exchange.abandon() is False

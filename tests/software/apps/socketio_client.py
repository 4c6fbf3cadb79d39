"""Asks over Socket.IO, by the transports named; ends with 0 when each question was answered."""

import sys

import socketio

url, *transports = sys.argv[1:]
for _ in range(3):
    client = socketio.Client()
    client.connect(url, transports=transports or ["polling", "websocket"], wait_timeout=10)
    wanted = transports[0] if transports else "websocket"
    client.sleep(0.5)
    assert client.transport() == wanted, client.transport()
    for number in range(5):
        assert client.call("ask", number, timeout=10) == {"heard": number}
    client.disconnect()

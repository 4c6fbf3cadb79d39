"""Echoes over a WebSocket; ends with 0 when each message came back."""

import sys

import websocket

for number in range(5):
    client = websocket.create_connection(sys.argv[1], timeout=10)
    for text in ("a", "b" * 70_000):
        client.send(text + str(number))
        assert client.recv() == text + str(number)
    client.close()

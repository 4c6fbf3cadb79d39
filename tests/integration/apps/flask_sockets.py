"""WebSockets by flask-sock, which takes its client's socket from the server."""

from __future__ import annotations

from flask import Flask
from flask_sock import Sock
from simple_websocket import Server

app = Flask(__name__)
sock = Sock(app)


@app.route("/")
def index() -> str:
    return "plain"


@sock.route("/echo")
def echo(socket: Server) -> None:
    while True:
        socket.send(socket.receive())


@sock.route("/once")
def once(socket: Server) -> None:
    socket.send(socket.receive())


@sock.route("/fails")
def fails(socket: Server) -> None:
    socket.send(socket.receive())
    raise LookupError("on purpose")

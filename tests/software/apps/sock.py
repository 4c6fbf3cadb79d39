"""flask-sock: WebSockets in threads, over environ["gunicorn.socket"]."""

from flask import Flask
from flask_sock import Sock

app = Flask(__name__)
sock = Sock(app)


@app.route("/")
def index():
    return "sock"


@sock.route("/echo")
def echo(ws):
    while True:
        ws.send(ws.receive())

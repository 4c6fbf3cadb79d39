"""Flask-SocketIO, in the mode that the environment's worker class gives it."""

import os

from flask import Flask
from flask_socketio import SocketIO

app = Flask(__name__)
socketio = SocketIO(app, cors_allowed_origins="*", async_mode=os.environ.get("ASYNC_MODE"))


@app.route("/")
def index():
    return "socketio"


@socketio.on("ask")
def ask(data):
    return {"heard": data}

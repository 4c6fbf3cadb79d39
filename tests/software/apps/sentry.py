"""Sentry's SDK with its Flask and WSGI integrations; events go to a transport in memory."""

import sentry_sdk
from flask import Flask


def keep(event, hint):
    return None


sentry_sdk.init(
    dsn="http://key@127.0.0.1:9/1", traces_sample_rate=1.0, before_send=keep,
    before_send_transaction=keep,
)  # fmt: skip
app = Flask(__name__)


@app.route("/")
def index():
    sentry_sdk.capture_message("seen")
    return "watched"

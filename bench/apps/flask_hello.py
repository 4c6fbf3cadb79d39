"""Hello through Flask: one route, no template, no session."""

from flask import Flask

app = Flask(__name__)


@app.get("/")
def hello() -> str:
    """Answer with 13 bytes."""
    return "Hello, world!"

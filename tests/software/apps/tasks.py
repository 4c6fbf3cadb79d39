"""Celery over Redis; the page waits for the result of a task."""

import os

from celery import Celery
from flask import Flask

url = os.environ.get("REDIS_URL", "redis://127.0.0.1")
celery = Celery("tasks", broker=url, backend=url)
app = Flask(__name__)


@celery.task
def add(left, right):
    return left + right


@app.route("/")
def index():
    return f"sum {add.delay(1, 2).get(timeout=20)}"

"""prometheus-flask-exporter with its metrics class for gunicorn."""

from flask import Flask
from prometheus_flask_exporter.multiprocess import GunicornInternalPrometheusMetrics

app = Flask(__name__)
metrics = GunicornInternalPrometheusMetrics(app)


@app.route("/")
def index():
    return "exported"

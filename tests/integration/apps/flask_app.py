"""Flask: signed cookie sessions, uploads, streaming, chunked request bodies."""

from __future__ import annotations

from flask import Flask, Response, jsonify, redirect, request, session
from framework_tools import SECRET, blocks, lines, receipt
from werkzeug.wrappers import Response as BaseResponse

app = Flask(__name__)
app.secret_key = SECRET


@app.get("/")
def index() -> str:
    return "hello from flask"


@app.get("/greet")
def greet() -> str:
    return f"hello {request.args['name']}"


@app.post("/form")
def form() -> Response:
    return jsonify(dict(request.form))


@app.post("/json")
def json_echo() -> Response:
    return jsonify(got=request.get_json())


@app.post("/upload")
def upload() -> Response:
    file = request.files["file"]
    return jsonify(receipt(file.stream, name=file.filename, title=request.form["title"]))


@app.put("/raw")
def raw() -> Response:
    return jsonify(receipt(request.stream))


@app.post("/login")
def login() -> str:
    session["user"] = request.form["user"]
    return "welcome"


@app.get("/whoami")
def whoami() -> str:
    return str(session.get("user", "nobody"))


@app.get("/stream")
def stream() -> Response:
    return Response(lines(), mimetype="text/plain")


@app.get("/big")
def big() -> Response:
    return Response(blocks(int(request.args["mb"])), mimetype="application/octet-stream")


@app.get("/redirect")
def away() -> BaseResponse:
    return redirect("/greet?name=there")


@app.get("/boom")
def boom() -> str:
    raise RuntimeError("boom in flask")

"""Falcon: media handlers, multipart, cookies, streaming."""

from __future__ import annotations

from typing import Any

import falcon
from framework_tools import blocks, lines, receipt


class Resource:
    """One responder a path, by the route's suffix."""

    def on_get_index(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.content_type = "text/plain"
        resp.text = "hello from falcon"

    def on_get_greet(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.text = f"hello {req.params['name']}"

    def on_post_form(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.media = req.get_media()

    def on_post_json(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.media = {"got": req.get_media()}

    def on_post_upload(self, req: falcon.Request, resp: falcon.Response) -> None:
        found: dict[str, Any] = {}
        for part in req.get_media():
            if part.name == "file":
                found.update(receipt(part.stream, name=part.filename))
            else:
                found[part.name] = part.text
        resp.media = found

    def on_put_raw(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.media = receipt(req.bounded_stream)

    def on_post_login(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.set_cookie("user", req.get_media()["user"], secure=False)
        resp.text = "welcome"

    def on_get_whoami(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.text = req.cookies.get("user", "nobody")

    def on_get_stream(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.content_type = "text/plain"
        resp.stream = lines()

    def on_get_big(self, req: falcon.Request, resp: falcon.Response) -> None:
        megabytes = req.get_param_as_int("mb", required=True)
        resp.set_stream(blocks(megabytes), megabytes << 20)

    def on_get_redirect(self, req: falcon.Request, resp: falcon.Response) -> None:
        raise falcon.HTTPFound("/greet?name=there")

    def on_get_boom(self, req: falcon.Request, resp: falcon.Response) -> None:
        raise RuntimeError("boom in falcon")


NAMES = ("greet", "form", "json", "upload", "raw", "login", "whoami")
app = falcon.App()
app.add_route("/", Resource(), suffix="index")
for route in (*NAMES, "stream", "big", "redirect", "boom"):
    app.add_route(f"/{route}", Resource(), suffix=route)

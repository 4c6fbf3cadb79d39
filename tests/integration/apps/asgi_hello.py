"""The smallest ASGI and aiohttp applications, for worker classes of others."""

import importlib
import os


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"asgi %d" % os.getpid()})


def make_aiohttp():
    web = importlib.import_module("aiohttp.web")

    async def hello(request):
        return web.Response(text=f"aiohttp {os.getpid()}")

    application = web.Application()
    application.router.add_get("/", hello)
    return application

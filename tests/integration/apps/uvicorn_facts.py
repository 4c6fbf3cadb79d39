"""What an application sees that expects uvicorn around it, as JSON; and it uses its loggers."""

import json
import logging

from asgi_probe import plain


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).info("%s speaks", name)
        logging.getLogger(name).debug("%s whispers", name)
    found = {"client": scope["client"], "scheme": scope["scheme"]}
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": json.dumps(found)})
        return
    await plain(send, json.dumps(found).encode())

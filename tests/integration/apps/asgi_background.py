"""An ASGI application that leaves work running: a task and an asynchronous generator."""

import asyncio

kept = []


async def ticking():
    try:
        while True:
            yield
            await asyncio.sleep(0.01)
    finally:
        print("generator ended", flush=True)


async def background():
    try:
        async for _ in ticking():
            pass
    finally:
        await asyncio.sleep(0)
        print("task ended", flush=True)


async def stuck():
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            print("refused to end", flush=True)


async def app(scope, receive, send):
    if scope["path"] == "/stuck":
        kept.append(asyncio.create_task(stuck()))
    kept.append(asyncio.create_task(background()))
    await asyncio.sleep(0.02)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})

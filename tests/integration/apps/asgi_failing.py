"""An ASGI application whose lifespan does not start."""


async def app(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "on purpose"})

"""What the five ASGI applications have in common, so that they answer alike."""

import asyncio
import hashlib
import os
from pathlib import Path

BLOCK = bytes(range(256)) * 256


async def lines():
    """The stream."""
    for index in range(50):
        if index % 10 == 0:
            await asyncio.sleep(0)
        yield b"line %d\n" % index


async def blocks(megabytes):
    """The large download, made as it goes."""
    for _ in range(megabytes * 16):
        yield BLOCK


async def receipt(parts):
    """Size and SHA-256 of what comes in."""
    size, hashed = 0, hashlib.sha256()
    async for data in parts:
        size += len(data)
        hashed.update(data)
    return {"size": size, "sha256": hashed.hexdigest()}


async def late_note(name):
    """What happens after the answer."""
    await asyncio.sleep(0.2)
    (Path(os.environ["PROBE_DIR"]) / f"background-{name}").write_text("done")


async def events(name, is_disconnected):
    """A stream that ends when its client has left, as the framework tells."""
    yield b"begun\n"
    while not await is_disconnected():
        await asyncio.sleep(0.02)
    (Path(os.environ["PROBE_DIR"]) / f"left-{name}").write_text("done")


def ended(name):
    """What happens at the end of the lifespan."""
    (Path(os.environ["PROBE_DIR"]) / f"ended-{name}").write_text("done")

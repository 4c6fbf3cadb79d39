"""Tornado's own kind of application."""

import asyncio
import os
from pathlib import Path

from tornado.ioloop import IOLoop
from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketHandler

AT_IMPORT = IOLoop.current()


class Hello(RequestHandler):
    def get(self):
        assert IOLoop.current() is AT_IMPORT
        self.write("hello from tornado")


class Pid(RequestHandler):
    def get(self):
        self.write(str(os.getpid()))


def note(name):
    """A line for the test to find."""
    with (Path(os.environ["PROBE_DIR"]) / name).open("a") as file:
        file.write("x\n")


class Meet(RequestHandler):
    """Answers when as many requests as asked for are in here at once."""

    async def get(self):
        note("meeting")
        for _ in range(2000):
            if len((Path(os.environ["PROBE_DIR"]) / "meeting").read_text().splitlines()) >= int(
                self.get_argument("n")
            ):
                return self.write("met")
            await asyncio.sleep(0.01)
        self.write("alone")


class Sleep(RequestHandler):
    async def get(self):
        note("sleeping")
        await asyncio.sleep(float(self.get_argument("s")))
        self.write("slept")


class Stream(RequestHandler):
    async def get(self):
        for index in range(5):
            self.write(f"line {index}\n")
            await self.flush()
            await asyncio.sleep(0.1)


class Boom(RequestHandler):
    def get(self):
        raise RuntimeError("boom in tornado")


class Echo(WebSocketHandler):
    async def on_message(self, message):
        await self.write_message(f"echo {message}")


app = Application(
    [
        ("/", Hello),
        ("/pid", Pid),
        ("/sleep", Sleep),
        ("/meet", Meet),
        ("/stream", Stream),
        ("/boom", Boom),
        ("/ws", Echo),
    ]
)

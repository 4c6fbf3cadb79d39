"""Tornado's own kind of application."""

import asyncio
import os

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


class Sleep(RequestHandler):
    async def get(self):
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
        ("/stream", Stream),
        ("/boom", Boom),
        ("/ws", Echo),
    ]
)

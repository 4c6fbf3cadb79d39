"""Django's ASGI side: both kinds of views, streams, WebSockets, the database from a thread."""

import json

import django_app
from asgi_tools import blocks, lines, receipt
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.contrib.sessions.models import Session
from django.core.asgi import get_asgi_application
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path


async def index(request):
    return HttpResponse("hello from django")


async def json_echo(request):
    return JsonResponse({"got": json.loads(request.body)})


async def raw(request):
    async def parts():
        while data := request.read(65536):
            yield data

    return JsonResponse(await receipt(parts()))


async def stream(request):
    return StreamingHttpResponse(lines(), content_type="text/plain")


async def big(request):
    return StreamingHttpResponse(blocks(int(request.GET["mb"])))


async def state(request):
    """The asynchronous face of the ORM."""
    assert await Session.objects.acount() >= 0
    return HttpResponse("started")


def thread(request):
    return HttpResponse("from a thread")


async def boom(request):
    raise RuntimeError("boom in django")


django_app.urlpatterns[:] = [
    path("", index),
    path("json", json_echo),
    path("raw", raw),
    path("stream", stream),
    path("big", big),
    path("state", state),
    path("thread", thread),
    path("boom", boom),
]


class Echo(AsyncWebsocketConsumer):
    """Django's WebSockets are those of channels."""

    async def receive(self, text_data=None, bytes_data=None):
        await self.send(text_data=f"echo {text_data}")


app = ProtocolTypeRouter(
    {
        "http": get_asgi_application(),
        "websocket": URLRouter([path("ws", Echo.as_asgi())]),
    }
)

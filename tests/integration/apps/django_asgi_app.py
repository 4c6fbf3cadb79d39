"""Django's ASGI side: asynchronous and plain views, streams, the database from a thread."""

import json

import django_app
from asgi_tools import blocks, lines, receipt
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
app = get_asgi_application()

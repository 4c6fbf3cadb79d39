"""Applications of every interface, and what is easily taken for one."""

import functools

from asgi_probe import plain, plain_wsgi


async def asgi3(scope, receive, send):
    if scope["type"] == "http":
        await plain(send, b"asgi")


class Object:
    async def __call__(self, scope, receive, send):
        await asgi3(scope, receive, send)

    async def method(self, scope, receive, send):
        await asgi3(scope, receive, send)


class Slotted:
    """Which decides what it is when it is made, as Sentry's middleware does."""

    __slots__ = ("__call__",)

    def __init__(self):
        self.__call__ = asgi3


class Awaitable:
    """As Starlette's endpoints are: the class is the application."""

    def __init__(self, scope, receive, send):
        self.call = asgi3(scope, receive, send)

    def __await__(self):
        return self.call.__await__()


class Double:
    """ASGI 2."""

    def __init__(self, scope):
        self.scope = scope

    async def __call__(self, receive, send):
        await asgi3(self.scope, receive, send)


def double(scope):
    return Double(scope)


class WSGIObject:
    def __call__(self, environ, start_response):
        return plain_wsgi(environ, start_response)


class WSGIClass:
    def __init__(self, environ, start_response):
        self.body = plain_wsgi(environ, start_response)

    def __iter__(self):
        return iter(self.body)


async def configured(config, scope, receive, send, *, more=None):
    await asgi3(scope, receive, send)


def wrapped_wsgi(config, environ, start_response):
    return plain_wsgi(environ, start_response)


def hidden(*args, **kwargs):
    return asgi3(*args, **kwargs)


def create_app():
    return asgi3


def create_configured(config=None):
    return asgi3


instance = Object()
method = instance.method
slotted = Slotted()
partial = functools.partial(configured, {}, more=1)
wsgi_object = WSGIObject()
wsgi_partial = functools.partial(wrapped_wsgi, {})


def django_wsgi():
    import django
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application

    settings.configure()
    django.setup()
    return get_wsgi_application()


def flask_app():
    import flask

    return flask.Flask("kinds")

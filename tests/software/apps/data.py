"""Datasette as an ASGI application."""

from datasette.app import Datasette

app = Datasette(files=[], memory=True).app()

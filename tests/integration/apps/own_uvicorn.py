"""A worker class built on uvicorn's: it runs uvicorn, where uvicorn's own names mean ours."""

from uvicorn.workers import UvicornWorker as OldWorker
from uvicorn_worker import UvicornWorker


class OwnWorker(UvicornWorker):
    """As users write them, to set what uvicorn can be given."""

    CONFIG_KWARGS = {"loop": "asyncio", "http": "h11"}


class OwnOldWorker(OldWorker):
    """The one that uvicorn itself brings."""

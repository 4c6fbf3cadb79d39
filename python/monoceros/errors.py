"""The exceptions that travel between the parts of the Python shell."""


class HaltServer(BaseException):
    """Ends the server with an exit status. Not an Exception: hooks must not swallow it."""

    def __init__(self, reason: str, exit_status: int = 1) -> None:
        super().__init__(reason, exit_status)
        self.reason = reason
        self.exit_status = exit_status

    def __str__(self) -> str:
        return f"<HaltServer {self.reason!r} {self.exit_status}>"


class RequestTimeout(BaseException):
    """Raised in an application that did not begin its answer within request_timeout.

    The client has been answered already. Not an Exception: what answers errors must not try to.
    """

    exchange: object = None  # whose it is, where a thread has several requests

    @classmethod
    def of(cls, exchange: object) -> "RequestTimeout":
        error = cls()
        error.exchange = exchange
        return error

    def __str__(self) -> str:
        return "the application did not answer within request_timeout"


class StopTimeout(RequestTimeout):
    """Raised in an application that still runs when a worker's graceful_timeout is nearly over."""

    def __str__(self) -> str:
        return "graceful_timeout is over"


class ConfigError(Exception):
    """A setting is wrong; the text is one sentence for the person who wrote it."""


class ConfigFileError(Exception):
    """A configuration file, or python:MODULE, raised; __cause__ is what."""

    def __init__(self, location: str) -> None:
        super().__init__(f"Failed to read config file: {location}")


class AppImportError(Exception):
    """The module was imported, but the application in it could not be had."""

"""What hooks and loggers see of requests and responses; the protocol itself is in C++."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_IN_CORE = ("RequestParser", "get_parser")


def __getattr__(name: str) -> Any:
    if name in ("Message", "Request"):
        from monoceros.http.message import Request

        return Request
    if name in _IN_CORE:
        raise AttributeError(f"{name}: requests are parsed by the C++ core, not by Python.")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

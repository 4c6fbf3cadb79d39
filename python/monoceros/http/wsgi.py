"""gunicorn.http.wsgi's names: what there is of a response outside the C++ core."""

from __future__ import annotations

from monoceros import SERVER, SERVER_SOFTWARE
from monoceros._core import FileWrapper
from monoceros.http.message import Response

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def base_environ(cfg: Any) -> dict[str, Any]:
    """The entries of environ that no request changes (PEP 3333); wsgi.errors is stderr."""
    import sys

    return {
        "wsgi.errors": sys.stderr,
        "wsgi.version": (1, 0),
        "wsgi.multithread": cfg.threads > 1,
        "wsgi.multiprocess": cfg.workers > 1,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": FileWrapper,
        "wsgi.input_terminated": True,
        "SERVER_SOFTWARE": SERVER_SOFTWARE,
    }


__all__ = ["SERVER", "SERVER_SOFTWARE", "FileWrapper", "Response", "base_environ"]

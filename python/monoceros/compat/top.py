"""What compat needs at the first use: the module `gunicorn`."""

from __future__ import annotations

from types import ModuleType

import monoceros

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_FORWARDED = ("SERVER", "SERVER_SOFTWARE")  # configuration files assign these


class Gunicorn(ModuleType):
    """The top of the alias. Its submodules are imported by whoever first names them."""

    is_monoceros = True

    def __init__(self, name: str, version: tuple[int, int, int]) -> None:
        super().__init__(name, "gunicorn's names for monoceros.")
        self.__path__: list[str] = []
        self.version_info = version
        self.__version__ = ".".join(str(part) for part in version)

    def __getattr__(self, name: str) -> Any:
        if name in _FORWARDED:
            return getattr(monoceros, name)
        if not name.startswith("_"):
            import importlib

            try:
                return importlib.import_module(f"{self.__name__}.{name}")
            except ModuleNotFoundError as error:
                raise AttributeError(str(error)) from None
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _FORWARDED:
            setattr(monoceros, name, value)
        else:
            super().__setattr__(name, value)


def rename(cls: type) -> None:
    """Programs compare str(cfg.worker_class) with gunicorn's, so that is what it says."""
    if cls.__module__.startswith("monoceros.workers."):
        import importlib

        name = "gunicorn" + cls.__module__.removeprefix("monoceros")
        importlib.import_module(name)  # where pickle and inspect look for a class
        cls.__module__ = name

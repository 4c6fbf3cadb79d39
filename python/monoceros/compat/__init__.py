"""compat: lets `import gunicorn...` mean monoceros where gunicorn is not installed.

Configuration files, hooks, loggers and worker classes written for gunicorn import it by name. The
command monoceros therefore puts a finder at the end of sys.meta_path: it is asked only for what
nobody else can import, so that an installed gunicorn is never hidden. MONOCEROS_COMPAT=shadow (or
install(shadow=True) in a program of one's own) hides it all the same; MONOCEROS_COMPAT=off leaves
imports alone.

gunicorn.NAME is the very module monoceros.NAME: classes are the same, and changes to either are
seen in both. Importing this module costs next to nothing; all else happens at the first use.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.abc import Loader
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any
else:
    Loader = object  # importlib.abc is not worth its time

NAME = "gunicorn"
VERSION = (27, 0, 1)  # whose names and behaviour these are

# What is asked of monoceros by a name that it does not have, or not yet, and why.
ABSENT = {
    "asgi": "ASGI is served by the C++ core; there are no protocol classes to import",
    "http2": "HTTP/2 is spoken by the C++ core",
    "dirty": "dirty workers are not built yet",
    "ctl": "the control interface is not built yet",
    "uwsgi": "packets of uwsgi are read by the C++ core",
    "workers.base_async": "requests are read by the C++ core; there is no such class to build on",
    "http.body": "request bodies are read by the C++ core",
    "http.parser": "requests are parsed by the C++ core",
    "http.unreader": "requests are read by the C++ core",
}


class _Last:
    """At the end of sys.meta_path: the name itself, if nobody else knows it."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != NAME:
            return None
        from importlib.machinery import ModuleSpec

        return ModuleSpec(name, _TopLoader(), is_package=True)


class _First(_Last):
    """At the front, once `gunicorn` is ours: its submodules. Else the path of monoceros' own
    packages would give second copies of their modules."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name == NAME and _shadowing:
            return super().find_spec(name, path, target)
        if not name.startswith(NAME + ".") or not _is_ours(sys.modules.get(NAME)):
            return None
        from importlib.machinery import ModuleSpec
        from importlib.util import find_spec

        own = find_spec("monoceros" + name[len(NAME) :])
        if own is None:
            raise ModuleNotFoundError(_why_absent(name), name=name)
        return ModuleSpec(name, _AliasLoader(own), origin=own.origin)


_last = _Last()
_first = _First()
_shadowing = False


def _why_absent(name: str) -> str:
    short = name[len(NAME) + 1 :]
    for known, why in ABSENT.items():
        if short == known or short.startswith(known + "."):
            return f"{name} cannot be imported from monoceros: {why}."
    return f"{name} cannot be imported: monoceros has no module called {short}."


class _TopLoader(Loader):
    def create_module(self, spec: ModuleSpec) -> ModuleType:
        from monoceros.compat.top import Gunicorn

        if _first not in sys.meta_path:
            sys.meta_path.insert(0, _first)
        return Gunicorn(spec.name, VERSION)

    def exec_module(self, module: ModuleType) -> None:
        pass


class _AliasLoader(Loader):
    """Gives the module that exists already, by another name."""

    def __init__(self, own: ModuleSpec) -> None:
        self.own = own

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        import importlib

        return importlib.import_module(self.own.name)

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.own  # importlib has put the alias's there

    def get_code(self, name: str) -> Any:
        """For runpy: `python -m gunicorn`. The module's own code, to be run under that name."""
        loader: Any = self.own.loader
        return loader.get_code(self.own.name)


def _is_ours(module: Any) -> bool:
    return bool(getattr(module, "is_monoceros", False))


def in_use() -> bool:
    """Whether somebody in this process has imported monoceros as gunicorn."""
    return _is_ours(sys.modules.get(NAME))


def server_names() -> tuple[str, str]:
    """What the Server field and SERVER_SOFTWARE say. A configuration file may have assigned
    gunicorn's names for them: ours by the alias, or an installed gunicorn's."""
    import monoceros

    server, software = monoceros.SERVER, monoceros.SERVER_SOFTWARE
    real: Any = sys.modules.get(NAME)
    if real is None or _is_ours(real):
        return server, software
    if getattr(real, "SERVER", NAME) != NAME:
        server = real.SERVER
    if getattr(real, "SERVER_SOFTWARE", "") not in ("", f"{NAME}/{real.__version__}"):
        software = real.SERVER_SOFTWARE
    return server, software


def take_name() -> None:
    """For the package in packaging/gunicorn, whose import is `gunicorn`: from now on it is
    monoceros."""
    install()
    spec: Any = sys.modules[NAME].__spec__
    module = _TopLoader().create_module(spec)
    module.__spec__ = spec
    module.__file__ = spec.origin
    sys.modules[NAME] = module


def install(shadow: bool = False) -> None:
    """From now on `import gunicorn` finds monoceros: where nothing else does, or always.

    RuntimeError: it should hide an installed gunicorn that has been imported before.
    """
    global _shadowing
    if shadow:
        if NAME in sys.modules and not _is_ours(sys.modules[NAME]):
            raise RuntimeError("gunicorn was imported before monoceros could take its place.")
        _shadowing = True
        if _first not in sys.meta_path:
            sys.meta_path.insert(0, _first)
    if _last not in sys.meta_path:
        sys.meta_path.append(_last)


def uninstall() -> None:
    """Undoes install(). What was imported stays imported by those who have it."""
    global _shadowing
    _shadowing = False
    sys.meta_path[:] = [finder for finder in sys.meta_path if finder not in (_first, _last)]
    if _is_ours(sys.modules.get(NAME)):
        for name in [name for name in sys.modules if name.partition(".")[0] == NAME]:
            del sys.modules[name]


def install_for_command() -> None:
    """What the command does at its start, by MONOCEROS_COMPAT: unset, off or shadow."""
    wish = os.environ.get("MONOCEROS_COMPAT", "")
    if wish not in ("", "off", "shadow"):
        raise RuntimeError(f"MONOCEROS_COMPAT is off or shadow, not {wish!r}.")
    if wish != "off":
        install(shadow=wish == "shadow")

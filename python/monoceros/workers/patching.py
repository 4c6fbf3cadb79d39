"""gevent patches the standard library, before others take from it what was not patched.

A class that has taken ssl.SSLContext too early fails in its first TLS context (RecursionError).
Workers patch after the fork. The master patches where it loads what imports ssl itself: an
application (preload_app), or a configuration file.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NAME = "gevent"


def part(name: str) -> Any:
    """A module of gevent. ImportError: there is no gevent."""
    import importlib

    return importlib.import_module(f"{NAME}.{name}")


def names_gevent(worker_class: object) -> bool:
    """Whether it is a class over gevent, as far as its name or its bases tell."""
    if isinstance(worker_class, type):
        return any(NAME in f"{base.__module__}.{base.__name__}" for base in worker_class.__mro__)
    return isinstance(worker_class, str) and NAME in worker_class.lower()


def file_names_gevent(path: str) -> bool:
    """Whether a configuration file sets worker_class to such a name, by a plain assignment."""
    try:
        with open(path, "rb") as file:
            source = file.read()
        if NAME.encode() not in source or path.endswith(".pyc"):
            return False
        import ast

        tree = ast.parse(source)
    except (OSError, SyntaxError, ValueError):
        return False  # whoever runs it says so
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if any(isinstance(name, ast.Name) and name.id == "worker_class" for name in targets):
            value = getattr(node, "value", None)
            if isinstance(value, ast.Constant) and names_gevent(value.value):
                return True
    return False


class BeforeSsl:
    """While somebody's code is loaded, and if `wanted`: the first import of ssl patches first."""

    def __init__(self, wanted: bool) -> None:
        self.wanted = wanted

    def __enter__(self) -> None:
        if self.wanted:
            sys.meta_path.insert(0, self)

    def __exit__(self, *error: object) -> None:
        sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not self]

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != "ssl":
            return None
        self.__exit__()
        try:
            monkey = part("monkey")
        except ImportError:
            return None  # there is no gevent, and no such worker either
        monkey.patch_all()
        from importlib.machinery import ModuleSpec

        module = sys.modules[name]
        loaded: Any = Loaded(module)
        # importlib prefers the spec of a module that has come meanwhile, and would load it again.
        module.__spec__ = ModuleSpec(name, loaded)
        return module.__spec__


class Loaded:
    """A loader that gives the module that exists by now: a second one would not be patched."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.spec = module.__spec__

    def create_module(self, spec: Any) -> Any:
        return self.module

    def exec_module(self, module: Any) -> None:
        module.__spec__ = self.spec


def too_early() -> list[str]:
    """Modules that have taken SSLContext from ssl, which was not patched before."""
    ssl: Any = sys.modules.get("ssl")
    monkey: Any = sys.modules.get("gevent.monkey")
    if ssl is None or (monkey is not None and monkey.is_module_patched("ssl")):
        return []
    plain = ssl.SSLContext
    return [
        name
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] not in ("ssl", NAME)
        and getattr(module, "__dict__", {}).get("SSLContext") is plain
    ]


def original_poll() -> Any:
    """select.poll() that waits in the kernel, also where gevent has patched it."""
    import select

    monkey: Any = sys.modules.get("gevent.monkey")
    return select.poll() if monkey is None else monkey.get_original("select", "poll")()

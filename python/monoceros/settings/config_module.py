"""-c python:MODULE: a module as configuration, read afresh at each reload.

Afresh is the module itself, and what it has brought along of its own package. The packages around
it run once more only if their files have changed: they may hold the whole application.
"""

from __future__ import annotations

import os
import sys

from monoceros.errors import ConfigFileError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

Signature = tuple[int, int, int]


class ConfigModules:
    """What was imported for one configuration. load() makes the next one: a reload that fails
    goes back to the object that it had."""

    def __init__(self, name: str, brought: frozenset[str], parents: dict[str, Any]) -> None:
        self.name = name
        self.brought = brought  # by the module, of its package; the module itself too
        self.parents = parents  # signatures of the files of the packages around it

    @property
    def values(self) -> dict[str, Any]:
        return vars(sys.modules[self.name])

    @classmethod
    def load(cls, name: str, former: ConfigModules | None) -> ConfigModules:
        """Imports it. What fails leaves the modules as they were; ConfigFileError has the cause."""
        package = name.partition(".")[0]
        out = former.outdated() if former is not None else frozenset()
        before = dict(sys.modules)
        for gone in out:
            sys.modules.pop(gone, None)
        finder = _FromSource(package)
        if former is not None:
            sys.meta_path.insert(0, finder)
        try:
            return cls._import(name, package)
        except Exception as error:
            _restore(before, package)
            absent = error.name if isinstance(error, ModuleNotFoundError) else None
            if absent and f"{name}.".startswith(f"{absent}."):
                raise RuntimeError(
                    f"The configuration python:{name} cannot be read: {error}."
                ) from None
            raise ConfigFileError(f"python:{name}") from error
        finally:
            if former is not None:
                sys.meta_path.remove(finder)

    @classmethod
    def _import(cls, name: str, package: str) -> ConfigModules:
        import importlib

        importlib.invalidate_caches()
        parents = {}
        for parent in _packages_around(name):
            module = importlib.import_module(parent)
            parents[parent] = _signature(module)
        before = set(sys.modules)
        importlib.import_module(name)
        fresh = {one for one in set(sys.modules) - before if one.startswith(package + ".")}
        return cls(name, frozenset({name, *fresh}), parents)

    def outdated(self) -> frozenset[str]:
        changed = [
            name for name, known in self.parents.items()
            if name in sys.modules and _signature(sys.modules[name]) != known
        ]  # fmt: skip
        return self.brought.union(changed)


def _packages_around(name: str) -> Iterator[str]:
    """Outermost first."""
    parts = name.split(".")
    for count in range(1, len(parts)):
        yield ".".join(parts[:count])


def _signature(module: ModuleType) -> Signature | None:
    try:
        found = os.stat(module.__file__ or "")
    except (OSError, AttributeError):
        return None  # a namespace has no file
    return found.st_mtime_ns, found.st_ino, found.st_size


def _restore(before: dict[str, ModuleType], package: str) -> None:
    for name in [one for one in sys.modules if one.partition(".")[0] == package]:
        if name not in before:
            del sys.modules[name]
    for name, module in before.items():
        if name.partition(".")[0] != package:
            continue
        sys.modules[name] = module
        outer, _, last = name.rpartition(".")
        if outer in before:
            setattr(before[outer], last, module)


class _FromSource:
    """A finder for one package's modules: what was compiled before is not believed. It goes by
    whole seconds and the size, and a value may change within a second."""

    def __init__(self, package: str) -> None:
        self.package = package

    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
        from importlib.machinery import PathFinder, SourceFileLoader

        if name.partition(".")[0] != self.package:
            return None

        class Loader(SourceFileLoader):
            def path_stats(self, path: Any) -> Any:
                raise OSError  # no cached code is looked for, and none is written

        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and type(spec.loader) is SourceFileLoader:
            spec.loader = Loader(spec.loader.name, spec.loader.path)
        return spec

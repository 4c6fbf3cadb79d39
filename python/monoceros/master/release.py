"""What this server was started from and where it serves from, by the names that it was told: links
may lead elsewhere by now, and a new release is reached by the same names."""

from __future__ import annotations

import os
import sys

from monoceros import __version__, _core, config

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from monoceros.config import Config
    from monoceros.glogging import Logger

ENTRIES_MAX = 1000  # of a directory that is looked through for links
LEVELS = 3  # a release is the working directory, or at most so far above it


def command() -> tuple[str, list[str]]:
    """A program and its arguments that start this server once more, as it was named. A script is
    executed itself: which interpreter a new release has, only its own first line knows."""
    argv = sys.orig_argv
    name = _core.started_as()
    path = os.path.join(config.LAUNCH_DIR, name)
    for index in (1, 2):  # behind the interpreter, and one argument of it
        if name and argv[index : index + 1] == [name]:
            return path, [path, *argv[index + 1 :]]
    if name and _is_same(path, sys.executable):
        return path, [path, *argv[1:]]
    return sys.executable, [sys.executable, *argv[1:]]


def _is_same(path: str, other: str) -> bool:
    try:
        return os.path.samefile(path, other)
    except OSError:
        return False


def identity() -> str:
    """Which version of what this process runs."""
    python = ".".join(map(str, sys.version_info[:3]))
    place = os.path.realpath(os.path.dirname(os.path.dirname(__file__)))
    return f"monoceros {__version__} in {place}, Python {python}"


# ---- the directory


class Directory:
    """Where the master serves from, and the links that led there when it started."""

    def __init__(self) -> None:
        self.real = os.getcwd()
        self._links = list(_links_to(self.real))

    def tell(self, cfg: Config, log: Logger) -> None:
        """At a reload, in the directory of the new configuration."""
        real = os.getcwd()
        named = str(cfg.chdir)
        log.info("Reload: serving from %s", real if named == real else f"{named} -> {real}")
        if real == self.real:
            self._tell_overlooked(log)
        elif cfg.preload_app:
            log.warning(
                "preload_app keeps the application that was loaded from %s; USR2 loads that of %s.",
                self.real, real,
            )  # fmt: skip

    def _tell_overlooked(self, log: Logger) -> None:
        for link, inside in self._links:
            now = os.path.realpath(os.path.join(link, inside))
            if now != self.real and os.path.isdir(now):
                log.warning(
                    "The link %s leads to %s now. This server does not follow it: it was started "
                    "in %s by that name. Start it with --chdir %s, and reloads do.",
                    link, now, self.real, os.path.join(link, inside).rstrip("/"),
                )  # fmt: skip
                return


def _links_to(real: str) -> Iterator[tuple[str, str]]:
    """Links beside this directory, or one above, that lead to it or to what it is in; and the
    rest of the way."""
    release, inside = real, ""
    for _ in range(LEVELS):
        beside = os.path.dirname(release)
        if beside in ("/", release):
            return
        for folder in (beside, os.path.dirname(beside)):
            for link in _links_in(folder):
                if os.path.realpath(link) == release:
                    yield link, inside
        inside = os.path.join(os.path.basename(release), inside)
        release = beside


def _links_in(folder: str) -> list[str]:
    found = []
    try:
        with os.scandir(folder) as entries:
            for count, entry in enumerate(entries):
                if count == ENTRIES_MAX:
                    break
                if entry.is_symlink():
                    found.append(entry.path)
    except OSError:
        pass  # not ours to read
    return found

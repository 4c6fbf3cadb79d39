"""--reload: a thread of the worker that looks for changes of its modules and of extra files.

Both engines compare what stat() says of each file; they differ in when they look: every second,
or when the kernel says that something happened in one of the directories.
"""

from __future__ import annotations

import os
import sys
import threading
import time

from monoceros import _core

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Signature = tuple[int, int, int]

POLL_S = 1.0
QUIET_S = 0.05  # nothing more happens for so long: whoever writes has done
QUIET_S_MAX = 0.5
WILDCARDS = frozenset("*?[")


def _signature(path: str) -> Signature | None:
    """What changes when a file does. None: it is not there; it may be on its way back."""
    try:
        found = os.stat(path)  # follows links: a link that is turned around is a change
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def _with_contents(name: str) -> str:
    """A directory stands for everything below it."""
    return os.path.join(name, "**") if os.path.isdir(name) else name


def _module_files() -> set[str]:
    """The sources of all modules that are loaded."""
    files = set()
    for module in list(sys.modules.values()):
        name = getattr(module, "__file__", None)
        if isinstance(name, str):
            files.add(os.path.abspath(name[:-1] if name.endswith((".pyc", ".pyo")) else name))
    return files


class Reloader(threading.Thread):
    """Looks every `interval` seconds. callback(name) is called once, from this thread."""

    def __init__(
        self,
        extra_files: Iterable[str] | None = None,
        interval: float = POLL_S,
        callback: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__(name="reloader", daemon=True)
        self._interval = interval
        self._callback = callback
        self._lock = threading.Lock()
        names = [_with_contents(os.path.abspath(name)) for name in extra_files or ()]
        self._patterns = [name for name in names if WILDCARDS & set(name)]
        self._extra = {name for name in names if name not in self._patterns}
        self._known: dict[str, Signature] = {}
        self._modules = 0  # how many there were when they were last looked through

    def add_extra_file(self, filename: str) -> None:
        with self._lock:
            self._extra.add(os.path.abspath(filename))

    def get_files(self) -> list[str]:
        """Everything that is watched now."""
        self._note_new()
        return sorted(self._known)

    def start(self) -> None:
        self._note_new()  # here, not in the thread: what changes from now on is a change
        super().start()

    def run(self) -> None:
        while True:
            self.wait()
            name = self._changed() or self._note_new()
            if name is not None:
                self._until_quiet()
                if self._callback is not None:
                    self._callback(name)
                return

    def wait(self) -> None:
        """Until it is worth looking again."""
        time.sleep(self._interval)

    # ---- what is watched

    def _note_new(self) -> str | None:
        """Begins to watch what is new. A file that appears where a pattern waits for it is news:
        its name is returned, unless everything is new."""
        first = not self._known
        with self._lock:
            files = set(self._extra)
        if len(sys.modules) != self._modules:
            self._modules = len(sys.modules)
            files |= _module_files()
        matches = self._matches()
        appeared = None
        for name in files | matches:
            if name in self._known:
                continue
            signature = _signature(name)
            if signature is None:
                continue
            self._known[name] = signature
            self.watch(name)
            if name in matches and not first:
                appeared = name
        return appeared

    def _matches(self) -> set[str]:
        if not self._patterns:
            return set()
        import glob

        return {name for pattern in self._patterns for name in glob.glob(pattern, recursive=True)}

    def watch(self, name: str) -> None:
        """A file is watched from now on."""

    def _changed(self) -> str | None:
        """The first file that is not what it was."""
        for name, known in self._known.items():
            now = _signature(name)
            if now is not None and now != known:
                return name
        return None

    def _until_quiet(self) -> None:
        """A checkout or a formatter writes many files: they are to be loaded together."""
        deadline = time.monotonic() + QUIET_S_MAX
        last = None
        while time.monotonic() < deadline:
            now = [_signature(name) for name in self._known]
            if now == last:
                return
            last = now
            time.sleep(QUIET_S)


class InotifyReloader(Reloader):
    """Looks when the kernel has news of the directories. OSError: there is no inotify."""

    def __init__(
        self,
        extra_files: Iterable[str] | None = None,
        callback: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__(extra_files, POLL_S, callback)
        import select

        self._inotify = _core.Inotify()
        self._directories: set[str] = set()
        self._blind = False  # too many watches: look by the clock
        self._poll = select.poll()
        self._poll.register(self._inotify.fileno(), select.POLLIN)
        for pattern in self._patterns:
            self._watch_directory(_fixed_part(pattern))

    def wait(self) -> None:
        if self._blind:
            super().wait()
            return
        # The clock is for modules that are imported late, and for new directories that a pattern
        # would look into: those are not watched yet.
        while not self._poll.poll(self._interval * 1000):
            if self._patterns or len(sys.modules) != self._modules:
                return
        self._inotify.drain()

    def watch(self, name: str) -> None:
        self._watch_directory(os.path.dirname(name))
        self._watch_directory(os.path.dirname(os.path.realpath(name)))

    def _watch_directory(self, name: str) -> None:
        if name in self._directories:
            return
        self._directories.add(name)
        try:
            self._inotify.watch(name)
        except OSError:
            # Not only ENOSPC: a directory in an archive cannot change, one that is not there yet
            # can, and the clock sees that too.
            self._blind = self._blind or not os.path.isfile(name)


def _fixed_part(pattern: str) -> str:
    """The deepest directory that a pattern names without a wildcard."""
    directory = os.path.dirname(pattern)
    while WILDCARDS & set(directory):
        directory = os.path.dirname(directory)
    return directory


def preferred(
    extra_files: Iterable[str] | None = None, callback: Callable[[str], None] | None = None
) -> Reloader:
    """inotify where it works, the clock otherwise."""
    try:
        return InotifyReloader(extra_files, callback)
    except OSError:
        return Reloader(extra_files, callback=callback)


reloader_engines: dict[str, Callable[..., Reloader]] = {
    "auto": preferred, "poll": Reloader, "inotify": InotifyReloader,
}  # fmt: skip

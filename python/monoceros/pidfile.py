"""The file that holds the master's process id."""

from __future__ import annotations

import os

SERVERS = {"monoceros", "gunicorn"}
CREATE = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC


class Pidfile:
    """A pidfile. Invariant: a file that names another living server is never touched."""

    def __init__(self, fname: str) -> None:
        self.fname = fname
        self.pid: int | None = None
        self.foreign = ""  # what the number that was in the file belonged to

    def create(self, pid: int) -> None:
        """Writes the file; RuntimeError if it names a living server or cannot be written."""
        other = self.validate()
        if other is not None:
            if other == os.getpid():
                self.pid = pid
                return
            if is_server(other):
                raise RuntimeError(
                    f"The pidfile {self.fname} says that process {other} is running already: "
                    f"{_name_of(other)}. Stop it first, or give another --pid."
                )
            self.foreign = f"process {other}, which is no server of ours: {_name_of(other)}"
        self.pid = pid
        self._write()

    def _write(self) -> None:
        folder, name = os.path.split(os.path.abspath(self.fname))
        if not os.path.isdir(folder):
            raise RuntimeError(f"The pidfile cannot be written: {folder} is no directory.")
        # Beside the file and renamed over it: a reader never sees half a number.
        # Its name is new, so that it is nobody's: others may write into the folder too.
        temporary = os.path.join(folder, f".{name}.{os.getpid()}.{os.urandom(4).hex()}")
        try:
            fd = os.open(temporary, CREATE, 0o644)
            try:
                os.write(fd, f"{self.pid}\n".encode())
                os.fchmod(fd, 0o644)
                os.rename(temporary, self.fname)
            except OSError:
                os.unlink(temporary)
                raise
            finally:
                os.close(fd)
        except OSError as error:
            raise RuntimeError(f"The pidfile {self.fname} cannot be written: {error}") from error

    def rename(self, path: str) -> None:
        """Goes on under another name."""
        self.unlink()
        self.fname = path
        self.create(self.pid if self.pid is not None else os.getpid())

    def unlink(self) -> None:
        """Removes the file if it still names this server."""
        if self.pid is not None and self._read() == self.pid:
            try:
                os.unlink(self.fname)
            except OSError:
                pass

    def validate(self) -> int | None:
        """The living process that the file names, if there is one."""
        pid = self._read()
        if pid is None or pid <= 0:
            return None
        return pid if _lives(pid) else None

    def _read(self) -> int | None:
        try:
            # Should a FIFO lie there, nobody waits for who writes into it.
            fd = os.open(self.fname, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
            try:
                return int(os.read(fd, 64).decode("ascii", "replace") or "0")
            finally:
                os.close(fd)
        except (OSError, ValueError):
            return None


def is_server(pid: int) -> bool:
    """Whether the process serves by this package, or is a gunicorn. Also where that cannot be
    seen: two servers are worse than none."""
    try:
        with open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as file:
            if "/monoceros/_core" in file.read():
                return True
    except OSError:
        pass  # another user's; its command line is for everybody
    words = _command_of(pid)
    if not words:
        return not os.path.exists(f"/proc/{pid}/stat") and _lives(pid)
    return _program(words) in SERVERS


def _program(words: list[str]) -> str:
    """What runs: a script or module for a Python, a title's first word for who has set one."""
    name = os.path.basename(words[0].partition(":")[0])
    rest = iter(words[1:] if name.startswith("python") else ())
    for word in rest:
        if word == "-m":
            return next(rest, "").partition(".")[0]
        if word in ("-X", "-W"):
            next(rest, "")
        elif not word.startswith("-"):
            return os.path.basename(word)
    return name


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        pass
    return True


def _command_of(pid: int) -> list[str]:
    """Empty for a process of the kernel, too."""
    try:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as file:
            return [word for word in file.read(4096).split("\0") if word]
    except OSError:
        return []


def _name_of(pid: int) -> str:
    command = " ".join(_command_of(pid))
    return command[:80] or "its command line cannot be read"

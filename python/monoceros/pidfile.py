"""The file that holds the master's process id."""

from __future__ import annotations

import os


class Pidfile:
    """A pidfile. Invariant: a file that names another living process is never touched."""

    def __init__(self, fname: str) -> None:
        self.fname = fname
        self.pid: int | None = None

    def create(self, pid: int) -> None:
        """Writes the file; RuntimeError if it names a living process or cannot be written."""
        other = self.validate()
        if other is not None:
            if other == os.getpid():
                self.pid = pid
                return
            raise RuntimeError(
                f"The pidfile {self.fname} says that process {other} is running already. "
                "Stop it first, or give another --pid."
            )
        self.pid = pid
        self._write()

    def _write(self) -> None:
        folder, name = os.path.split(os.path.abspath(self.fname))
        if not os.path.isdir(folder):
            raise RuntimeError(f"The pidfile cannot be written: {folder} is no directory.")
        # Beside the file and renamed over it: a reader never sees half a number.
        temporary = os.path.join(folder, f".{name}.{os.getpid()}")
        try:
            fd = os.open(temporary, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_NOFOLLOW, 0o644)
            try:
                os.write(fd, f"{self.pid}\n".encode())
                os.fchmod(fd, 0o644)
            finally:
                os.close(fd)
            os.rename(temporary, self.fname)
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
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return None
        except PermissionError:
            pass  # it lives, and is somebody else's
        except OverflowError:
            return None
        return pid

    def _read(self) -> int | None:
        try:
            with open(self.fname, encoding="ascii", errors="replace") as file:
                return int(file.read(64) or "0")
        except (OSError, ValueError):
            return None

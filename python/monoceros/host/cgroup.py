"""Where the kernel keeps what it knows of this process's control groups, versions 1 and 2."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = "/sys/fs/cgroup"
OWN = "/proc/self/cgroup"


def read(path: str) -> str | None:
    """The file's text; None where it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as opened:
            return opened.read().strip()
    except OSError:
        return None


def own_paths(root: str, controller: str, proc_cgroup: str) -> Iterator[str]:
    """Directories of our cgroup for a controller ("" = version 2), innermost first."""
    for line in (read(proc_cgroup) or "").splitlines():
        number, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if controller == "":
            if number != "0" or names:
                continue
            base = root
        elif controller in names.split(","):
            base = f"{root}/{controller}"
        else:
            continue
        while path not in ("", "/"):
            yield base + path
            path = path.rpartition("/")[0]
        yield base
    # In a container, the mount may be the root of our cgroup, whatever /proc calls it.
    yield root if controller == "" else f"{root}/{controller}"

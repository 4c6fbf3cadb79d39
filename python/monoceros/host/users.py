"""Users of this machine, as far as a server must know them."""

from __future__ import annotations


def may_change_user() -> bool:
    """Whether this process, which is not root, has the capabilities for it."""
    try:
        with open("/proc/self/status", encoding="utf-8", errors="replace") as file:
            line = next(line for line in file if line.startswith("CapEff:"))
    except (OSError, StopIteration):
        return True  # who cannot know lets it be tried
    needed = 1 << 6 | 1 << 7  # CAP_SETGID, CAP_SETUID
    return int(line.split()[1], 16) & needed == needed


def user_name(uid: int) -> str | None:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None

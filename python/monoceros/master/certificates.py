"""Certificates: reads the TLS files that a configuration names and publishes them to all workers,
at the start and again whenever they change.

Owned by the master; one a generation, because a configuration decides which files there are. What
the files are worth is judged by _secure.TlsStore. Invariant: what cannot be served, once something
is, changes nothing but the log.
"""

from __future__ import annotations

import math
import os
import time

from monoceros import _core
from monoceros.errors import ConfigError
from monoceros.master import tls_hook

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from monoceros.master.generation import Generation
    from monoceros.master.loop import Loop
    from monoceros.master.tls_rules import TlsRules

WARN_DAYS = 14
LINKS_MAX = 40  # as the kernel
QUIET_S = 0.2  # certificate and key are two files: whoever writes them has done by then


def adopt(generation: Generation, log: Any) -> Generation:
    """With the certificates that its configuration names. ConfigError: they cannot be served."""
    cfg, cls = generation.cfg, generation.worker_class
    if not getattr(cls, "serves_tls", False) or getattr(cls, "server_class", None) is not None:
        raise ConfigError(
            f"{cls.__name__} serves by a server of its own, which has no TLS here: choose another "
            "worker_class, or leave TLS to the proxy."
        )
    made = Certificates(tls_hook.rules_of(cfg, log), log)
    made.open(generation.certificates)
    return generation.having(certificates=made)


class Certificates:
    def __init__(self, rules: TlsRules, log: Any) -> None:
        from monoceros import _secure  # OpenSSL is loaded with it

        self._rules = rules
        self._log = log
        self._said: set[str] = set()  # refusals that stand: said once
        self._rotate_at_s = math.inf  # of the monotonic clock: then tickets get a new key
        self.store = _secure.TlsStore()

    def open(self, former: Certificates | None = None) -> None:
        """The first time. ConfigError: this configuration cannot be served. Tickets of `former`
        stay good."""
        rules = self._rules
        key_log = -1
        try:
            key_log = _open_key_log(rules.key_log_file)
            with rules.read() as (certificates, more):
                if former is not None:
                    more["tickets_of"] = former.store
                more["key_log_fd"] = key_log
                published = self.store.open(certificates, rules.protocols, **more)
        except (OSError, ValueError) as error:
            raise ConfigError(f"TLS cannot be served: {error}") from None
        finally:
            if key_log >= 0:
                os.close(key_log)
        self._plan_rotation(math.inf if former is None else former._rotate_at_s)
        self._tell(published)
        if key_log >= 0:
            self._log.warning(
                "TLS: the secrets of all connections are written to %s (tls_key_log_file): whoever "
                "reads it can read the traffic",
                rules.key_log_file,
            )

    def look(self) -> bool:
        """Reads the files again; whether workers have something new."""
        try:
            with self._rules.read() as (certificates, more):
                published = self.store.update(certificates, self._rules.protocols, **more)
        except (OSError, ValueError) as error:
            self._refuse([str(error)])
            return False
        self._refuse(published[2])
        if published[0]:
            self._log.info("New TLS certificates are served to new connections")
            self._tell(published)
        return published[0]

    def files(self) -> list[str]:
        """Whatever is read."""
        return self._rules.files()

    # A key makes tickets for one lifetime and opens them for another one, so that each is good
    # for a whole lifetime, and no key is older than two.

    def _plan_rotation(self, latest_s: float = math.inf) -> None:
        if lifetime_s := self._rules.ticket_lifetime_s:
            self._rotate_at_s = min(latest_s, time.monotonic() + lifetime_s)

    def wait_s(self) -> float:
        """Until rotate_if_due() has something to do."""
        return max(0.0, self._rotate_at_s - time.monotonic())

    def rotate_if_due(self) -> None:
        if time.monotonic() < self._rotate_at_s:
            return
        if not self.store.rotate_tickets():
            self._log.error("TLS: there are no random bytes for a new ticket key; the old goes on")
        self._plan_rotation()

    def _tell(self, published: tuple[bool, list[str], list[str], str, int]) -> None:
        _, warnings, _, name, days = published
        for warning in warnings:
            self._log.warning("TLS: %s", warning)
        level = self._log.info if days >= WARN_DAYS else self._log.warning
        level("TLS: %s expires in %s days", name, days)

    def _refuse(self, sentences: list[str]) -> None:
        for sentence in sentences:
            if sentence not in self._said:
                self._log.error("TLS: %s; what was served before goes on", sentence)
        self._said = set(sentences)


class Watch:
    """Looks at the files of the current certificates when the kernel tells of a change.

    Owned by the master, in whose loop it waits; a worker drops it. Where there is no inotify the
    files are read at HUP only.
    """

    def __init__(self, loop: Loop, log: Any) -> None:
        self._loop = loop
        self._certificates: Certificates | None = None
        self._inotify: _core.Inotify | None = None
        self._due_s: float | None = None
        try:
            self._inotify = _core.Inotify()
        except OSError as error:
            log.warning("Changed TLS files are noticed at HUP only: %s", error)
            return
        loop.watch(self._inotify.fileno(), self._note)

    def follow(self, certificates: Certificates | None) -> None:
        """These are served from now on; None: connections are plain."""
        self._certificates = certificates
        self._watch()

    def _watch(self) -> None:
        if self._inotify is None or self._certificates is None:
            return
        for directory in directories(self._certificates.files()):
            try:
                self._inotify.watch(directory)
            except OSError:
                pass  # it is gone: a directory above it tells when it is back

    def _note(self) -> None:
        assert self._inotify is not None
        if self._inotify.drain() and self._due_s is None:
            self._due_s = time.monotonic() + QUIET_S

    def wait_ms(self) -> int:
        """Until look_if_due() has something to do; -1: nothing has changed, or will."""
        if self._certificates is None:
            return -1
        wait_s = self._certificates.wait_s()
        if self._due_s is not None:
            wait_s = min(wait_s, max(0.0, self._due_s - time.monotonic()))
        return -1 if wait_s == math.inf else math.ceil(wait_s * 1000)

    def look_if_due(self) -> bool:
        """Whether workers have something new."""
        if self._certificates is None:
            return False
        self._certificates.rotate_if_due()
        if self._due_s is None or time.monotonic() < self._due_s:
            return False
        self._due_s = None
        self._watch()  # links lead elsewhere now
        return self._certificates.look()

    def close(self) -> None:
        if self._inotify is not None:
            self._loop.forget(self._inotify.fileno())
            self._inotify = None


def _open_key_log(name: str) -> int:
    """-1: there is none. A new file is its owner's alone."""
    if not name:
        return -1
    return os.open(name, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


def directories(names: Iterable[str]) -> set[str]:
    """Where something happens when one of these files is replaced: its own directory, and that of
    each link on the way (certbot turns links to files around, Kubernetes one to a directory)."""
    found: set[str] = set()
    for name in names:
        path = os.path.abspath(name)
        for _ in range(LINKS_MAX):
            link = _first_link(path)
            if link is None:
                break
            found.add(os.path.dirname(link))
            target = os.path.join(os.path.dirname(link), os.readlink(link))
            path = os.path.normpath(target + path[len(link) :])
        found.add(os.path.dirname(path))
    return found


def _first_link(path: str) -> str | None:
    """The shortest beginning of a path that is a symbolic link."""
    at = 0
    while at >= 0:
        at = path.find("/", at + 1)
        head = path if at < 0 else path[:at]
        if os.path.islink(head):
            return head
    return None

"""The pidfile, and the master's last steps."""

from __future__ import annotations

import sys

from monoceros import _core, sock

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from typing import NoReturn

    from monoceros.contracts import Master
else:
    import _signal as signal  # signal itself imports enum and more


def pidfile_name(server: Master) -> str | None:
    name: str | None = server.cfg.pidfile
    return name + ".2" if name is not None and server.master_pid else name


def change_pidfile(server: Master) -> None:
    """Writes the file that the configuration names, in the place of a former one."""
    if server.pidfile is not None:
        server.pidfile.unlink()
        server.pidfile = None
    name = pidfile_name(server)
    if name is not None:
        from monoceros.pidfile import Pidfile

        server.pidfile = Pidfile(name)
        server.pidfile.create(server.pid)
        if server.pidfile.foreign:
            server.log.warning("%s named %s. It is written anew.", name, server.pidfile.foreign)


def abandon(server: Master) -> None:
    """Takes away what others would stumble over."""
    sock.close_sockets(server.LISTENERS, server.owns_files())
    if server.pidfile is not None:
        server.pidfile.unlink()


def leave(server: Master, code: int, reason: str) -> NoReturn:
    """The end of a server that was stopped, by whatever it was."""
    if server.owns_files():
        sock.unlink_sockets(server.LISTENERS)
    # Workers that do without our engine tell nobody what they have served.
    by_engine = getattr(server.generation.worker_class, "counts_requests", False)
    if by_engine or server.scoreboard.totals()["accepted"]:
        server.log.info("%s", ledger(server.scoreboard))
    log = server.log.error if code else server.log.info
    log("Shutting down: %s", server.master_name)
    if reason:
        log("Reason: %s", reason)
    if server.pidfile is not None:
        server.pidfile.unlink()
    server.call_hook("on_exit", server)
    # Python's own end would give them their defaults: a second TERM would be the exit code.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.exit(code)


def ledger(scoreboard: _core.Scoreboard) -> str:
    """What became of every request that was taken in."""
    sums = scoreboard.totals()
    return (
        "Requests: accepted {accepted} = answered {answered} + refused {refused} + "
        "aborted {aborted}".format(**sums)
    )

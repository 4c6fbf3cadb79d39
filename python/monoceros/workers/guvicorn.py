"""The asgi worker where uvicorn's was asked for: what uvicorn does by default is done here too.

Requests of trusted proxies have the client and the scheme that their X-Forwarded-For and
X-Forwarded-Proto name, and uvicorn's loggers write where ours do. docs/compat.md has the rest.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging

from monoceros.workers.gasgi import ASGIWorker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from monoceros import _core

SCHEMES = {"http", "https", "ws", "wss"}
HOST_LENGTH_MAX = 253  # of a name; nothing longer is remembered


class UvicornWorker(ASGIWorker):
    """-k uvicorn.workers.UvicornWorker, where it is not a class of one's own."""

    changes_scope = True

    def load_wsgi(self) -> None:
        self._proxies = Proxies(self.cfg.forwarded_allow_ips)
        self._lend_handlers()  # first: an application that configures logging has the last word
        super().load_wsgi()

    def _lend_handlers(self) -> None:
        error, access = self.log.error_log, self.log.access_log
        for name, ours in (("", error), (".error", error), (".access", access)):
            theirs = logging.getLogger("uvicorn" + name)
            theirs.handlers = ours.handlers
            theirs.setLevel(ours.level)
            theirs.propagate = False

    def _scope(self, exchange: _core.Exchange) -> dict[str, Any]:
        scope = super()._scope(exchange)
        self._proxies.forward(scope)
        return scope


class UvicornH11Worker(UvicornWorker):
    """The one that runs on asyncio alone."""

    def _make_loop(self) -> asyncio.AbstractEventLoop:
        if "asgi_loop" in self.cfg.sources:
            return super()._make_loop()
        return asyncio.new_event_loop()


class Proxies:
    """Whose X-Forwarded-* fields count. A peer without an address, on a unix socket, only where
    everybody's do, as in uvicorn."""

    def __init__(self, trusted: list[str]) -> None:
        self._all = "*" in trusted
        self._networks = [ipaddress.ip_network(item) for item in trusted if item != "*"]
        self._known: dict[str, bool] = {}

    def trusts(self, host: str) -> bool:
        if self._all:
            return True
        known = self._known.get(host)
        if known is None:
            known = self._look_up(host)
            if len(host) <= HOST_LENGTH_MAX:
                if len(self._known) >= 4096:
                    self._known.clear()
                self._known[host] = known
        return known

    def _look_up(self, host: str) -> bool:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None) or address
        return any(address in network or mapped in network for network in self._networks)

    def forward(self, scope: dict[str, Any]) -> None:
        """Puts the client and the scheme that a trusted peer names into its request."""
        client = scope["client"]
        if not self.trusts(client[0] if client else ""):
            return
        proto = None
        hops = []
        for name, value in scope["headers"]:
            if name == b"x-forwarded-for":
                hops.append(value)
            elif name == b"x-forwarded-proto":
                proto = value
        if proto is not None:
            scheme = proto.decode("latin-1").strip()
            if scheme in SCHEMES:
                websocket = scope["type"] == "websocket"
                scope["scheme"] = scheme.replace("http", "ws") if websocket else scheme
        if hops:
            found = self.client(b",".join(hops).decode("latin-1"))
            if found[0]:
                scope["client"] = found

    def client(self, forwarded_for: str) -> tuple[str, int]:
        """The hop next to us that is no proxy of ours. Each proxy adds who spoke to it at the
        right; what stands further left is hearsay."""
        hops = [address_of(hop.strip()) for hop in forwarded_for.split(",")]
        if not self._all:
            for hop in reversed(hops):
                if not self.trusts(hop[0]):
                    return hop
        return hops[0]


def address_of(hop: str) -> tuple[str, int]:
    """Host and port of 192.0.2.1, 192.0.2.1:80, 2001:db8::1 and [2001:db8::1]:80. What is none of
    these is a host as it stands, whom nobody trusts."""
    host, port = hop, ""
    if hop.startswith("["):
        inside, closed, behind = hop[1:].partition("]")
        if closed and (not behind or behind.startswith(":")):
            host, port = inside, behind[1:]
    elif hop.count(":") == 1:
        before, _, port = hop.partition(":")
        host = before if port.isdecimal() else hop
    return host, int(port) if port.isdecimal() and port.isascii() and len(port) < 6 else 0

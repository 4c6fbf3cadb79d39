"""The scenarios: each starts a server, lets something happen to it, and returns what clients saw.

A scenario's cell is a short text, "failed / asked" wherever there is load. What a server has no
feature for is "n/a" with the reason.
"""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from peers import Peer, Site

from accounts import Account, CountedLoad

LANES = {"busy": 4, "idle": 4, "sleepy": 2}
LOAD_S = 8.0
ARRIVAL_S_MAX = 12.0  # a release that has not arrived then does not count as deployed
IN_FLIGHT = 4
WORK_MS = 700
DEADLINE_S = 2
STUCK_S_MAX = 12.0
RECYCLE = 100
RELOADS = 3
BROKEN = "import a_module_that_was_forgotten\n"
SLOW = "import time\ntime.sleep(3)\nVERSION = 'slow'\n"


@dataclass(frozen=True)
class Scenario:
    """One row of the table. `feature` is what a server must have for it."""

    name: str
    title: str
    feature: str
    play: Callable[[Peer], str]


class Asking(threading.Thread):
    """One request on a connection of its own; `.saw` says what came of it."""

    def __init__(self, site: Site, name: str, work_ms: int, seconds_max: float) -> None:
        super().__init__(daemon=True)
        self._site = site
        self._request = f"GET /?id={name}&ms={work_ms} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
        self._seconds_max = seconds_max
        self.saw = ""
        self.took_s = 0.0
        self.start()

    def run(self) -> None:
        """Asks, and reads until the answer is whole or the connection has ended."""
        began = time.monotonic()
        data = b""
        try:
            with socket.create_connection(self._site.address, self._seconds_max) as sock:
                sock.sendall(self._request)
                while not self._is_whole(data) and (piece := sock.recv(65536)):
                    data += piece
            self.saw = self._name_of(data)
        except ConnectionRefusedError:
            self.saw = "refused"
        except ConnectionResetError:
            self.saw = "reset"
        except TimeoutError:
            self.saw = "no answer"
        self.took_s = time.monotonic() - began

    @staticmethod
    def _is_whole(data: bytes) -> bool:
        head, found, body = data.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]
        return bool(found) and length.isdigit() and len(body) >= int(length)

    def _name_of(self, data: bytes) -> str:
        if not data:
            return "empty close"
        status = data[9:12].decode("latin-1")
        return status if self._is_whole(data) or status != "200" else "cut answer"


def stop_with_requests_in_flight(peer: Peer) -> str:
    """Four clients ask one worker at the same moment; 0.3 s later the server gets TERM."""
    with Site(peer, workers=1) as site:
        clients = [Asking(site, f"flight{n}", WORK_MS, 30) for n in range(IN_FLIGHT)]
        if not any(site.began(f"flight{n}", 2) for n in range(IN_FLIGHT)):
            return "nothing began"
        time.sleep(0.3)
        site.signal(signal.SIGTERM)
        for client in clients:
            client.join(35)
    lost = [client.saw for client in clients if client.saw != "200"]
    return f"{len(lost)} / {IN_FLIGHT}" + (f" ({', '.join(sorted(set(lost)))})" if lost else "")


def under_load(
    peer: Peer, what: Callable[[Site, CountedLoad], None], recycle: int = 0, expected: str = "old"
) -> str:
    """Load straight at two workers while `what` happens; failed / asked, the longest wait, and
    what is not as it should be afterwards: the release `expected` is to answer."""
    with Site(peer, workers=2, recycle=recycle) as site:
        with CountedLoad({"direct": site.port}, site.directory / "load", **LANES) as load:
            time.sleep(1.0)
            what(site, load)
            site.wait_for_version(expected, ARRIVAL_S_MAX)
            account = load.finish()
        left = site.ended()
        version = "" if left is not None else site.version()
    slowest = f"; slowest {account.slowest_ms / 1000:.2f} s"
    return score(account) + slowest + ending(left, version, expected)


def score(account: Account) -> str:
    """Failed and asked, and the kinds of failures, the most frequent first."""
    text = f"{account.failed} / {account.failed + account.answered}"
    kinds = sorted(account.kinds.items(), key=lambda item: -item[1])
    names = [name.removeprefix("direct ") for name, _ in kinds[:2]]
    return text + (f" ({', '.join(names)})" if names else "")


def ending(left: int | None, version: str, expected: str) -> str:
    """What is left of the server afterwards, where that is not as it should be."""
    if left is not None:
        return f"; the server left with {left}"
    if not version:
        return "; nobody answers any more"
    return "" if version == expected else f"; the {version} code answers, not the {expected}"


def reload(peer: Peer) -> str:
    """HUP three times, each onto a good release."""

    def play(site: Site, load: CountedLoad) -> None:
        for number in range(RELOADS):
            site.deploy(f"VERSION = 'good{number}'\n")
            load.mark(f"HUP {number}")
            site.signal(signal.SIGHUP)
            time.sleep(LOAD_S / RELOADS)
            site.wait_for_version(f"good{number}", ARRIVAL_S_MAX)

    return under_load(peer, play, expected=f"good{RELOADS - 1}")


def bad_reload(peer: Peer) -> str:
    """HUP onto a release that fails to import."""

    def play(site: Site, load: CountedLoad) -> None:
        site.deploy(BROKEN)
        load.mark("HUP")
        site.signal(signal.SIGHUP)
        time.sleep(LOAD_S)

    return under_load(peer, play)


def slow_boot(peer: Peer) -> str:
    """HUP onto a release that takes three seconds to import."""

    def play(site: Site, load: CountedLoad) -> None:
        site.deploy(SLOW)
        load.mark("HUP")
        site.signal(signal.SIGHUP)
        time.sleep(LOAD_S)

    return under_load(peer, play, expected="slow")


def recycling(peer: Peer) -> str:
    """Every worker leaves after a hundred requests, and is replaced."""

    def play(site: Site, load: CountedLoad) -> None:
        time.sleep(LOAD_S)

    return under_load(peer, play, recycle=RECYCLE)


def stuck_request(peer: Peer) -> str:
    """One request hangs in one of four threads; a limit of two seconds was asked for."""
    with Site(peer, workers=1, deadline_s=DEADLINE_S) as site:
        stuck = Asking(site, "stuck", 60_000, STUCK_S_MAX)
        if not site.began("stuck", 5):
            return "nothing began"
        with CountedLoad({"direct": site.port}, site.directory / "load", busy=0, idle=3) as load:
            stuck.join(STUCK_S_MAX + 1)
            account = load.finish()
    return f"{stuck.saw} after {stuck.took_s:.1f} s; beside it {score(account)} failed"


def death(number: int) -> Callable[[Peer], str]:
    """The only worker gets a signal in the middle of a request."""

    def play(peer: Peer) -> str:
        with Site(peer, workers=2) as site:
            client = Asking(site, "victim", 3_000, 10)
            pid = site.began("victim", 5)
            if not pid:
                return "nothing began"
            os.kill(pid, number)
            client.join(12)
            return client.saw + back_after(site)

    return play


def back_after(site: Site) -> str:
    """Whether the server goes on after a worker's death."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if site.version():
            return ""
        time.sleep(0.1)
    return "; nobody answers any more"


SCENARIOS = (
    Scenario(
        "stop",
        "TERM with four requests in flight on one worker",
        "stop",
        stop_with_requests_in_flight,
    ),
    Scenario("reload", "three reloads under load", "reload", reload),
    Scenario("bad", "reload onto code that fails to import", "reload", bad_reload),
    Scenario("slow", "reload onto code that takes 3 s to import", "reload", slow_boot),
    Scenario("recycle", f"workers leave after {RECYCLE} requests", "recycle", recycling),
    Scenario("stuck", "a stuck request, with a limit of 2 s", "deadline", stuck_request),
    Scenario("killed", "worker killed (SIGKILL) in mid-request", "stop", death(signal.SIGKILL)),
    Scenario("crashed", "worker crashes (SIGSEGV) in mid-request", "stop", death(signal.SIGSEGV)),
)

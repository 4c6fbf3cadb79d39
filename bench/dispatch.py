"""`make bench-dispatch`: do requests wait in a busy worker while a sibling is free?

4 workers, 64 kept-alive connections, 90 % of the requests sleep 1 ms and 10 % sleep 200 ms. Each
client thinks for a random (exponential) time between two requests, so long that the slots are in
use for about 55 % of the time. Told of each server: p50 and p99 of the short requests, and the
Gini coefficient of the work (seconds in the application) over its workers: 0 is even, 0.75 is all
of it in one of four. Latency counts from the wish to ask; where a server closes, with connecting.
"""

import argparse
import asyncio
import os
import random
import statistics
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import cpu
from servers import BIN, SCRATCH, VENV, Launch, Running, Server, free_port, granian, gunicorn
from servers import monoceros as ours

WORKERS = 4
CONNECTIONS = 64
LONG_SHARE = 0.1
SERVICE_S = 0.9 * 0.001 + 0.1 * 0.2
UTILISATION = 0.55
WARM_S = 1.0
START_S_MAX = 15.0
ANSWER_S_MAX = 20.0
# A worker without the pair's ends neither sends requests to siblings nor takes theirs.
NO_RELAY = "def post_fork(server, worker):\n    worker.relay = (-1, -1)\n"
_THREADS = ("--worker-class", "gthread", "--threads", "2")
_KEEP_ALIVE = ("--keep-alive", "5")


@dataclass(frozen=True)
class Variant:
    """A server and how many requests it can run at once."""

    server: Server
    slots: int = WORKERS

    @property
    def think_s(self) -> float:
        """Mean pause of a client, of which the utilisation follows."""
        return CONNECTIONS * SERVICE_S / (UTILISATION * self.slots) - SERVICE_S


@dataclass
class Round:
    """What the clients saw in one round."""

    short_ms: list[float] = field(default_factory=list)
    work_s: Counter[int] = field(default_factory=Counter)
    failed: int = 0


def _uwsgi(launch: Launch) -> list[str]:
    # Its http router keeps the connections; http11-socket would give a process to each.
    listen = ["--http", launch.address, "--http-keepalive=5", "--tcp-nodelay"]
    options = ["--master", "--need-app", "--disable-logging", "--die-on-term"]
    sizes = ["--processes", str(launch.workers), "--virtualenv", str(VENV)]
    return [str(BIN / "uwsgi"), *listen, *options, *sizes, "--module", launch.app]


def _alone(*options: str) -> Callable[[Launch], list[str]]:
    return ours("--config", str(SCRATCH / "no_relay.py"), *options)


def _variant(
    name: str, argv: Callable[[Launch], list[str]], setup: str, slots: int = WORKERS
) -> Variant:
    return Variant(Server(name, name.partition("-")[0], argv, setup), slots)


VARIANTS = (
    _variant("monoceros-sync", ours(), "sync"),
    _variant("monoceros-sync-alone", _alone(), "sync, no hand-over"),
    _variant("gunicorn-sync", gunicorn(), "sync"),
    _variant("granian", granian(1), "1 blocking thread"),
    _variant("uwsgi", _uwsgi, "http router, keep-alive"),
    _variant("monoceros-gthread", ours(*_THREADS), "2 threads", 2 * WORKERS),
    _variant("monoceros-gthread-alone", _alone(*_THREADS), "2 threads, no hand-over", 2 * WORKERS),
    _variant("gunicorn-gthread", gunicorn(*_THREADS, *_KEEP_ALIVE), "2 threads", 2 * WORKERS),
)


class Connection:
    """One client's connection, opened again where the server has closed it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, path: str) -> bytes:
        """The body of the answer. A connection that ended while it was idle is no failure."""
        kept = self._reader is not None
        try:
            return await self._ask_once(path)
        except (OSError, EOFError):
            self.close()
            if not kept:
                raise
            return await self._ask_once(path)

    async def _ask_once(self, path: str) -> bytes:
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writer.write(f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
        body = await self._reader.readexactly(length)
        if not head.startswith(b"http/1.1 200"):
            raise OSError(f"answered {head[:40]!r}")
        if b"\r\nconnection: close" in head:
            self.close()
        return body

    def close(self) -> None:
        """The next request opens another."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None


async def _client(
    port: int, think_s: float, seed: int, span: tuple[float, float], seen: Round
) -> None:
    """Asks until the span's end; what began after its beginning counts."""
    dice = random.Random(seed)
    connection = Connection(port)
    while time.monotonic() < span[1]:
        await asyncio.sleep(dice.expovariate(1 / think_s))
        path = "/long" if dice.random() < LONG_SHARE else "/short"
        began = time.monotonic()
        try:
            body = await asyncio.wait_for(connection.ask(path), ANSWER_S_MAX)
        except (OSError, EOFError, asyncio.TimeoutError):
            seen.failed += 1
            connection.close()
            continue
        pid, seconds = body.split()
        if began >= span[0]:
            seen.work_s[int(pid)] += float(seconds)
            if path == "/short":
                seen.short_ms.append((time.monotonic() - began) * 1000)
    connection.close()


async def _load(port: int, variant: Variant, seconds: float, number: int) -> Round:
    """The same clients with the same dice for every server."""
    seen = Round()
    begin = time.monotonic() + WARM_S
    span = (begin, begin + seconds)
    seeds = range(number * CONNECTIONS, (number + 1) * CONNECTIONS)
    await asyncio.gather(*(_client(port, variant.think_s, seed, span, seen) for seed in seeds))
    return seen


async def _wait_until_up(running: Running, port: int) -> None:
    deadline = time.monotonic() + START_S_MAX
    while True:
        try:
            await asyncio.wait_for(Connection(port).ask("/short"), 2)
            return
        except (OSError, EOFError, asyncio.TimeoutError) as error:
            if running.ended() or time.monotonic() > deadline:
                raise SystemExit(f"bench: does not answer: {running.last_words()}") from error
        await asyncio.sleep(0.05)


def play(variant: Variant, seconds: float, number: int) -> Round:
    """One round with a fresh server; not pinned, for it sleeps most of the time."""
    port = free_port()

    async def all_of_it() -> Round:
        await _wait_until_up(running, port)
        await asyncio.sleep(0.5)  # the other workers
        return await _load(port, variant, seconds, number)

    with Running(variant.server, Launch("mixed:app", port, WORKERS), core=None) as running:
        return asyncio.run(all_of_it())


def gini(work_s: Counter[int]) -> float:
    """Of the work over the workers, those without any included."""
    values = sorted(work_s.values())
    values = [0.0] * (WORKERS - len(values)) + values
    total = sum(values)
    if total == 0:
        return 0.0
    ranked = sum((rank + 1) * value for rank, value in enumerate(values))
    return 2 * ranked / (len(values) * total) - (len(values) + 1) / len(values)


def line(variant: Variant, rounds: list[Round], seconds: float) -> str:
    """A row of the table: latencies over all rounds together, the others as means of rounds."""
    cuts = statistics.quantiles([ms for one in rounds for ms in one.short_ms], n=100)
    used = statistics.mean(sum(one.work_s.values()) for one in rounds) / seconds / variant.slots
    spread = statistics.mean(gini(one.work_s) for one in rounds)
    count = sum(len(one.short_ms) for one in rounds)
    failed = sum(one.failed for one in rounds)
    return (
        f"| {variant.server.name} | {variant.server.setup} | {used:.0%} | {count} "
        f"| {cuts[49]:.1f} | {cuts[98]:.1f} | {spread:.2f} | {failed} |"
    )


def main() -> None:
    """Rounds interleaved over the servers, then the table."""
    env = os.environ.get
    parser = argparse.ArgumentParser(prog="bench/dispatch.py", description=__doc__)
    parser.add_argument("--seconds", type=float, default=float(env("BENCH_SECONDS") or 20))
    parser.add_argument("--rounds", type=int, default=int(env("BENCH_ROUNDS") or 2))
    settings = parser.parse_args()
    SCRATCH.mkdir(parents=True, exist_ok=True)
    (SCRATCH / "no_relay.py").write_text(NO_RELAY)
    rounds: dict[str, list[Round]] = {variant.server.name: [] for variant in VARIANTS}
    for number in range(settings.rounds):
        for variant in VARIANTS:
            rounds[variant.server.name].append(play(variant, settings.seconds, number))
    found = cpu.machine()
    print(f"{found['processor']}, {found['cores']} cores; load {os.getloadavg()[1]:.1f}")
    print("| server | setup | in use | short ones | p50 ms | p99 ms | Gini | failed |")
    print("|---|---|---|---|---|---|---|---|")
    for variant in VARIANTS:
        print(line(variant, rounds[variant.server.name], settings.seconds), flush=True)


if __name__ == "__main__":
    main()

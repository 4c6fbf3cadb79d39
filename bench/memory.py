"""How much memory a server takes: PSS of all its processes, hello application, 1000 requests."""

import http.client
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cpu
from cases import Case, pick_cases
from servers import Launch, Running, Server, free_port, pick_servers

import load

SERVER_NAMES = ["monoceros", "gunicorn-sync", "uwsgi", "granian-1"]
REQUESTS = 1000
CLIENTS = 8
ROUNDS = 3
SETTLE_SECONDS = 0.5


def _ask_many(port: int, count: int) -> None:
    """`count` requests, each on a connection of its own, so that all workers get some."""
    for _ in range(count):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/")
        connection.getresponse().read()
        connection.close()


def measure_one(server: Server, case: Case, workers: int) -> float:
    """PSS in MiB of one fresh server after the requests; not pinned, memory does not care."""
    port = free_port()
    with Running(server, Launch(case.app, port, workers), core=None) as running:
        load.wait_until_right(running, port, case)
        with ThreadPoolExecutor(CLIENTS) as pool:
            jobs = [pool.submit(_ask_many, port, REQUESTS // CLIENTS) for _ in range(CLIENTS)]
        for job in jobs:
            job.result()
        time.sleep(SETTLE_SECONDS)
        pids = running.pids
        if len(pids) < workers:
            raise load.WrongAnswer(f"{len(pids)} processes for {workers} workers")
        return cpu.pss_kib(pids) / 1024


def measure(names: list[str], absence: Callable[[Server], str]) -> list[dict[str, Any]]:
    """Rows {server, workers, pss_mib: [...], failed}, rounds interleaved."""
    (case,) = pick_cases(["hello"])
    servers = [s for s in pick_servers(names or SERVER_NAMES) if s.name in SERVER_NAMES]
    rows: list[dict[str, Any]] = []
    for workers in (1, 4):
        group: list[dict[str, Any]] = [
            {"server": s.name, "workers": workers, "pss_mib": [], "failed": absence(s)}
            for s in servers
        ]
        for _ in range(ROUNDS):
            for server, row in zip(servers, group, strict=True):
                if row["failed"]:
                    continue
                try:
                    row["pss_mib"].append(measure_one(server, case, workers))
                except (load.WrongAnswer, OSError, http.client.HTTPException) as error:
                    row["failed"] = f"failed ({error})"
        rows.extend(group)
    return rows

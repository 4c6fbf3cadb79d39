"""The benchmark's front door: `run.py speed|quiet|memory|startup|render`; see bench/bench.mk.
BENCH_SUITE=workers in the environment takes the cases and servers of workers.py instead.

speed: for every case, rounds interleaved over the servers (A B C A B C ...), each round a fresh
server on core 0 and wrk on core 1, medians over rounds. quiet: few servers, slices of a tenth
of a second, those of a quiet machine. memory: PSS after 1000 requests.
startup: from exec to the first answer, servers alternating. Numbers are only comparable within
one run on one machine: read the ratios.
"""

import argparse
import dataclasses
import datetime
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import cpu
import memory
import quiet
import report
import startup
import workers
from cases import CASES, CONNECTIONS, Case, pick_cases
from servers import (
    ROOT,
    SERVERS,
    SUITE,
    Running,
    Server,
    free_port,
    pick_servers,
)
from setup_env import FAILED, installed_versions

import load

RESULTS = ROOT / "bench" / "results"
SUITE_CASES = CASES if SUITE == "speed" else workers.CASES
SUITE_SERVERS = SERVERS if SUITE == "speed" else workers.SERVERS
KINDS = {
    "speed": ("speed", "quiet", "memory", "startup"),
    "workers": ("workers",),
}  # what a page shows
Row = dict[str, Any]


def absence(server: Server, versions: dict[str, str], needs: tuple[str, ...] = ()) -> str:
    """Why the server cannot run ("" when it can): what is missing and pip's last word on it."""
    failed = json.loads(FAILED.read_text()) if FAILED.exists() else {}
    if server.package is None:
        return str(failed.get(server.name, ""))
    for package in (server.package, *server.needs, *needs):
        if package not in versions:
            reason = failed.get(package)
            return f"{package} not installed" + (f" ({reason})" if reason else "")
    return ""


def case_needs(case: Case) -> tuple[str, ...]:
    """The framework that a case's application imports."""
    return (case.name,) if case.name in ("flask", "django") else ()


def runs_in(server: Server, case: Case) -> bool:
    """Whether the case asks for this server at all."""
    if case.only:
        return server.name in case.only
    return not server.extra and not (server.name == "bare" and case.bare is None)


def one_round(server: Server, case: Case, seconds: int) -> dict[str, float]:
    """Start, check, warm up, load, measure, kill. WrongAnswer where there is no number."""
    port = free_port()
    with Running(server, load.launch(case, port)) as running:
        load.wait_until_right(running, port, case)
        load.warm(port, case)
        pids = running.pids
        before = cpu.used_us(pids)
        loaded = load.run(port, case, seconds)
        after = cpu.used_us(pids)
        if loaded.errors:
            raise load.WrongAnswer(f"failed ({loaded.errors} errors)")
        if loaded.requests == 0:
            raise load.WrongAnswer("failed (no request was answered)")
        if running.pids != pids:
            raise load.WrongAnswer("failed (its processes changed under load)")
        return {
            "requests": loaded.requests,
            "rps": loaded.requests * 1e6 / loaded.duration_us,
            "cpu_us": (after - before) / loaded.requests,
            "p50_ms": loaded.p50_us / 1000,
            "p99_ms": loaded.p99_us / 1000,
            "pss_mib": cpu.pss_kib(pids) / 1024,
        }


def play_round(row: Row, server: Server, case: Case, seconds: int) -> None:
    """One more round into the row; a row that failed once is not tried again."""
    if row["failed"]:
        return
    try:
        row["rounds"].append(one_round(server, case, seconds))
    except load.WrongAnswer as error:  # one server's trouble never ends the others' run
        text = str(error)
        row["failed"] = text if text.startswith("failed") else f"failed ({text})"


def run_case(case: Case, servers: list[Server], settings: argparse.Namespace) -> dict[str, Any]:
    """All rounds of one case, interleaved over the servers."""
    versions = settings.versions
    wanted = [server for server in servers if runs_in(server, case)]
    rows: dict[str, Row] = {
        server.name: {
            "server": server.name,
            "rounds": [],
            "failed": absence(server, versions, case_needs(case) if server.package else ()),
            "note": case.notes.get(server.name, ""),
        }
        for server in wanted
    }
    for _ in range(settings.rounds):
        for server in wanted:
            play_round(rows[server.name], server, case, settings.seconds)
    outcome = {"case": case.name, "title": case.title, "rows": list(rows.values())}
    if case.goals:
        outcome["goals"] = [dataclasses.asdict(goal) for goal in case.goals]
    return outcome


def header(settings: argparse.Namespace) -> dict[str, Any]:
    """What a reader must know to judge the numbers."""
    servers = SUITE_SERVERS
    names = {server.package for server in servers if server.package} | {"flask", "django"}
    names.update(package for server in servers for package in server.needs)
    return {
        "date": datetime.datetime.now().isoformat(timespec="seconds"),
        "machine": cpu.machine(),
        "python": settings.python_version,
        "versions": {n: settings.versions[n] for n in sorted(names) if n in settings.versions},
        "setups": {server.name: server.setup for server in servers},
        "seconds": settings.seconds,
        "rounds": settings.rounds,
        "connections": CONNECTIONS,
    }


def save(kind: str, result: dict[str, Any]) -> None:
    """Write results/<date>-<kind>.json and results/latest-<kind>.json."""
    RESULTS.mkdir(exist_ok=True)
    stamp = result["date"].replace(":", "").replace("T", "-")
    text = json.dumps(result, indent=1) + "\n"
    for path in (RESULTS / f"{stamp}-{kind}.json", RESULTS / f"latest-{kind}.json"):
        path.write_text(text)
    print(f"\nwritten: {(RESULTS / f'{stamp}-{kind}.json').relative_to(ROOT)}")


def speed(settings: argparse.Namespace) -> None:
    """Every case; a table as soon as a case is done, so that a long run shows its progress."""
    servers = pick_servers(settings.servers, SUITE_SERVERS)
    result = header(settings)
    result["cases"] = []
    started = time.monotonic()
    for case in pick_cases(settings.cases, SUITE_CASES):
        if not any(runs_in(server, case) for server in servers):
            continue
        outcome = run_case(case, servers, settings)
        result["cases"].append(outcome)
        print("\n" + report.case_text(outcome), flush=True)
    result["took_seconds"] = round(time.monotonic() - started)
    print("\n" + report.summary_text(result))
    save(SUITE, result)


def measure_quiet(settings: argparse.Namespace) -> None:
    """CPU a request of servers that differ by little."""
    result = header(settings)
    result["quiet"] = quiet.measure(
        settings.rounds,
        (settings.cases, settings.servers),
        lambda server, case: absence(server, settings.versions, case_needs(case)),
    )
    print(report.quiet_text(result["quiet"]))
    save("quiet", result)


def measure_memory(settings: argparse.Namespace) -> None:
    """PSS of master and workers, 1 and 4 workers."""
    result = header(settings)
    result["memory"] = memory.measure(
        settings.servers, lambda server: absence(server, settings.versions)
    )
    print(report.memory_text(result["memory"]))
    save("memory", result)


def measure_startup(settings: argparse.Namespace) -> None:
    """Time to the first answer, alternating."""
    result = header(settings)
    result["startup"] = startup.measure(
        settings.starts, lambda server: absence(server, settings.versions)
    )
    print(report.startup_text(result["startup"]))
    save("startup", result)


def render(settings: argparse.Namespace) -> None:
    """Page and chart from the newest results, into bench/results or, published, into docs."""
    latest = {}
    for kind in KINDS[SUITE]:
        path = RESULTS / f"latest-{kind}.json"
        if path.exists():
            latest[kind] = json.loads(path.read_text())
    if SUITE not in latest:
        raise SystemExit(f"bench: nothing to render yet; run `make {report.TARGETS[SUITE]}`")
    target = ROOT / "docs" if settings.publish else RESULTS
    for path in report.write_page(SUITE, latest, target):
        print(f"written: {path.relative_to(ROOT)}")


def parse_arguments() -> argparse.Namespace:
    """Command line; defaults come from the environment as `make bench` documents them."""

    def words(text: str) -> list[str]:
        return [word for word in text.replace(",", " ").split() if word]

    parser = argparse.ArgumentParser(prog="bench/run.py", description=__doc__)
    parser.add_argument("mode", choices=("speed", "quiet", "memory", "startup", "render"))
    env = os.environ.get
    parser.add_argument("--cases", type=words, default=words(env("CASES", "")))
    parser.add_argument("--servers", type=words, default=words(env("SERVERS", "")))
    parser.add_argument("--seconds", type=int, default=int(env("BENCH_SECONDS") or 2))
    parser.add_argument("--rounds", type=int, default=int(env("BENCH_ROUNDS") or 3))
    parser.add_argument("--starts", type=int, default=int(env("BENCH_STARTS") or 20))
    parser.add_argument("--publish", action="store_true", default=env("BENCH_PUBLISH") == "1")
    return parser.parse_args()


def main() -> None:
    """Run one mode."""
    settings = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # unwinds, so the server is killed
    modes = {
        "speed": speed,
        "quiet": measure_quiet,
        "memory": measure_memory,
        "startup": measure_startup,
        "render": render,
    }
    if settings.mode != "render":
        settings.versions = installed_versions()
        settings.python_version = venv_python_version()
        os.sched_setaffinity(0, os.sched_getaffinity(0) - {0} or {0})
    modes[settings.mode](settings)


def venv_python_version() -> str:
    """The version of the servers' interpreter, as pyvenv.cfg names it."""
    text = Path(FAILED.parent / "pyvenv.cfg").read_text()
    lines = [line.partition("=")[2].strip() for line in text.splitlines() if "version" in line]
    return lines[0] if lines else "unknown"


if __name__ == "__main__":
    main()

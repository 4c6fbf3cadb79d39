"""Two builds of ours in pairs: `builds.py A B`, each a git revision or a folder with a work tree.

For "within 2 % of the state before". Of each case: instructions and system calls a request, which a
busy machine does not change (count.py); CPU time a request, the kernel's share too, from slices of
both builds in turn (A B B A ...), with the 95 % interval of the median over the pairs; and memory,
of one worker and of four ("memory" among CASES: those alone). Instructions decide; CPU time does
where its interval is narrow. Each round has fresh processes.
"""

import argparse
import dataclasses
import datetime
import hashlib
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import count
import cpu
import functions
import memory
import quiet
from cases import CASES, HELLO, Case, pick_cases
from report import text_table
from servers import APPS, BIN, BUILD, ROOT, SCRATCH, Launch, Server

import load

BUILDS = BUILD / "bench-builds"
RESULT = ROOT / "bench" / "results" / "latest-builds.json"
LIMIT = 1.02  # the ratio above which a case is marked
WARM_SLICES = 5
PAIRS = 20  # of slices, in each round
MEMORY = "memory"  # in place of a case's name
MEMORY_WORKERS = (1, 4)
_COLUMNS = (
    *("case", "instr A", "instr B", "B/A", "rounds", "calls A", "calls B"),
    *("us A", "us B", "B/A", "95 %", "MiB A", "MiB B"),
)


def _variant(name: str, of: str, app: str = "") -> Case:
    (case,) = pick_cases([of])
    return dataclasses.replace(case, name=name, app=app or case.app, only=())


# Case -> options of ours; every other case has none.
OPTIONS = {
    "threads": ("--threads", "4"),
    "gevent": ("--worker-class", "gevent"),
    "asgi": ("--worker-class", "asgi", "--asgi-loop", "asyncio", "--asgi-lifespan", "off"),
    "accesslog": ("--access-logfile", str(SCRATCH / "access.log")),
}
BUILD_CASES = (
    *(case for case in CASES if not case.only),
    _variant("threads", "hello"),
    _variant("gevent", "hello"),
    _variant("asgi", "hello", "hello_asgi:app"),
    _variant("accesslog", "hello"),
)
assert all(case.expected == HELLO for case in BUILD_CASES if case.name in OPTIONS)


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"bench: git {arguments[0]}: {done.stderr.strip()}")
    return done.stdout.strip()


def _unpack(revision: str, target: Path) -> None:
    target.mkdir(parents=True)
    archive = subprocess.Popen(
        ["git", "-C", str(ROOT), "archive", revision], stdout=subprocess.PIPE
    )
    subprocess.run(["tar", "-x", "-C", str(target)], stdin=archive.stdout, check=True)
    if archive.wait() != 0:
        raise SystemExit(f"bench: git cannot archive {revision}")


def build(which: str) -> Path:
    """Build as users do; returns the folder to import from. A revision is built only once."""
    if Path(which).is_dir():
        source = Path(which).resolve()
        place = BUILDS / f"tree-{hashlib.sha256(str(source).encode()).hexdigest()[:12]}"
    else:
        revision = _git("rev-parse", "--verify", f"{which}^{{commit}}")
        place = BUILDS / revision[:12]
        source = place / "source"
        if (place / "built").exists():
            return place / "site"
        shutil.rmtree(place, ignore_errors=True)
        _unpack(revision, source)
    print(f"bench: building {which}", flush=True)
    shutil.rmtree(place / "site", ignore_errors=True)
    place.mkdir(parents=True, exist_ok=True)
    command = [str(BIN / "python"), "-m", "pip", "install", "-q", "--no-deps"]
    command += ["--config-settings=install.strip=false"]  # profiles name functions
    command += [f"--config-settings=build-dir={place / 'cmake'}"]
    command += ["--target", str(place / "site"), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"bench: {which} does not build:\n{(done.stdout + done.stderr)[-2000:]}")
    (place / "built").touch()
    return place / "site"


def server(name: str, site: Path, options: tuple[str, ...]) -> Server:
    """One build in one configuration, run by the environment that both builds share."""

    def argv(launch: Launch) -> list[str]:
        # The same hashes in both: dictionaries that collide by luck cost instructions.
        path = [f"PYTHONPATH={site}:{APPS}", "PYTHONHASHSEED=0", "PYTHONDONTWRITEBYTECODE=1"]
        ours = [str(BIN / "python"), "-m", "monoceros", "--timeout", "0"]
        ours += ["--workers", str(launch.workers)]
        listen = ["--bind", launch.address, "--keep-alive", "60", "--log-level", "warning"]
        return ["env", *path, *launch.under, *ours, *listen, *options, launch.app]

    return Server(name, "monoceros", argv, "")


def _median_interval(values: list[float]) -> tuple[float, float, float]:
    """The median, and its 95 % interval by order statistics: no distribution is assumed."""
    ordered = sorted(values)
    half = 0.98 * len(ordered) ** 0.5
    low = max(0, int(len(ordered) / 2 - half))
    high = min(len(ordered) - 1, int(len(ordered) / 2 + half))
    return statistics.median(ordered), ordered[low], ordered[high]


def cpu_pairs(case: Case, servers: list[Server]) -> dict[str, Any]:
    """CPU us a request of slices in turn, by build, and MiB; one group of fresh processes."""
    with quiet.Group(case, servers) as group:
        names = [one.name for one in servers]
        for _ in range(WARM_SLICES):
            for name in names:
                group.slice_us(name)
        pairs: list[dict[str, float | None]] = []
        for turn in range(PAIRS):
            order = names if turn % 2 == 0 else names[::-1]
            pairs.append({name: group.slice_us(name) for name in order})
        if group.failed:
            raise load.WrongAnswer(str(group.failed))
        memory = {name: cpu.pss_kib(group.pids[name]) / 1024 for name in names}
    return {"pairs": pairs, "pss_mib": memory}


def measure(case: Case, sites: dict[str, Path], rounds: int) -> dict[str, Any]:
    """All figures of one case."""
    options = OPTIONS.get(case.name, ())
    servers = [server(name, site, options) for name, site in sites.items()]
    counts: dict[str, list[count.Counted]] = {one.name: [] for one in servers}
    played = []
    for turn in range(rounds):
        for one in servers if turn % 2 == 0 else servers[::-1]:
            counts[one.name].append(count.measure(one, case))
        played.append(cpu_pairs(case, servers))
    pairs = [pair for one in played for pair in one["pairs"]]
    return {
        "case": case.name,
        "instructions": {name: [one.instructions for one in of] for name, of in counts.items()},
        "calls": {name: [one.calls for one in of] for name, of in counts.items()},
        "cpu_us": {name: [pair[name] for pair in pairs] for name in sites},
        "pss_mib": {name: [one["pss_mib"][name] for one in played] for name in sites},
    }


def memory_pairs(sites: dict[str, Path], rounds: int) -> list[dict[str, Any]]:
    """PSS in MiB of fresh servers in turn, after requests for all of their workers."""
    (case,) = pick_cases(["hello"])
    servers = [server(name, site, ()) for name, site in sites.items()]
    rows = []
    for workers in MEMORY_WORKERS:
        found: dict[str, list[float]] = {one.name: [] for one in servers}
        for turn in range(2 * rounds):
            for one in servers if turn % 2 == 0 else servers[::-1]:
                found[one.name].append(memory.measure_one(one, case, workers))
        rows.append({"workers": workers, "pss_mib": found})
    return rows


def memory_table(rows: list[dict[str, Any]]) -> str:
    """For the terminal."""
    lines = []
    for row in rows:
        ratios = [b / a for a, b in zip(row["pss_mib"]["A"], row["pss_mib"]["B"], strict=True)]
        line = [str(row["workers"])]
        line += [f"{statistics.median(row['pss_mib'][name]):.2f}" for name in "AB"]
        line += [f"{statistics.median(ratios):.3f}", f"{min(ratios):.3f} to {max(ratios):.3f}"]
        lines.append(line)
    return text_table(["workers", "MiB A", "MiB B", "B/A", "pairs"], lines)


def _line(row: dict[str, Any]) -> list[str]:
    def middle(figure: str, name: str) -> float:
        return float(statistics.median(row[figure][name]))

    line = [row["case"]]
    if "failed" in row:
        return [row["case"], row["failed"], *[""] * (len(_COLUMNS) - 2)]
    if row["instructions"]["A"][0]:
        pairs = zip(row["instructions"]["A"], row["instructions"]["B"], strict=True)
        ratios = [b / a for a, b in pairs]
        ratio = statistics.median(ratios)
        mark = " !" if ratio > LIMIT else ""
        line += [f"{middle('instructions', name):,.0f}" for name in "AB"]
        line += [f"{ratio:.3f}{mark}", f"{min(ratios):.3f} to {max(ratios):.3f}"]
    else:
        line += ["-"] * 4
    counted = row["calls"]["A"][0] is not None
    line += [f"{middle('calls', name):.2f}" if counted else "-" for name in "AB"]
    ratios = [b / a for a, b in zip(row["cpu_us"]["A"], row["cpu_us"]["B"], strict=True)]
    ratio, low, high = _median_interval(ratios)
    line += [f"{middle('cpu_us', name):.1f}" for name in "AB"]
    line += [f"{ratio:.3f}", f"{low:.3f} to {high:.3f}"]
    return line + [f"{middle('pss_mib', name):.1f}" for name in "AB"]


def _say_where(row: dict[str, Any]) -> None:
    """The functions that differ most, where callgrind has counted and B takes too much."""
    a, b = (SCRATCH / f"{row['case']}-{name}.callgrind" for name in "AB")
    if "failed" in row or not _line(row)[3].endswith("!") or count.how() != "callgrind":
        return
    print("    instr A   instr B      more  function")
    print("\n".join(functions.differences(a, b, count.requests_of(row["case"]))), flush=True)


def table(rows: list[dict[str, Any]]) -> str:
    """For the terminal."""
    return text_table(list(_COLUMNS), [_line(row) for row in rows])


def main() -> None:
    """Build both, play every case, print and keep the figures."""
    parser = argparse.ArgumentParser(prog="bench/builds.py", description=__doc__)
    parser.add_argument("a", metavar="A", help="the state before: a git revision or a folder")
    parser.add_argument("b", metavar="B", help="the state after")
    settings = parser.parse_args()
    rounds = int(os.environ.get("BENCH_ROUNDS") or 2)
    wanted = os.environ.get("CASES", "").replace(",", " ").split()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # unwinds, so the servers are killed
    only_memory = wanted == [MEMORY]
    cases = [] if only_memory else pick_cases([w for w in wanted if w != MEMORY], BUILD_CASES)
    sites = {"A": build(settings.a), "B": build(settings.b)}
    os.sched_setaffinity(0, os.sched_getaffinity(0) - {0} or {0})
    print(f"bench: A is {settings.a}, B is {settings.b}; {count.how()}", flush=True)
    rows = []
    for case in cases:
        try:
            rows.append(measure(case, sites, rounds))
        except load.WrongAnswer as error:  # the other cases go on
            rows.append({"case": case.name, "failed": str(error)})
        print(table(rows[-1:]), flush=True)
        _say_where(rows[-1])
    if cases:
        print("\n" + table(rows))
    memory_rows = memory_pairs(sites, rounds) if not wanted or MEMORY in wanted else []
    if memory_rows:
        print("\n" + memory_table(memory_rows))
    RESULT.parent.mkdir(exist_ok=True)
    result = {
        "date": datetime.datetime.now().isoformat(timespec="seconds"),
        "machine": cpu.machine(),
        "builds": {"A": settings.a, "B": settings.b},
        "rows": rows,
        "memory": memory_rows,
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""`make bench-lifecycle`: every scenario on every server, and docs/lifecycle.md from it."""

import argparse
import datetime
import json
import signal
import sys
import time
from pathlib import Path

BENCH = Path(__file__).resolve().parent.parent
sys.path[1:1] = [str(BENCH), str(BENCH.parent / "tests" / "support")]

import cpu  # noqa: E402
from peers import PEERS, Peer  # noqa: E402
from scenarios import ARRIVAL_S_MAX, LANES, LOAD_S, SCENARIOS, Scenario  # noqa: E402
from servers import ROOT  # noqa: E402
from setup_env import FAILED, installed_versions  # noqa: E402

RESULTS = ROOT / "bench" / "results"
PAGE = ROOT / "docs" / "lifecycle.md"
TOTAL_S_MAX = 20 * 60
INTRODUCTION = """# Lifecycle, side by side

What clients see while a server stops, reloads, recycles, hangs and crashes. Made by
`make bench-lifecycle`; do not edit.

"a / b" means: a of b requests failed. A request fails when its client gets anything but its own
whole answer: no connection, a reset, a close without an answer, half an answer, another status.
An answer after any wait is no failure; "slowest" is the longest wait. "n/a" means that the server
has no such feature.

## Method

- Every server runs alone, on 127.0.0.1, without a proxy, in the versions and configurations below,
  two workers unless the scenario says one. What is not named is the default.
- The load is tests/support/counted_load.py: {connections} connections ({busy} busy, {idle} with
  pauses of up to 0.12 s, {sleepy} of up to 1.3 s), kept alive where the server keeps them. Before
  each request a client looks whether the server has closed the connection meanwhile, as the usual
  clients do, and then makes a new one; nothing is ever sent twice. Requests carry ids, so a wrong
  answer would be seen; one in eight posts 3 kB; answers have 100 B to 200 kB; one in four takes 3
  or 20 ms in the application.
- A reload is SIGHUP to the master. Load scenarios last about {load_s:.0f} s, and up to
  {more_s:.0f} s more until the release that is to arrive answers.
- Servers whose answers close the connection (gunicorn's sync workers) are never asked on a
  connection that they may be about to close, which makes failures less likely.
- One run on one machine: counts of failures vary from run to run, zeros should not. Where a single
  client waits for a server, "no answer" means that it gave up after 10 s, or after what is said.
"""


def machine_lines(versions: dict[str, str]) -> list[str]:
    """Who ran, in which version and configuration, and when."""
    date = datetime.date.today().isoformat()
    found = cpu.machine()
    machine = f"{found['processor']}, {found['cores']} cores, Linux {found['kernel']}"
    lines = [f"Run on {date}: {machine}.", "", "| server | version | configuration |"]
    lines.append("|---|---|---|")
    for peer in PEERS:
        lines.append(f"| {peer.name} | {versions.get(peer.package, '-')} | {peer.setup} |")
    return lines


def page(cells: dict[str, dict[str, str]], versions: dict[str, str]) -> str:
    """The whole page. Servers are rows: their names are shorter than the scenarios'."""
    text = INTRODUCTION.format(
        connections=sum(LANES.values()), load_s=LOAD_S, more_s=ARRIVAL_S_MAX, **LANES
    )
    lines = [*machine_lines(versions), "", "## What happened", ""]
    for scenario in SCENARIOS:
        lines += [f"### {scenario.title}", ""]
        doc = (scenario.play.__doc__ or DEATH_TEXT).strip().splitlines()[0]
        lines += [doc, "", "| server | clients see |", "|---|---|"]
        for peer in PEERS:
            lines.append(f"| {peer.name} | {cells[scenario.name][peer.name]} |")
        lines.append("")
    return text + "\n" + "\n".join(lines).rstrip() + "\n"


DEATH_TEXT = "The worker that runs a request gets the signal in the middle of it; one of two."


def play(scenario: Scenario, peer: Peer, absent: dict[str, str]) -> str:
    """One cell. A server's trouble never ends the others' run."""
    if peer.package in absent:
        return f"not installed ({absent[peer.package]})"
    reason = peer.lacks.get(scenario.feature)
    if reason:
        return f"n/a: {reason}"
    try:
        return scenario.play(peer)
    except (RuntimeError, AssertionError, OSError) as error:
        return f"not measured ({str(error).splitlines()[0][:80]})"


def main() -> None:
    """Plays everything, or what was asked for; publishes only a whole run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenarios", default="", help="names with commas; all when empty")
    parser.add_argument("--servers", default="", help="beginnings of names, with commas")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # unwinds, so servers are killed
    wanted = [name for name in options.scenarios.split(",") if name]
    servers = tuple(name for name in options.servers.split(",") if name)
    absent = json.loads(FAILED.read_text()) if FAILED.exists() else {}
    versions = installed_versions()
    cells: dict[str, dict[str, str]] = {}
    began = time.monotonic()
    for scenario in SCENARIOS:
        if wanted and scenario.name not in wanted:
            continue
        print(f"\n{scenario.title}", flush=True)
        row = cells.setdefault(scenario.name, {})
        for peer in PEERS:
            if servers and not peer.name.startswith(servers):
                continue
            late = time.monotonic() - began > TOTAL_S_MAX
            row[peer.name] = "not measured (out of time)" if late else play(scenario, peer, absent)
            print(f"  {peer.name:18} {row[peer.name]}", flush=True)
    took = time.monotonic() - began
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "latest-lifecycle.json").write_text(json.dumps(cells, indent=1) + "\n")
    print(f"\ntook {took:.0f} s")
    if not wanted and not servers:
        PAGE.write_text(page(cells, versions))
        print(f"written: {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()

"""Turns results into tables for the terminal, a Markdown page and, through chart.py, a chart."""

import json
import statistics
import subprocess
from pathlib import Path
from typing import Any

from servers import BIN, ROOT, SCRATCH

Outcome = dict[str, Any]
_COLUMNS = (
    "server",
    "requests/s",
    "CPU us/request",
    "of bjoern",
    "of bare",
    "p99 ms",
    "PSS MiB",
    "spread",
)
TARGETS = {"speed": "bench", "workers": "bench-workers"}  # suite -> make's target, page's name
PEP_3333 = "against PEP 3333"  # a note with these words takes a row out of the race
_CHART = ("![Requests per second of server CPU](bench.svg)", "")
_QUIET = (
    "By `make bench-quiet`: servers that run at the same time, loaded in turn for 0.1 s each; only "
    "slices count before and after which a fixed piece of Python on their core was as fast as it "
    "can be (bench/quiet.py). The lower quartile of a group of fresh processes; medians over "
    "groups. The client is bench/http_load.cpp, which compares every answer whole."
)
_BUILDS = """\
## Two builds of ours in pairs

`make bench-builds A=<before> B=<after>` shows what a change costs. A and B are git revisions or
folders with a work tree (default: `main` and this folder). `CASES=hello,post` and `BENCH_ROUNDS=4`
as above. It builds both below `build/bench-builds` and runs them with one Python, one environment
and one hash seed.

- **instr**: instructions a request in user space. perf counts them where the processor lets it;
  else callgrind does, which a virtual machine allows too. A busy machine hardly changes them: two
  runs of one build differ by 0.5 % or less. A ratio above 1.02 is marked with "!".
- **calls**: system calls a request (callgrind only). What they cost is in the CPU time.
- **us**: CPU time a request, of slices of 0.1 s of both builds in turn (A B B A ...), and the 95 %
  interval of the median ratio. A busy machine makes it wide: more rounds make it narrow again.
- **MiB**: PSS of master and worker after the slices. Behind the cases, and alone with
  `CASES=memory`: of fresh servers with one and with four workers, in turn.

To see where instructions went, compare the profiles that callgrind leaves; for a case that is
marked, the functions that differ most are printed anyway:
`cd build/bench-scratch && python3 ../../bench/functions.py hello-A.callgrind hello-B.callgrind`

What features and mends since e70a50c (A) cost on 27 November 2026 (B): instructions a request, one
round on a busy machine. A's figure for stream is an earlier round's; this round had 51,796.

| case | A | B | B/A | before the trims |
| --- | ---: | ---: | ---: | ---: |
| hello | 9,839 | 9,997 | 1.016 | 1.037 |
| headers | 19,597 | 19,651 | 1.003 | 1.016 |
| large | 10,980 | 11,018 | 1.004 | 1.035 |
| stream | 41,943 | 41,250 | 0.983 | 1.055 |
| post | 25,252 | 25,612 | 1.014 | 1.030 |
| close | 14,463 | 14,121 | 0.976 | 1.025 |
| flask | 297,906 | 300,579 | 1.009 | 1.001 |
| django | 391,894 | 393,020 | 1.003 | 1.005 |
| threads | 10,356 | 10,485 | 1.012 | 1.066 |
| gevent | 33,818 | 34,929 | **1.033** | 1.035 |
| asgi | 42,236 | 45,100 | **1.068** | 1.077 |
| accesslog | 11,944 | 12,043 | 1.008 | 1.049 |

Of gevent and asgi most is Python of the worker (the set of running greenlets, the end of a task);
memory is 1.06 (one worker) and 1.08 (four), nearly all of it code of the Python package.
"""
_SUITE_TEXTS = {  # suite -> the page's title, what stands above, the load, the ratios
    "speed": (
        "Benchmark",
        _CHART,
        "",
        "of bjoern and of bare: ratios of CPU per request, less is better",
    ),
    "workers": (
        "Benchmark of the worker classes",
        (),
        "A case that names another number of connections has that number; WebSocket cases count "
        "messages, a fixed number of them in place of a time, loaded by bench/ws_load.cpp. ",
        "Ratios are of CPU per request or message, less is better",
    ),
}


def median(row: Outcome, key: str) -> float | None:
    """The median over the rounds; None for a row that failed or has no round."""
    if row["failed"] or not row["rounds"]:
        return None
    return float(statistics.median(one[key] for one in row["rounds"]))


def _spread(row: Outcome) -> str:
    """(max - min) / median of CPU per request: how far to trust the row."""
    values = [one["cpu_us"] for one in row["rounds"]]
    return f"{(max(values) - min(values)) / statistics.median(values):.0%}"


def _ratio(row: Outcome, base: float | None) -> str:
    value = median(row, "cpu_us")
    return f"{value / base:.2f}" if value is not None and base else "-"


def _base(outcome: Outcome, server: str) -> float | None:
    for row in outcome["rows"]:
        if row["server"] == server:
            return median(row, "cpu_us")
    return None


def case_table(outcome: Outcome) -> tuple[list[str], list[list[str]], list[str]]:
    """Columns, rows (least CPU first, the failed last) and footnotes of one case."""
    columns = list(_COLUMNS)
    bases = [_base(outcome, "bjoern"), _base(outcome, "bare")]
    if outcome["case"] == "accesslog":
        columns[3:5] = ["of log off"]
        bases = [_base(outcome, "monoceros")]
    if outcome.get("goals"):
        peers = [goal["peer"] for goal in outcome["goals"]]
        columns[3:5] = [f"of {peer}" for peer in peers]
        bases = [_base(outcome, peer) for peer in peers]
    notes: list[str] = []
    lines: list[list[str]] = []
    ordered = sorted(outcome["rows"], key=lambda row: median(row, "cpu_us") or float("inf"))
    for row in ordered:
        name = row["server"]
        if row["failed"]:
            lines.append([name, row["failed"], *[""] * (len(columns) - 2)])
            continue
        if row["note"]:
            if row["note"] not in notes:
                notes.append(row["note"])
            name += f" [{notes.index(row['note']) + 1}]"
        lines.append(
            [
                name,
                f"{median(row, 'rps'):,.0f}",
                f"{median(row, 'cpu_us'):.1f}",
                *[_ratio(row, base) for base in bases],
                f"{median(row, 'p99_ms'):.2f}",
                f"{median(row, 'pss_mib'):.1f}",
                _spread(row),
            ]
        )
    return columns, lines, notes


def goal_lines(outcome: Outcome) -> list[str]:
    """Each goal of the case and whether this run met it."""
    lines = []
    for goal in outcome.get("goals", []):
        ours, peer = _base(outcome, goal["server"]), _base(outcome, goal["peer"])
        line = f"goal: {goal['server']} at most {goal['at_most']:.2f} of {goal['peer']}: "
        if ours is None or peer is None:
            lines.append(line + "not measured")
            continue
        verdict = "met" if ours / peer <= goal["at_most"] else "missed"
        lines.append(line + f"{ours / peer:.2f}, {verdict}")
    return lines


def text_table(columns: list[str], lines: list[list[str]]) -> str:
    """Aligned for a terminal. A failed row's reason runs over the columns to the right."""
    numeric = [line for line in lines if len(line) < 3 or line[-1]]
    widths = [
        max(len(line[i]) for line in [columns, *(lines if i == 0 else numeric)])
        for i in range(len(columns))
    ]

    def render(line: list[str]) -> str:
        if line[-1] == "":
            return f"{line[0]:<{widths[0]}}  {line[1]}"
        cells = [f"{line[0]:<{widths[0]}}"]
        cells += [f"{cell:>{width}}" for cell, width in zip(line[1:], widths[1:], strict=True)]
        return "  ".join(cells)

    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    return "\n".join([render(columns), rule, *[render(line) for line in lines]])


def _markdown_table(columns: list[str], lines: list[list[str]]) -> str:
    align = ["---", *["---:"] * (len(columns) - 1)]
    rows = [columns, align, *lines]
    bold = [
        [f"**{cell}**" if cell and line[0].startswith("monoceros") else cell for cell in line]
        for line in rows
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in bold)


def case_text(outcome: Outcome) -> str:
    """One case for the terminal."""
    columns, lines, notes = case_table(outcome)
    foot = [f"[{number}] {note}" for number, note in enumerate(notes, 1)]
    title = f"== {outcome['title']} ({outcome['case']})"
    return "\n".join([title, text_table(columns, lines), *foot, *goal_lines(outcome)])


def _first(outcome: Outcome) -> str:
    """The server with the least CPU per request; the limit and whoever cheats do not race."""
    racing = [
        (median(row, "cpu_us"), row["server"])
        for row in outcome["rows"]
        if row["server"] != "bare" and row["rounds"] and not row["failed"]
        if PEP_3333 not in row["note"]
    ]
    return str(min(racing)[1]) if racing else "-"


def _summary_table(result: Outcome) -> tuple[list[str], list[list[str]]]:
    """CPU per request of every server in every case, and who was first of the WSGI servers."""
    outcomes = [one for one in result["cases"] if one["case"] != "accesslog"]
    rows = {(row["server"], one["case"]): row for one in outcomes for row in one["rows"]}
    lines = []
    for name in dict.fromkeys(server for server, _ in rows):
        line = [name]
        for one in outcomes:
            row = rows.get((name, one["case"]))
            value = median(row, "cpu_us") if row else None
            line.append("-" if value is None else f"{value:.1f}")
        lines.append(line)
    firsts = ["first", *[_first(one) for one in outcomes]]
    return ["server", *[one["case"] for one in outcomes]], [*lines, firsts]


def summary_text(result: Outcome) -> str:
    """All cases on one screen."""
    return "== CPU us/request\n" + text_table(*_summary_table(result))


def _quiet_table(rows: list[Outcome]) -> tuple[list[str], list[list[str]]]:
    """Ratios are of the groups in pairs: a machine that was slow was slow for both."""
    lines = []
    for row in rows:
        groups = [value for value in row["cpu_us"] if value]
        if row.get("failed") or not groups:
            reason = row.get("failed") or "no quiet slice"
            lines.append([row["case"], f"{row['server']}: {reason}", "", "", "", ""])
            continue
        bases = [r for r in rows if r["case"] == row["case"] and r["server"] == "bjoern"]
        pairs = zip(row["cpu_us"], bases[0]["cpu_us"] if bases else [], strict=False)
        ratios = sorted(own / first for own, first in pairs if own and first)
        lines.append(
            [
                row["case"],
                row["server"],
                f"{statistics.median(groups):.1f}",
                f"{statistics.median(ratios):.2f}" if ratios else "-",
                f"{ratios[0]:.2f} to {ratios[-1]:.2f}" if ratios else "-",
                str(row["slices"]),
            ]
        )
    return ["case", "server", "CPU us/request", "of bjoern", "groups", "slices"], lines


def quiet_text(rows: list[Outcome]) -> str:
    """The quiet slices for the terminal."""
    return text_table(*_quiet_table(rows))


def _memory_table(rows: list[Outcome]) -> tuple[list[str], list[list[str]]]:
    names = list(dict.fromkeys(row["server"] for row in rows))
    lines = []
    for name in names:
        cells, failed = [name], ""
        for workers in (1, 4):
            (row,) = [r for r in rows if r["server"] == name and r["workers"] == workers]
            value = f"{statistics.median(row['pss_mib']):.1f}" if row["pss_mib"] else ""
            cells.append(value)
            failed = failed or row["failed"]
        lines.append([name, failed, ""] if failed else cells)
    return ["server", "1 worker, PSS MiB", "4 workers, PSS MiB"], lines


def memory_text(rows: list[Outcome]) -> str:
    """Memory for the terminal."""
    return text_table(*_memory_table(rows))


def _startup_table(rows: list[Outcome]) -> tuple[list[str], list[list[str]]]:
    base: list[float] = next((r["ms"] for r in rows if r["server"] == "gunicorn-sync"), [])
    lines = []
    for row in rows:
        if row["failed"] or not row["ms"]:
            lines.append([row["server"], row["failed"] or "no start", ""])
            continue
        middle = statistics.median(row["ms"])
        ratio = f"{middle / statistics.median(base):.2f}" if base else "-"
        lines.append([row["server"], f"{middle:.0f}", ratio])
    return ["server", "first answer, ms", "of gunicorn"], lines


def startup_text(rows: list[Outcome]) -> str:
    """Start-up for the terminal."""
    return text_table(*_startup_table(rows))


def _introduction(suite: str, result: Outcome) -> list[str]:
    machine = result["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    setups = [f"- {name}: {setup}" for name, setup in result["setups"].items()]
    title, above, load, ratios = _SUITE_TEXTS[suite]
    return [
        f"# {title}",
        "",
        f"Measured on {result['date'][:10]} by `make {TARGETS[suite]}`: {machine['processor']}, "
        f"{machine['cores']} cores, Linux {machine['kernel']}, CPython {result['python']}.",
        "",
        *above,
        f"One worker on core 0, wrk with {result['connections']} connections on core 1. {load}"
        f"{result['rounds']} rounds of {result['seconds']} s, interleaved over the servers, each "
        "round a fresh process; medians. CPU is user and system time of all the server's "
        f"processes. {ratios}; spread is (max - min) / median of CPU over the rounds. "
        "A cell with an error or a wrong answer is no number. "
        "Compare within one run only; the ratios travel better than the numbers.",
        "",
        f"Versions: {versions}.",
        "",
        *setups,
    ]


def page(suite: str, latest: dict[str, Outcome]) -> str:
    """The whole Markdown page."""
    result = latest[suite]
    parts = _introduction(suite, result)
    table = _markdown_table(*_summary_table(result))
    parts += ["", "## CPU microseconds a request, all cases", "", table]
    for outcome in result["cases"]:
        columns, lines, notes = case_table(outcome)
        parts += ["", f"## {outcome['title']}", "", _markdown_table(columns, lines)]
        if notes:
            parts += ["", *[f"[{number}] {note}.  " for number, note in enumerate(notes, 1)]]
        if goals := goal_lines(outcome):
            parts += ["", *[f"- {line}" for line in goals]]
    if "quiet" in latest:
        table = _markdown_table(*_quiet_table(latest["quiet"]["quiet"]))
        parts += ["", "## In quiet moments", "", _QUIET, "", table]
    if "memory" in latest:
        table = _markdown_table(*_memory_table(latest["memory"]["memory"]))
        title = "## Memory: master and workers, hello, after 1000 requests"
        parts += ["", title, "", table]
    if "startup" in latest:
        table = _markdown_table(*_startup_table(latest["startup"]["startup"]))
        parts += ["", "## Start-up: from exec to the first answer", "", table]
    if suite == "speed":
        parts += ["", _BUILDS.rstrip()]
    return "\n".join(parts) + "\n"


def chart_data(result: Outcome) -> list[Outcome]:
    """What the chart shows: a case's servers with their requests per CPU second."""
    panels = []
    for outcome in result["cases"]:
        if outcome["case"] == "accesslog":
            continue
        bars = []
        for row in outcome["rows"]:
            value = median(row, "cpu_us")
            if value:
                mark = "*" if PEP_3333 in row["note"] else ""
                bars.append({"server": row["server"], "mark": mark, "per_cpu_s": 1e6 / value})
        if bars:
            panels.append({"title": outcome["title"], "bars": bars})
    return panels


def write_page(suite: str, latest: dict[str, Outcome], target: Path) -> list[Path]:
    """Write the page and, for bench.md, bench.svg and bench.png; returns what was written."""
    written = [target / f"{TARGETS[suite]}.md"]
    written[0].write_text(page(suite, latest))
    if suite != "speed":
        return written
    SCRATCH.mkdir(parents=True, exist_ok=True)
    data = SCRATCH / "chart.json"
    data.write_text(json.dumps(chart_data(latest["speed"])))
    script = str(ROOT / "bench" / "chart.py")
    command = [str(BIN / "python"), script, str(data), str(target / "bench")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print(f"bench: no chart: {(done.stderr.strip() or 'unknown').splitlines()[-1]}")
        return written
    return [*written, target / "bench.svg", target / "bench.png"]

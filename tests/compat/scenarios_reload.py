"""--reload and --spew."""

from __future__ import annotations

import re
from typing import Any

from harness import wait_for
from pair import Side
from patience import pace
from scenario import Group, Look
from scenarios_signals import TRACED, calm, told

GOOD = "from scene import create\napplication = create('{text}')\n"


def reloading(engine: str, name: str, text: str, *, good: bool = True) -> Look:
    """One file is written anew: what is told, and what the new worker answers."""

    def look(side: Side) -> Any:
        side.write("changing.py", GOOD.replace("{text}", "first"))
        side.write("extra.txt", "1")
        side.start(
            f"-b 127.0.0.1:{{port}} --reload --reload-engine {engine}"
            " --reload-extra-file {dir}/extra.txt changing"
        )
        side.status()
        calm(side)
        pace(0.2, "gunicorn notes the files a moment after the worker has booted")
        told(side)
        old = side.workers()
        side.write(name, text)
        side.replaced(old, 15.0)
        status = wait_for(side.status, "an answer")
        calm(side)
        # gunicorn's worker sometimes ends before its reloader's thread has called worker_int.
        hooks = [[x for x in lines if "worker_int" not in x] for lines in side.trace()]
        found = {"status": status, "hooks": hooks}
        if good:
            # The warning is each server's own words.
            found["log"] = [
                ["WARNING" if line.startswith("WARNING") else line for line in lines]
                for lines in side.lines_by_process()
            ]
            found["body"] = side.get("/")
        found["code"] = side.stop()
        return found

    return look


def recovering(side: Side) -> Any:
    """A syntax error is answered with 500 until it is mended."""
    broken = reloading("poll", "changing.py", "def (:\n", good=False)
    first = broken(side)
    side.write("changing.py", "def (:\n")
    side.start("-b 127.0.0.1:{port} --reload --reload-engine poll changing")
    status = side.status()
    calm(side)
    pace(1.2, "gunicorn looks once a second: it must have seen the files as they are")
    old = side.workers()
    side.write("changing.py", GOOD.replace("{text}", "mended"))
    side.replaced(old, 15.0)
    return first["status"], status, side.get("/"), side.stop()


def spewing(side: Side) -> Any:
    """Every line that runs is printed, as module:line: text."""
    side.start("-b 127.0.0.1:{port} --spew scene")
    side.get("/")
    side.stop()
    # Lines of several processes may mix.
    return re.findall(r"scene:\d+: .*environ\[.*", side.read("stdout.log"))


GROUPS = [
    Group(
        "reload-poll",
        {"reload-poll": reloading("poll", "changing.py", GOOD.replace("{text}", "the second"))},
        config=TRACED,
    ),
    Group(
        "reload-extra",
        {"reload-extra-file": reloading("poll", "extra.txt", "a longer text")},
        config=TRACED,
    ),
    Group("reload-syntax", {"reload-syntax-error": recovering}),
    Group("spew", {"spew": spewing}),
]

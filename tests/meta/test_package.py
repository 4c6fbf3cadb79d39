"""Who knows whom in the Python package. Every import counts, those inside functions and those for
type checkers too: what is needed of a room above is a protocol of contracts.py.
"""

from __future__ import annotations

import ast
from pathlib import Path

from repo_tree import files, text

PACKAGE = "monoceros"
# Lowest first. A room may import those of its own line and of the lines above it here.
STOREYS = (
    # `workers` itself is no more than the table of their names.
    (PACKAGE, "_core", "_secure", "errors", "debug", "pidfile", "contracts", "workers"),
    ("host", "reloader"),
    ("compat",),
    ("logs", "http"),
    ("util",),
    ("settings",),
    ("config",),
    ("glogging", "instrument"),
    ("sock", "systemd"),
    ("workers.*",),
    ("master",),
    ("arbiter",),
    ("app",),
    ("__main__",),
)


def module_of(path: Path) -> str:
    """Without the name of the package: "workers.base", "workers"; the package itself is "."."""
    parts = path.relative_to(f"python/{PACKAGE}").with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__").replace("__init__", ".")


def imports_of(source: str, known: set[str]) -> set[str]:
    """Which of the known modules a source imports, wherever it does."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            inner = {f"{base}.{alias.name}" for alias in node.names}
            found |= {name if name[len(PACKAGE) + 1 :] in known else base for name in inner}
    ours = {name[len(PACKAGE) + 1 :] or "." for name in found if name.split(".")[0] == PACKAGE}
    return ours & known


def package_graph() -> dict[str, set[str]]:
    sources = {module_of(path): text(path) for path in files(".py", under=f"python/{PACKAGE}")}
    known = set(sources) | {"_core", "_secure"}
    return {name: imports_of(source, known) - {name} for name, source in sources.items()}


def circles(graph: dict[str, set[str]]) -> list[str]:
    """Modules that reach themselves, over whatever others."""
    reach = {name: set(below) for name, below in graph.items()}
    for over in graph:
        for name, below in reach.items():
            if over in below:
                reach[name] = below | reach[over]
    return sorted(name for name, below in reach.items() if name in below)


def storey_of(module: str) -> int:
    room = module.partition(".")[0] or PACKAGE
    names = (f"{room}.*", room) if module not in (room, ".") else (room,)
    return next(number for name in names for number, storey in enumerate(STOREYS) if name in storey)


def upward(graph: dict[str, set[str]]) -> list[str]:
    return sorted(
        f"{name} imports {other}"
        for name, below in graph.items()
        for other in below
        if storey_of(other) > storey_of(name)
    )


def test_no_modules_import_each_other() -> None:
    assert circles(package_graph()) == []


def test_no_room_imports_one_above_it() -> None:
    assert upward(package_graph()) == []


def test_the_checks_can_fail() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c"]
    assert upward({"host.x": {"logs.y"}, "app.z": {"host.x"}}) == ["host.x imports logs.y"]
    assert upward({"util": {"workers"}, "config": {"workers.base"}}) == [
        "config imports workers.base"
    ]
    source = "def f():\n    from monoceros.logs import sink\nimport monoceros.host.sizing, os\n"
    assert imports_of(source, {"logs.sink", "host.sizing"}) == {"logs.sink", "host.sizing"}
    graph = package_graph()
    assert "workers.base" in graph["workers.runner"]
    assert len(graph) > 60

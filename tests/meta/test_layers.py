"""Who may include or import whom. A new edge is a change to EDGES here, with its reason in
docs/architecture.md or docs/adr/, never a quiet #include.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest
from repo_tree import ROOT, files, is_test, python_files, text

PROTOCOLS = {"http", "http1", "http2", "proxy", "uwsgi", "websocket"}
# Folder of src/ -> folders whose headers it may include, beside its own.
EDGES: dict[str, set[str]] = {
    "base": set(),
    "board": {"base"},
    "os": {"base"},
    "config": {"base"},
    "http": {"base"},
    "http1": {"base", "http"},
    # nghttp2's callbacks end here; what a stream says is text of HTTP/1 for the session.
    "http2": {"base", "http"},
    "proxy": {"base", "http"},
    "uwsgi": {"base", "http"},
    "websocket": {"base", "http"},
    "tls": {"base", "os"},
    "log": {"base", "http", "os"},
    "session": {"base", "config"} | PROTOCOLS,
    "supervisor": {"base", "config"},
    "engine": {"session", "tls", "log", "os", "board", "base", "config"} | PROTOCOLS,
    "tools": {"engine", "board", "session", "log", "os", "base", "config", "http", "http2"},
    "python": {"engine", "supervisor", "board", "config", "tls", "log", "os", "base"} | PROTOCOLS,
}
# What the tests of a folder may include besides: their requests come from a parser.
TEST_EDGES: dict[str, set[str]] = {
    "http": {"http1"},
    "http2": {"http1"},
    "uwsgi": {"http1"},
    "websocket": {"http1"},
}
# Modules outside the standard library, and how many files of the package may import each. gevent:
# the worker, the one that is served by gevent's own servers, and what patches before either.
OPTIONAL_MODULES = {
    "gevent": 3, "uvloop": 1, "tornado": 1, "setproctitle": 1, "paste": 1, "psycogreen": 1,
}  # fmt: skip
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
WORDS = r"((?:\s+(?!TEST_)\w+)+)"
DEPENDS = re.compile(
    rf"mono_folder\((\w+)(?:\s+(?:HOT|COLD))?(?:\s+DEPENDS{WORDS})?(?:\s+TEST_DEPENDS{WORDS})?\s*\)"
)


def include_faults(folder: str, source: str, test: bool) -> list[str]:
    """What is wrong with the #includes of one file of src/<folder>."""
    faults = []
    more = TEST_EDGES.get(folder, set()) if test else set()
    for bracket, name in INCLUDE.findall(source):
        if name == "Python.h" and folder != "python":
            faults.append("only src/python includes Python.h")
        if name.startswith("nghttp2/") and folder != "http2":
            faults.append("only src/http2 includes nghttp2")
        if name.startswith("openssl/") and folder != "tls":
            faults.append("only src/tls includes OpenSSL")
        if bracket == "<":
            if name.startswith("gtest/") and not test:
                faults.append(f"<{name}> outside a test")
            continue
        target = name.split("/")[0]
        if "/" not in name:
            faults.append(f'write "{folder}/{name}", from src/ on')
        elif target != folder and target not in EDGES[folder] | more:
            faults.append(f'{folder} may not include "{name}"')
        elif not (ROOT / "src" / name).is_file():
            faults.append(f'"{name}" does not exist')
    return faults


SOURCES = files(".cpp", ".hpp", under="src")


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_includes_follow_the_layers(path: Path) -> None:
    folder = path.parts[1]
    assert folder in EDGES, f"src/{folder} is not in EDGES"
    assert include_faults(folder, text(path), is_test(path)) == []


def test_the_include_check_can_fail() -> None:
    assert include_faults("http", '#include "engine/engine.hpp"', False)
    assert include_faults("http", '#include "message.hpp"', False)
    assert include_faults("http", '#include "http/absent.hpp"', False)
    assert include_faults("log", "#include <Python.h>", False)
    assert include_faults("session", "#include <nghttp2/nghttp2.h>", True)
    assert include_faults("engine", "#include <openssl/ssl.h>", False)
    assert include_faults("log", "#include <gtest/gtest.h>", False)
    assert not include_faults("log", '#include "http/message.hpp"\n#include <string>', False)


def test_edges_have_no_cycle() -> None:
    done: list[str] = []
    while len(done) < len(EDGES):
        ready = [f for f in EDGES if f not in done and EDGES[f] <= set(done)]
        assert ready, f"a cycle among {set(EDGES) - set(done)}"
        done += ready


def test_cmake_links_no_more_than_the_layers_allow() -> None:
    seen = set()
    for path in ROOT.glob("src/*/CMakeLists.txt"):
        for folder, depends, tests in DEPENDS.findall(path.read_text()):
            seen.add(folder)
            assert set(depends.split()) <= EDGES[folder], path
            assert set(tests.split()) <= TEST_EDGES.get(folder, set()), path
    assert {"base", "http", "session", "engine"} <= seen


def imported_modules(source: str) -> set[str]:
    """Top-level names of all modules that a Python source imports, wherever it does."""
    modules = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            modules.add(node.module.split(".")[0])
    return modules


def test_the_package_imports_the_standard_library_only() -> None:
    allowed = set(sys.stdlib_module_names) | {"monoceros", "_typeshed"}
    users: dict[str, list[str]] = {}
    for path in files(".py", under="python"):
        for module in imported_modules(text(path)) - allowed:
            users.setdefault(module, []).append(str(path))
    assert users.keys() <= OPTIONAL_MODULES.keys(), users
    assert all(len(paths) <= OPTIONAL_MODULES[name] for name, paths in users.items()), users


def test_the_import_check_can_fail() -> None:
    source = "import os.path\ndef f():\n    from requests import get\nfrom . import x\n"
    assert imported_modules(source) == {"os", "requests"}


def test_python_is_parsed_at_all() -> None:
    assert len(python_files()) > 5

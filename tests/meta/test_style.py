"""Style by numbers, and calls that have a better replacement here. The limits are the design's:
what breaks them is split, not excused. Tables (*.def) have no limit.
"""

from __future__ import annotations

import ast
import re
import warnings
from pathlib import Path

import pytest
from repo_tree import code_only, cpp_files, files, functions, is_test, python_files, text

COLUMNS_MAX = 100
FILE_LINES_MAX = 800
FILE_LINES_TARGET = 600
CPP_FUNCTION_LINES_MAX = 70
PYTHON_FUNCTION_LINES_MAX = 50

OWN_MEMORY = "std::string, std::vector or std::unique_ptr"
# Pattern in C++ code (comments and literals removed) -> what to write instead.
BANNED = {
    r"\bstd::c(out|err|in|log)\b": "return text, or report an enum; logs go through mono::log",
    r"\bthrow\b": "an enum value, or base::Result with a sentence",
    r"\btry\s*\{": "an enum value; nothing throws here",
    r"\b(dynamic_cast|typeid)\b": "a virtual function or an enum; there is no RTTI",
    r"\b(v?f?printf|puts|putchar|perror)\s*\(": "return text; logs go through mono::log",
    r"\bv?sprintf\s*\(": "std::to_chars or std::string::append",
    r"\b(strcpy|strcat|strncpy|strncat|gets)\s*\(": "std::string, or std::memcpy with a length",
    r"\b(atoi|atol|atoll|atof|strtok|sscanf)\s*\(": "std::from_chars, or http's parsers",
    r"\b(gmtime|localtime|ctime|asctime)\s*\(": "the _r variant: these share a static buffer",
    r"\b(malloc|calloc|realloc|free)\s*\(": OWN_MEMORY,
    r"\brand\s*\(": "a generator that is handed in, so that a seed repeats a run",
    r"\bstd::regex\b": "a hand-written scan: regex throws and allocates",
    r"\busing namespace\b": "the full name, or an alias",
    r"\b(system|popen)\s*\(": "os/process",
    r"\bstd::endl\b": "'\\n'",
    r"\bNULL\b": "nullptr",
}
# System calls live in src/os; base has the clock and the memory.
SYSTEM_HEADERS = re.compile(
    r"^\s*#\s*include\s*<((sys|netinet|net|linux)/[^>]+|unistd\.h|fcntl\.h|poll\.h|netdb\.h"
    r"|dirent\.h|pthread\.h|sched\.h|termios\.h|pwd\.h|grp\.h|spawn\.h)>",
    re.MULTILINE,
)
# These give types, numbers and pure functions as well: iovec, WIFEXITED, SIGTERM.
HARMLESS_HEADERS = {"sys/types.h", "sys/uio.h", "sys/wait.h"}
# What has no such header, or one that is included for its types. Names that other things have too
# (open, send, link) need a header of the list above, or are found where they are written ::open().
SYSTEM_CALLS = re.compile(
    r"(?<![\w.>])(?:::\s*)?\b(?P<name>"
    r"sigaction|sigprocmask|pthread_\w+|signal|sigqueue|sigwait\w*|sigtimedwait|t?kill|tgkill|raise"
    r"|wait3|wait4|waitpid|waitid|p?(?:read|write)v2?|clock_(?:get|set|nano)\w+|gettimeofday"
    r"|time"
    r"|nanosleep|u?sleep|sleep_for|sleep_until|sched_yield|yield|\w+_clock::now"
    r"|v?fork|clone3?|exec[lv]\w*|_exit|_Exit|exit|prctl|syscall|getrandom|getentropy"
    r"|eventfd|signalfd|timerfd_\w+|epoll_\w+|inotify_(?:init1?|\w+_watch)|memfd_create"
    r"|mmap|munmap|madvise|mkstemp"
    r"|dup[23]?|pipe2|accept4|recvmsg|sendmsg|recvfrom|sendto|sendfile|setsockopt|getsockopt|fcntl"
    r"|getenv|secure_getenv|setenv|unsetenv|f(?:d|re)?open|fread|fwrite|fclose|fflush"
    r"|random_device|[io]?fstream|backtrace|malloc_trim|mallopt"
    r")\s*[({]"
    r"|(?<![\w>:])::\s*(?P<global>[a-z]\w*)\s*\("
)
# base has the clock.
CALLS_OF_BASE = {"src/base/clock.hpp": ["clock_gettime"]}
SOURCES = cpp_files()
CORE = [path for path in SOURCES if path.parts[0] == "src" and not is_test(path)]
HAND_WRITTEN = [*SOURCES, *python_files(), *files(".pyi", ".sh")]


def line_faults(source: str) -> list[str]:
    """Lines that are too long, end with space or hold a tab; a missing line feed at the end."""
    faults = [] if not source or source.endswith("\n") else ["no line feed at the end"]
    for number, line in enumerate(source.splitlines(), 1):
        if len(line) > COLUMNS_MAX:
            faults.append(f"line {number} has {len(line)} columns")
        if line != line.rstrip() or "\t" in line:
            faults.append(f"line {number} has a tab or ends with space")
    return faults


@pytest.mark.parametrize("path", HAND_WRITTEN, ids=str)
def test_lines_and_files_are_short(path: Path) -> None:
    lines = text(path).splitlines()
    assert len(lines) <= FILE_LINES_MAX, f"{len(lines)} lines: split the file"
    if len(lines) > FILE_LINES_TARGET:
        warnings.warn(
            f"{path} has {len(lines)} lines; the target is {FILE_LINES_TARGET}", stacklevel=1
        )
    assert line_faults(text(path)) == []


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_cpp_functions_are_short(path: Path) -> None:
    found = [(f.name, f.line, f.lines) for f in functions(text(path))]
    assert [f for f in found if f[2] > CPP_FUNCTION_LINES_MAX] == []


def long_python_functions(source: str) -> list[tuple[str, int, int]]:
    """Name, line and length of the functions that are too long, docstrings included."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)]
    found = [(node.name, node.lineno, (node.end_lineno or 0) - node.lineno + 1) for node in nodes]
    return [f for f in found if f[2] > PYTHON_FUNCTION_LINES_MAX]


@pytest.mark.parametrize("path", python_files(), ids=str)
def test_python_functions_are_short(path: Path) -> None:
    assert long_python_functions(text(path)) == []


def banned_calls(source: str) -> list[str]:
    """Each banned thing of a C++ source with its line and what to write instead."""
    code = code_only(source)
    found = []
    for pattern, instead in BANNED.items():
        for match in re.finditer(pattern, code):
            line = code.count("\n", 0, match.start()) + 1
            found.append(f"line {line}: {match[0].strip()} -> {instead}")
    return found


@pytest.mark.parametrize("path", CORE, ids=str)
def test_no_banned_calls(path: Path) -> None:
    found = banned_calls(text(path))
    if path.parts[1] == "base":  # which has the containers that own memory
        found = [fault for fault in found if OWN_MEMORY not in fault]
    assert found == []


def system_calls(source: str) -> list[str]:
    """Headers of system calls that a source includes, and calls that need no such header."""
    headers = {match[1] for match in SYSTEM_HEADERS.finditer(source)} - HARMLESS_HEADERS
    found = SYSTEM_CALLS.finditer(code_only(source))
    calls = {match["name"] or match["global"] for match in found}
    return sorted(headers | calls)


@pytest.mark.parametrize("path", [p for p in CORE if p.parts[1] != "os"], ids=str)
def test_system_calls_only_in_os(path: Path) -> None:
    allowed = CALLS_OF_BASE.get(str(path), [])
    assert system_calls(text(path)) == allowed, "system calls belong in src/os"


@pytest.mark.parametrize("path", [p for p in SOURCES if p.suffix == ".hpp"], ids=str)
def test_headers_open_with_what_they_are(path: Path) -> None:
    assert text(path).startswith("// "), "say what it owns, who calls it, its invariants"
    assert re.search(r"^#pragma once$", text(path), re.MULTILINE)


def test_the_checks_can_fail() -> None:
    assert len(line_faults("x" * 101 + "\n\ty \nz")) == 3
    assert line_faults("x" * 100 + "\n\n") == []
    assert len(banned_calls("void f() { std::cout << x; throw 1; strcpy(a, b); }")) == 3
    assert banned_calls('g("throw"); // throw\nfprintf_like(x); h.free_list();') == []
    assert system_calls("#include <sys/socket.h>\nkill(pid, 9);") == ["kill", "sys/socket.h"]
    assert system_calls("#include <string>\n#include <sys/uio.h>\n// kill(pid)") == []
    calls = "clock_gettime(a); nanosleep(&b); x = eventfd(0, 0); std::this_thread::sleep_for(c);"
    assert len(system_calls(calls)) == 4
    assert system_calls("::open(a); syscall(b); getrandom(c); std::random_device{}; time(0)") == [
        "getrandom", "open", "random_device", "syscall", "time",
    ]  # fmt: skip
    assert (
        system_calls("x.time(1); p->fork(); mono::os::f(); unix_time(2); std::exit_list(3)") == []
    )
    assert long_python_functions("def f():\n" + "    x = 1\n" * 50)
    assert not long_python_functions("def f():\n" + "    x = 1\n" * 49)

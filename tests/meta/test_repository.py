"""The repository as a whole: tests beside sources, links, budgets, changelog, no private paths."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from repo_tree import ROOT, all_files, code_lines, files, is_test, text

TESTED_FOLDERS = (
    "base", "config", "http", "http1", "http2", "proxy", "uwsgi", "websocket", "tls", "log",
    "session", "supervisor",
)  # fmt: skip
# Lines of code without tests that a folder was planned to need; twice that is a redesign.
BUDGETS = {
    "src/base": 1500, "src/board": 400, "src/os": 1300, "src/config": 1900, "src/http": 900,
    "src/http1": 700, "src/http2": 900, "src/proxy": 250, "src/uwsgi": 300,
    "src/websocket": 1100, "src/tls": 700, "src/log": 700, "src/session": 1400,
    "src/supervisor": 1000, "src/engine": 2900, "src/python": 3200,
}  # fmt: skip
# The same for the Python package, a number a room; the first one is of the files beside the rooms.
ROOMS = {
    ".": 1260, "app": 216, "compat": 90, "host": 280, "http": 110, "instrument": 56, "logs": 500,
    "master": 780, "settings": 300, "workers": 1610,
}  # fmt: skip
PACKAGE = Path("python/monoceros")
GUNICORNS = {
    "__init__", "__main__", "arbiter", "config", "debug", "errors", "glogging", "pidfile",
    "reloader", "sock", "systemd", "util",
}  # fmt: skip
FILE_BYTES_MAX = 512 * 1024
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
# Directories of one machine, and hosts that a package index may have. Written in parts, so that
# this file does not find itself.
PRIVATE = re.compile("|".join([
    r"(?<![\w.])/" + r"(root|work)/", r"/home/" + r"\w+", r"/tmp/" + r"(b|pkg)-",
    "py" + r"pi\.org", "python" + r"hosted\.org",
]))  # fmt: skip


def test_sources_have_tests_beside_them() -> None:
    missing = [
        str(path)
        for path in files(".cpp", under="src")
        if path.parts[1] in TESTED_FOLDERS
        and not is_test(path)
        # A source without a header of its own is a part of another one's class.
        and (ROOT / path.with_suffix(".hpp")).exists()
        and not (ROOT / path.with_name(path.stem + "_test.cpp")).exists()
    ]
    assert missing == []


@pytest.mark.parametrize("folder", BUDGETS)
def test_folders_keep_to_twice_their_budget(folder: str) -> None:
    sources = [path for path in files(".cpp", ".hpp", ".def", under=folder) if not is_test(path)]
    used = sum(code_lines(text(path)) for path in sources)
    assert used <= 2 * BUDGETS[folder], f"{used} lines: redesign the folder, do not extend it"


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_of_the_package_keep_to_twice_their_budget(room: str) -> None:
    used = 0
    for path in files(".py", under="python/monoceros"):
        if path.parent == PACKAGE / room:
            stripped = (line.strip() for line in text(path).splitlines())
            used += sum(1 for line in stripped if line and not line.startswith("#"))
    assert used <= 2 * ROOMS[room], f"{used} lines: redesign the room, do not extend it"


def test_every_room_has_a_budget() -> None:
    found = {str(path.parent.relative_to(PACKAGE)) for path in files(".py", under=str(PACKAGE))}
    assert found == set(ROOMS)


def test_names_beside_the_rooms_are_gunicorns() -> None:
    """What is ours alone lives in a room (docs/adr/0020)."""
    names = {path.stem for path in files(".py", ".pyi") if path.parent == PACKAGE}
    assert names <= GUNICORNS | {"_core", "_secure", "contracts"}


def test_no_path_of_a_private_machine() -> None:
    found = []
    for path in all_files():
        data = (ROOT / path).read_bytes()
        if b"\0" in data:
            continue
        for number, line in enumerate(data.decode(errors="replace").splitlines(), 1):
            if PRIVATE.search(line):
                found.append(f"{path}:{number}: {line.strip()[:80]}")
    assert found == []


def broken_links(page: Path, source: str) -> list[str]:
    """Relative links of a Markdown page that lead nowhere. Code blocks are not looked at."""
    broken = []
    for match in LINK.finditer(re.sub(r"```.*?```|`[^`\n]*`", "", source, flags=re.DOTALL)):
        target = (match[1] or match[2]).split("#")[0]
        if not target or re.match(r"[a-z]+:", target):
            continue
        base = ROOT if target.startswith("/") else (ROOT / page).parent
        if not (base / target.lstrip("/")).exists():
            broken.append(target)
    return broken


@pytest.mark.parametrize("page", files(".md"), ids=str)
def test_links_resolve(page: Path) -> None:
    if page.is_relative_to("tests/vectors"):
        pytest.skip("vectors are data")
    assert broken_links(page, text(page)) == []


def changelog_faults(source: str) -> list[str]:
    """What departs from the shape of Keep a Changelog."""
    faults = []
    if not source.startswith("# Changelog\n"):
        faults.append('it must open with "# Changelog"')
    versions = re.findall(r"^## (.*)$", source, re.MULTILINE)
    if not versions or versions[0] != "[Unreleased]":
        faults.append('the first section must be "## [Unreleased]"')
    released = r"\[\d+\.\d+\.\d+\] - \d{4}-\d{2}-\d{2}"
    faults += [f"bad version line: {v}" for v in versions[1:] if not re.fullmatch(released, v)]
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    groups = re.findall(r"^### (.*)$", source, re.MULTILINE)
    return faults + [f"unknown group: {group}" for group in groups if group not in kinds]


def test_changelog_keeps_its_shape() -> None:
    assert changelog_faults((ROOT / "CHANGELOG.md").read_text()) == []


def test_no_large_files() -> None:
    large = [str(path) for path in all_files() if (ROOT / path).stat().st_size > FILE_BYTES_MAX]
    assert large == []


def test_make_help_names_every_front_door() -> None:
    makefile = text(Path("Makefile"))
    for target in ("help", "run", "test", "check", "fmt", "fuzz", "docs", "clean"):
        assert re.search(rf"^{target}:.*## ", makefile, re.MULTILINE), target
    assert "make test" in text(Path(".ci/run"))


def test_the_checks_can_fail() -> None:
    assert PRIVATE.search("see " + "/ro" + "ot/x")
    assert not PRIVATE.search("https://example.org/work/")
    assert broken_links(Path("README.md"), "[a](docs/absent.md) [b](#c) [d](https://e)") == [
        "docs/absent.md"
    ]
    assert len(changelog_faults("# Log\n## 1.0\n### New\n")) == 3
    assert changelog_faults("# Changelog\n## [Unreleased]\n## [0.1.0] - 2026-01-02\n") == []

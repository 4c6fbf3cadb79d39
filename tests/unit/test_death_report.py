"""What the kernel counts of its out-of-memory kills, in either version of control groups."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from monoceros.master.death_report import OomCount, read_traces


@pytest.mark.parametrize(
    ("line", "folder", "events", "limit"),
    [
        ("0::/app", "app", "memory.events", "memory.max"),
        ("5:memory:/app", "memory/app", "memory.oom_control", "memory.limit_in_bytes"),
        ("5:memory:/elsewhere", "memory", "memory.oom_control", "memory.limit_in_bytes"),
    ],
    ids=["v2", "v1", "v1 in a container"],
)
def test_a_kill_is_noticed_once(
    tmp_path: Path, line: str, folder: str, events: str, limit: str
) -> None:
    (tmp_path / "cgroup").write_text(line + "\n")
    directory = tmp_path / folder
    directory.mkdir(parents=True)
    (directory / limit).write_text("67108864\n")
    (directory / events).write_text("oom 4\noom_kill 3\n")
    count = OomCount(str(tmp_path), str(tmp_path / "cgroup"))
    assert count.sentence().startswith(" No out-of-memory kill")
    (directory / events).write_text("oom 5\noom_kill 4\n")
    assert count.sentence() == (
        f" The kernel's out-of-memory killer struck in this cgroup ({limit} is 67108864)."
    )
    assert count.sentence().startswith(" No out-of-memory kill")


def test_where_nobody_counts_nothing_is_said(tmp_path: Path) -> None:
    assert OomCount(str(tmp_path), str(tmp_path / "absent")).sentence() == ""


def test_the_list_of_extension_modules_is_left_out() -> None:
    """Of a real abort, with somebody's module of C loaded."""
    pytest.importorskip("greenlet")
    box = os.memfd_create("box")
    code = f"import faulthandler, os, greenlet\nfaulthandler.enable({box})\nos.abort()"
    subprocess.run([sys.executable, "-c", code], pass_fds=[box], check=False, timeout=60)
    whole = os.pread(box, 1 << 20, 0).decode()
    told = read_traces(box)
    os.close(box)
    assert "greenlet" in whole
    assert "Extension modules" not in told
    assert "greenlet" not in told
    assert told.startswith("\nFatal Python error: Aborted\n")
    assert not told.endswith("\n")

"""workers = auto, on file trees that look like each kind of cgroup."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from monoceros.config import Config
from monoceros.host import sizing
from monoceros.settings import explain

CPUS = len(os.sched_getaffinity(0))


class Cgroup:
    """A tree in the place of /sys/fs/cgroup, and a file in that of /proc/self/cgroup."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.proc = root / "proc_cgroup"

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")

    @property
    def args(self) -> tuple[str, str]:
        return str(self.root), str(self.proc)


@pytest.fixture
def cgroup(tmp_path: Path) -> Cgroup:
    return Cgroup(tmp_path)


def test_no_cgroup_means_the_affinity_mask(cgroup: Cgroup) -> None:
    assert sizing.cpu_quota(*cgroup.args) is None
    assert sizing.memory_limit(*cgroup.args) is None
    assert sizing.advise("gthread", *cgroup.args).workers == CPUS
    assert sizing.advise("sync", *cgroup.args).workers == 2 * CPUS + 1


def test_version_2_takes_the_tightest_limit_on_the_way_up(cgroup: Cgroup) -> None:
    cgroup.write("proc_cgroup", "0::/a/b")
    cgroup.write("a/b/cpu.max", "max 100000")
    cgroup.write("a/cpu.max", "50000 100000")
    cgroup.write("a/b/memory.max", str(200 << 20))
    cgroup.write("a/memory.max", "max")
    assert sizing.cpu_quota(*cgroup.args) == 0.5
    assert sizing.memory_limit(*cgroup.args) == 200 << 20
    advice = sizing.advise("sync", *cgroup.args)
    assert advice.workers == 2
    assert "a cgroup quota of 0.5 CPUs" in advice.reason
    assert "a memory limit of 200 MiB holds 2" in advice.reason


def test_version_1(cgroup: Cgroup) -> None:
    cgroup.write("proc_cgroup", "4:cpu,cpuacct:/docker/x\n3:memory:/docker/x")
    cgroup.write("cpu/cpu.cfs_quota_us", "150000")
    cgroup.write("cpu/cpu.cfs_period_us", "100000")
    cgroup.write("memory/memory.limit_in_bytes", str(9223372036854771712))
    assert sizing.cpu_quota(*cgroup.args) == 1.5
    assert sizing.memory_limit(*cgroup.args) is None


def test_a_quota_below_the_affinity_mask_decides(cgroup: Cgroup) -> None:
    cgroup.write("cpu.max", "30000 100000")
    assert sizing.advise("gthread", *cgroup.args).workers == 1
    assert sizing.advise("sync", *cgroup.args).workers == 3


def test_unlimited_version_1(cgroup: Cgroup) -> None:
    cgroup.write("cpu/cpu.cfs_quota_us", "-1")
    cgroup.write("cpu/cpu.cfs_period_us", "100000")
    assert sizing.cpu_quota(*cgroup.args) is None


def test_there_is_always_one_worker(cgroup: Cgroup) -> None:
    cgroup.write("memory.max", str(8 << 20))
    assert sizing.advise("sync", *cgroup.args).workers == 1


def test_config_works_auto_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", "auto")
    cfg = Config()
    assert cfg.values["workers"] == "auto"
    assert cfg.workers == cfg.values["workers"] >= 1
    assert cfg.freeze().workers == cfg.workers
    assert "CPUs in the affinity mask" in explain.report(cfg)


def test_explain_shows_value_source_and_effect() -> None:
    cfg = Config()
    cfg.source = "command line"
    cfg.set("timeout", "7")
    cfg.set("dirty_workers", 1)
    text = explain.report(cfg)
    assert "timeout = 7\n    from: command line\n    Seconds without a sign of life" in text
    assert "dirty workers are not built yet" in text
    assert text.index("timeout = 7") < text.index("Defaults\n") < text.index("threads = 1\n")


def test_surge_goes_by_cores_and_memory(cgroup: Cgroup) -> None:
    page = os.sysconf("SC_PAGE_SIZE")
    cgroup.write("meminfo", f"MemTotal: 9 kB\nMemAvailable: {1 << 20} kB")
    cgroup.write("7/statm", f"0 {(200 << 20) // page} {(100 << 20) // page} 0 0 0 0")
    cgroup.write("8/statm", f"0 {(50 << 20) // page} 0 0 0 0 0")
    proc = str(cgroup.root)
    args = (*cgroup.args, proc)
    assert sizing.surge(3, [], *args).workers == min(3, 4 * CPUS)
    assert sizing.surge(1000, [], *args).workers == 4 * CPUS
    assert sizing.surge(1000, [7, 8, 9], *args).workers == min(4 * CPUS, 10)  # of 100 MiB
    cgroup.write("proc_cgroup", "0::/a")
    cgroup.write("a/memory.max", str(600 << 20))
    cgroup.write("a/memory.current", str(350 << 20))
    cgroup.write("a/cpu.max", "50000 100000")
    advice = sizing.surge(1000, [7, 8], *args)
    assert advice.workers == 2
    assert "up to 2 new workers at a time (0.5 CPUs; 250 MiB of memory free" in advice.reason
    cgroup.write("a/memory.current", str(600 << 20))
    assert sizing.surge(1000, [7], *args).workers == 1
